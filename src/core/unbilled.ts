/**
 * What an agent used that no result bills: the estimate for one that was killed, crashed or stalled in a turn.
 *
 * Its assistant lines since its last result are all there is. The CLI prints a line per content block, each with the
 * message's id and its usage; the last line of a message counts. On them the input is final, the output is not always:
 * the API begins a stream with a count of 1 to 8 and says the sum at its end, which only the result has. Where that
 * first count is all there is, four characters stand for a token. What a call that printed nothing used is not known
 * here, so the estimate is rather too low. Lines are untrusted: nothing throws, what is no plausible count is 0.
 */
import { NO_USAGE, type Usage } from './envelope.ts'
import { isJsonObject } from './json-object.ts'
import { costOfCall, pricesOf } from './prices.ts'
import { addUsage, modelName, MOST_NANOS, usageOfMessage } from './usage.ts'

/** What a model was used for without a bill. */
export interface UnbilledUsage extends Usage {
  readonly model: string
  /** Integer billionths of a dollar; null for a model whose price is not known here. */
  readonly cost_nanos: number | null
}

/** A sum over messages, taken one by one. */
export interface Unbilled {
  /** One more line, parsed. Anything that is no assistant line with an id changes nothing. */
  take(line: unknown): void
  /** Each model once; none that used nothing. */
  byModel(): readonly UnbilledUsage[]
}

interface Message {
  readonly model: string
  readonly usage: Usage
  /** Of its content, as far as it was printed. */
  readonly characters: number
}

/** Up to it the API's count of output tokens is that of a stream's beginning. */
const FIRST_COUNT = 8
const CHARACTERS_PER_TOKEN = 4
/** A notice of the CLI in the model's name: no call was made. */
const SYNTHETIC_MODEL = '<synthetic>'

/** The account of one agent, without any line yet. */
export function createUnbilled(): Unbilled {
  const messages = new Map<string, Message>()
  return {
    take(line) {
      if (!isJsonObject(line) || line['type'] !== 'assistant' || !isJsonObject(line['message'])) return
      const { id, model, usage, content } = line['message']
      if (typeof id !== 'string' || model === SYNTHETIC_MODEL) return
      const characters = (messages.get(id)?.characters ?? 0) + charactersOf(content)
      messages.set(id, { model: modelName(model), usage: usageOfMessage(usage).usage, characters })
    },
    byModel() {
      const calls = Map.groupBy(messages.values(), ({ model }) => model)
      return [...calls].map(([model, of]) => sumOf(model, of.map(usageOf))).filter(hasUsed)
    },
  }
}

function usageOf({ usage, characters }: Message): Usage {
  const isFirstCount = usage.output_tokens >= 1 && usage.output_tokens <= FIRST_COUNT
  if (!isFirstCount) return usage
  const spoken = Math.ceil(characters / CHARACTERS_PER_TOKEN)
  return { ...usage, output_tokens: Math.max(usage.output_tokens, spoken) }
}

function sumOf(model: string, calls: readonly Usage[]): UnbilledUsage {
  const prices = pricesOf(model)
  // Each call by itself, since a long prompt has its own price; rounded once.
  const cost =
    prices === undefined ? null : calls.reduce((sum, call) => sum + costOfCall(call, prices) / 1000, 0)
  return {
    model,
    ...calls.reduce(addUsage, NO_USAGE),
    cost_nanos: cost === null ? null : Math.min(Math.round(cost), MOST_NANOS),
  }
}

function hasUsed({ input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens }: Usage): boolean {
  return input_tokens + output_tokens + cache_read_tokens + cache_creation_tokens > 0
}

/** What of a message's blocks the model wrote: text, thinking, the input of tools. */
function charactersOf(content: unknown): number {
  if (!Array.isArray(content)) return 0
  return content.filter(isJsonObject).reduce((sum, block) => sum + charactersOfBlock(block), 0)
}

function charactersOfBlock(block: Record<string, unknown>): number {
  const { text, thinking, input } = block
  return lengthOf(text) + lengthOf(thinking) + (isJsonObject(input) ? sizeOf(input) : 0)
}

const lengthOf = (value: unknown): number => (typeof value === 'string' ? value.length : 0)

/** Characters as JSON; 0 where it is nested too deeply to be written again. */
function sizeOf(value: object): number {
  try {
    return JSON.stringify(value).length
  } catch {
    return 0
  }
}
