/**
 * What a `result` line adds to the bill.
 *
 * The CLI's `total_cost_usd` and `modelUsage` are cumulative over graceful resumes and forget an agent that was
 * killed (measured with 2.1.329), so the bill is the sum of `model_usage_since_last_result` over all results of all
 * agents. The line is untrusted: what is no plausible count is taken as 0 and said, never summed.
 */
import { NO_USAGE, type Usage } from './envelope.ts'
import { isJsonObject } from './json-object.ts'

/** What one result adds. */
export interface ResultUsage {
  readonly usage: Usage
  /** Integer micro-dollars: the sum over its models, rounded once. */
  readonly cost_micros: number
  readonly num_turns: number
  /** True when a value was rejected and counted as 0, or the increment was missing and this is the next best. */
  readonly suspect: boolean
}

/** What one model was used for, by the main loop and its subagents together. */
export interface ModelUsage extends Usage {
  /** As the CLI names it; `UNNAMED_MODEL` where it does not say. */
  readonly model: string
  readonly web_search_requests: number
  /** Integer billionths of a dollar: a token may cost a tenth of a micro-dollar, and sums must not drift. */
  readonly cost_nanos: number
}

/** A result by its models. */
export interface ResultModels {
  readonly models: readonly ModelUsage[]
  readonly suspect: boolean
}

/** Usage that was reported without a model. */
export const UNNAMED_MODEL = 'unknown'

export const NOTHING_USED: ResultUsage = { usage: NO_USAGE, cost_micros: 0, num_turns: 0, suspect: false }

/** More than a turn can use: ten billion tokens. Keeps sums of millions of results exact. */
const MOST_TOKENS = 10_000_000_000
/** More than a turn can cost. */
const MOST_USD = 100_000
const MOST_TURNS = 1_000_000
/** Nine million dollars: where a sum of costs stops, so that none leaves the range in which integers are exact. */
export const MOST_NANOS = 9_000_000_000_000_000
/** More than the CLI has; what a hostile line names beyond it is counted as unnamed. */
const MOST_MODELS = 64
const MODEL_NAME_LIMIT = 200

/**
 * The increment of one parsed `result` line, summed over its models. Never throws, whatever the line holds.
 *
 * A result without `model_usage_since_last_result` (seen on a refused resume, where nothing was used) counts its
 * `usage`, and its cumulative `total_cost_usd` only as the first of its process: too much for a resumed session
 * rather than too little, and `suspect` where it is not zero.
 */
export function usageOfResult(message: unknown): ResultUsage {
  const { models, suspect } = modelsOfResult(message)
  const turns = checked(isJsonObject(message) ? message['num_turns'] : undefined, isTurns)
  return {
    usage: models.reduce(addUsage, NO_USAGE),
    cost_micros: nanosToMicros(models.reduce((sum, { cost_nanos }) => sum + cost_nanos, 0)),
    num_turns: turns.value,
    suspect: suspect || turns.suspect,
  }
}

/** The same by models, each once. Never throws. */
export function modelsOfResult(message: unknown): ResultModels {
  const result = isJsonObject(message) ? message : {}
  const since = result['model_usage_since_last_result']
  return since === undefined ? withoutIncrement(result) : byModel(since)
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

/** The nearest micro-dollar. */
export function nanosToMicros(nanos: number): number {
  return Math.round(nanos / 1000)
}

/** Micro-dollars as the dollars of an answer. */
export function microsToUsd(micros: number): number {
  return micros / 1_000_000
}

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

function byModel(since: unknown): ResultModels {
  if (!isJsonObject(since)) return { models: [], suspect: true }
  const entries = Object.entries(since)
  const all = entries.map(([name, used], index) => ofModel(index < MOST_MODELS ? name : UNNAMED_MODEL, used))
  return {
    models: mergeModels(all.map(({ model }) => model)),
    suspect: entries.length > MOST_MODELS || all.some(({ suspect }) => suspect),
  }
}

function ofModel(name: string, used: unknown): { readonly model: ModelUsage; readonly suspect: boolean } {
  const from = isJsonObject(used) ? used : {}
  const tokens = tokensOf(from, MODEL_KEYS)
  const searches = checked(from['webSearchRequests'], isTokens)
  const cost = checked(from['costUSD'], isUsd)
  // A model without a price would be work for nothing: said, not passed over.
  const unpriced = from['costUSD'] === undefined
  return {
    model: {
      model: modelName(name),
      ...tokens.usage,
      web_search_requests: searches.value,
      cost_nanos: usdToNanos(cost.value),
    },
    suspect: tokens.suspect || searches.suspect || cost.suspect || unpriced,
  }
}

/** Each model once, in the order of their first mention. */
function mergeModels(all: readonly ModelUsage[]): readonly ModelUsage[] {
  const merged = new Map<string, ModelUsage>()
  for (const one of all) {
    const before = merged.get(one.model)
    merged.set(one.model, before === undefined ? one : addModelUsage(before, one))
  }
  return [...merged.values()]
}

function addModelUsage(a: ModelUsage, b: ModelUsage): ModelUsage {
  return {
    model: a.model,
    ...addUsage(a, b),
    web_search_requests: a.web_search_requests + b.web_search_requests,
    cost_nanos: a.cost_nanos + b.cost_nanos,
  }
}

/** A model's name as it is stored: text of the child, so of any length. */
export function modelName(name: unknown): string {
  return typeof name === 'string' && name !== '' ? name.slice(0, MODEL_NAME_LIMIT) : UNNAMED_MODEL
}

function withoutIncrement(result: Record<string, unknown>): ResultModels {
  const tokens = tokensOf(isJsonObject(result['usage']) ? result['usage'] : {}, API_KEYS)
  const first = result['result_index'] === undefined || result['result_index'] === 0
  const cost = checked(result['total_cost_usd'], isUsd)
  const cost_nanos = first ? usdToNanos(cost.value) : 0
  const used = Object.values(tokens.usage).some((count) => count > 0) || cost.value > 0
  const models = used ? [{ model: UNNAMED_MODEL, ...tokens.usage, web_search_requests: 0, cost_nanos }] : []
  return { models, suspect: used || tokens.suspect || cost.suspect }
}

/** The tokens of an API usage (`message.usage` of an assistant line). */
export function usageOfMessage(usage: unknown): { readonly usage: Usage; readonly suspect: boolean } {
  return tokensOf(isJsonObject(usage) ? usage : {}, API_KEYS)
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

function usdToNanos(usd: number): number {
  return Math.round(usd * 1_000_000_000)
}
