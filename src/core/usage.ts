/**
 * What a `result` line adds to the bill.
 *
 * The CLI's `total_cost_usd` and `modelUsage` are cumulative over graceful resumes and forget an agent that was
 * killed (measured with 2.1.329), so the bill is the sum of `model_usage_since_last_result` over all results of all
 * agents. The line is untrusted: what is no plausible count is taken as 0 and said, never summed.
 */
import { NO_USAGE, type Usage } from './envelope.ts'

/** What one result adds. */
export interface ResultUsage {
  readonly usage: Usage
  /** Integer micro-dollars. */
  readonly cost_micros: number
  readonly num_turns: number
  /** True when a value was rejected and counted as 0, or the increment was missing and this is the next best. */
  readonly suspect: boolean
}

export const NOTHING_USED: ResultUsage = { usage: NO_USAGE, cost_micros: 0, num_turns: 0, suspect: false }

/** More than a turn can use: ten billion tokens. Keeps sums of millions of results exact. */
const MOST_TOKENS = 10_000_000_000
/** More than a turn can cost. */
const MOST_USD = 100_000
const MOST_TURNS = 1_000_000

/**
 * The increment of one parsed `result` line, summed over its models. Never throws, whatever the line holds.
 *
 * A result without `model_usage_since_last_result` (seen on a refused resume, where nothing was used) counts its
 * `usage`, and its cumulative `total_cost_usd` only as the first of its process: too much for a resumed session
 * rather than too little, and `suspect` where it is not zero.
 */
export function usageOfResult(message: unknown): ResultUsage {
  const result = isRecord(message) ? message : {}
  const turns = checked(result['num_turns'], isTurns)
  const since = result['model_usage_since_last_result']
  const used = since === undefined ? withoutIncrement(result) : byModel(since)
  return { ...used, num_turns: turns.value, suspect: used.suspect || turns.suspect }
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cache_read_tokens: a.cache_read_tokens + b.cache_read_tokens,
    cache_creation_tokens: a.cache_creation_tokens + b.cache_creation_tokens,
  }
}

/** The bill of two results; suspect where one of them is. */
export function addResultUsage(a: ResultUsage, b: ResultUsage): ResultUsage {
  return {
    usage: addUsage(a.usage, b.usage),
    cost_micros: a.cost_micros + b.cost_micros,
    num_turns: a.num_turns + b.num_turns,
    suspect: a.suspect || b.suspect,
  }
}

/** Micro-dollars as the dollars of an answer. */
export function microsToUsd(micros: number): number {
  return micros / 1_000_000
}

type Increment = Omit<ResultUsage, 'num_turns'>

/** How the CLI spells the four counts: per model, and in an API usage. */
const MODEL_KEYS = {
  input_tokens: 'inputTokens',
  output_tokens: 'outputTokens',
  cache_read_tokens: 'cacheReadInputTokens',
  cache_creation_tokens: 'cacheCreationInputTokens',
} as const satisfies Record<keyof Usage, string>
const API_KEYS = {
  input_tokens: 'input_tokens',
  output_tokens: 'output_tokens',
  cache_read_tokens: 'cache_read_input_tokens',
  cache_creation_tokens: 'cache_creation_input_tokens',
} as const satisfies Record<keyof Usage, string>

function byModel(since: unknown): Increment {
  if (!isRecord(since)) return { usage: NO_USAGE, cost_micros: 0, suspect: true }
  return Object.values(since)
    .map(ofModel)
    .reduce(
      (sum, one) => ({
        usage: addUsage(sum.usage, one.usage),
        cost_micros: sum.cost_micros + one.cost_micros,
        suspect: sum.suspect || one.suspect,
      }),
      { usage: NO_USAGE, cost_micros: 0, suspect: false },
    )
}

function ofModel(model: unknown): Increment {
  if (!isRecord(model)) return { usage: NO_USAGE, cost_micros: 0, suspect: true }
  const tokens = tokensOf(model, MODEL_KEYS)
  const cost = checked(model['costUSD'], isUsd)
  // A model without a price would be work for nothing: said, not passed over.
  const unpriced = model['costUSD'] === undefined
  return {
    usage: tokens.usage,
    cost_micros: toMicros(cost.value),
    suspect: tokens.suspect || cost.suspect || unpriced,
  }
}

function withoutIncrement(result: Record<string, unknown>): Increment {
  const tokens = tokensOf(isRecord(result['usage']) ? result['usage'] : {}, API_KEYS)
  const first = result['result_index'] === undefined || result['result_index'] === 0
  const cost = checked(result['total_cost_usd'], isUsd)
  const cost_micros = first ? toMicros(cost.value) : 0
  const used = Object.values(tokens.usage).some((count) => count > 0) || cost.value > 0
  return { usage: tokens.usage, cost_micros, suspect: used || tokens.suspect || cost.suspect }
}

/** The tokens of an API usage (`message.usage` of an assistant line): what an unfinished turn has used so far. */
export function usageOfMessage(usage: unknown): Usage {
  return isRecord(usage) ? tokensOf(usage, API_KEYS).usage : NO_USAGE
}

function tokensOf(
  from: Record<string, unknown>,
  keys: Record<keyof Usage, string>,
): { usage: Usage; suspect: boolean } {
  const input = checked(from[keys.input_tokens], isTokens)
  const output = checked(from[keys.output_tokens], isTokens)
  const cacheRead = checked(from[keys.cache_read_tokens], isTokens)
  const cacheCreation = checked(from[keys.cache_creation_tokens], isTokens)
  return {
    usage: {
      input_tokens: input.value,
      output_tokens: output.value,
      cache_read_tokens: cacheRead.value,
      cache_creation_tokens: cacheCreation.value,
    },
    suspect: [input, output, cacheRead, cacheCreation].some((count) => count.suspect),
  }
}

/** The number where it is plausible; 0 where there is none; 0 and suspect where there is something else. */
function checked(value: unknown, plausible: (value: number) => boolean): { value: number; suspect: boolean } {
  if (value === undefined) return { value: 0, suspect: false }
  if (typeof value !== 'number' || !plausible(value)) return { value: 0, suspect: true }
  // `+ 0` makes a plain zero of −0.
  return { value: value + 0, suspect: false }
}

const isTokens = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= MOST_TOKENS
const isTurns = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= MOST_TURNS
const isUsd = (value: number): boolean => value >= 0 && value <= MOST_USD

function toMicros(usd: number): number {
  return Math.round(usd * 1_000_000)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
