/**
 * The list prices that the CLI computes `total_cost_usd` with, for the models behind the aliases of our agent
 * types. Measured, not looked up, with CLI 2.1.329 in November 2026: it ran against a scripted API that reported one
 * kind of token at a time (`costBasis: "list"` in its result). The CLI brings its own price table, so another version
 * may differ; `test/rehearsal/prices.test.ts` measures them again.
 *
 * A rehearsal's bill is computed with them, and the estimate for an agent that ended without a result. What the CLI
 * reports is never replaced by them.
 *
 * Cache creation is that of five minutes. (The CLI takes twice the input price where the API reports one-hour
 * tokens, which a rehearsal never does.)
 */
import type { Usage } from './envelope.ts'

/** In micro-dollars for a million tokens, so that every product is an integer. */
export interface Prices {
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheCreation: number
  /** A call whose prompt (input, cache read and cache creation together) is longer costs `factor` times as much. */
  readonly longPrompt?: { readonly over: number; readonly factor: number }
}

interface PricedModel {
  /** What `--model` is given: an alias of the CLI. */
  readonly alias: string
  /** What the alias stands for: `init.model`, and the key of `modelUsage`. */
  readonly model: string
  readonly prices: Prices
}

export const PRICED_MODELS: readonly PricedModel[] = [
  {
    alias: 'opus',
    model: 'claude-opus-5-5',
    prices: { input: 4_000_000, output: 20_000_000, cacheRead: 200_000, cacheCreation: 5_000_000 },
  },
  {
    alias: 'sonnet',
    model: 'claude-sonnet-5-5',
    prices: { input: 2_000_000, output: 10_000_000, cacheRead: 100_000, cacheCreation: 2_500_000 },
  },
  {
    alias: 'haiku',
    model: 'claude-haiku-5-5',
    prices: {
      input: 100_000,
      output: 500_000,
      cacheRead: 10_000,
      cacheCreation: 125_000,
      longPrompt: { over: 100_000, factor: 5 },
    },
  },
]

/** The prices of a model, by its alias or its full name; undefined for one that was not measured. */
export function pricesOf(model: string): Prices | undefined {
  return PRICED_MODELS.find((priced) => priced.alias === model || priced.model === model)?.prices
}

/** What one call of the model costs, in millionths of a micro-dollar: an integer. */
export function costOfCall(usage: Usage, prices: Prices): number {
  const prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_creation_tokens
  const { longPrompt } = prices
  const factor = longPrompt !== undefined && prompt > longPrompt.over ? longPrompt.factor : 1
  return (
    factor *
    (usage.input_tokens * prices.input +
      usage.output_tokens * prices.output +
      usage.cache_read_tokens * prices.cacheRead +
      usage.cache_creation_tokens * prices.cacheCreation)
  )
}
