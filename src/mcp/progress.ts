/** What is told of a session on its way: what its agent does, in which turn, and what it has cost so far. */
import { quoteText } from '../core/cut-text.ts'
import type { Envelope } from '../core/envelope.ts'
import { isJsonObject } from '../core/json-object.ts'
import { stateAfter } from '../core/session-steps.ts'
import { createUnbilled } from '../core/unbilled.ts'
import { microsToUsd, nanosToMicros, usageOfResult } from '../core/usage.ts'

/** Milliseconds between two lines about the same state: a person reads no faster, and a model reads none. */
const SHORTEST_PAUSE_MS = 1000
const LONGEST_MESSAGE = 200
/** Of a tool's input, what says most. */
const TELLING = ['description', 'command', 'file_path', 'path', 'pattern', 'query', 'url', 'prompt', 'task']

/** Takes events in, and says now and then how far it is. */
export function createProgress(say: (message: string) => void): (event: Envelope) => void {
  const turns = new Set<string>()
  let unbilled = createUnbilled()
  let billedMicros = 0
  let state = ''
  let doing = ''
  let saidAt = Number.NEGATIVE_INFINITY

  const costText = (): string => {
    const running = unbilled.byModel().reduce((sum, { cost_nanos }) => sum + (cost_nanos ?? 0), 0)
    return `$${microsToUsd(billedMicros + nanosToMicros(running)).toFixed(4)}`
  }
  const tell = (): void => {
    saidAt = performance.now()
    const turn = turns.size === 0 ? [] : [`turn ${turns.size}`, costText()]
    say([state, ...turn, doing].filter((part) => part !== '').join(' · '))
  }

  return (event) => {
    const next = stateAfter(event)
    if (next !== null) {
      ;[state, doing] = [next, '']
      return tell()
    }
    if (event.type === 'claude.result') {
      billedMicros += usageOfResult(event.payload).cost_micros
      unbilled = createUnbilled()
      return tell()
    }
    if (event.type !== 'claude.assistant') return undefined
    unbilled.take(event.payload)
    const { id, does } = readAssistant(event.payload)
    if (id !== null) turns.add(id)
    if (does !== null) doing = does
    return performance.now() - saidAt >= SHORTEST_PAUSE_MS ? tell() : undefined
  }
}

/** Of an assistant line, which is untrusted: the call that it is of, and what it does, in some words. */
export function readAssistant(line: unknown): { readonly id: string | null; readonly does: string | null } {
  const message = isJsonObject(line) && isJsonObject(line['message']) ? line['message'] : {}
  // A subagent's turns are its own.
  const isMain = isJsonObject(line) && line['parent_tool_use_id'] == null
  const content = Array.isArray(message['content']) ? message['content'].filter(isJsonObject) : []
  const does = content.map(textOfBlock).findLast((text) => text !== null) ?? null
  return { id: isMain && typeof message['id'] === 'string' ? message['id'] : null, does }
}

function textOfBlock({ type, text, name, input }: Record<string, unknown>): string | null {
  if (type === 'text' && typeof text === 'string') return quoteText(text, LONGEST_MESSAGE)
  if (type !== 'tool_use' || typeof name !== 'string') return null
  const telling = TELLING.map((key) => (isJsonObject(input) ? input[key] : undefined)).find(isText)
  return quoteText(telling === undefined ? name : `${name}: ${telling}`, LONGEST_MESSAGE)
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
