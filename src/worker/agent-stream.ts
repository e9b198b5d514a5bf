/** From an agent's spool to the event stream: every line once, in order; and what the lines say on the way. */
import { isSettled, observe, NO_FACTS, type StreamFacts } from '../core/outcome.ts'
import { usageOfResult } from '../core/usage.ts'
import type { AgentRef, SessionStore } from '../queue/session-store.ts'
import type { SpoolLine } from '../session/line.ts'
import { createSpoolTail, type SpoolStats } from '../session/spool.ts'

export interface AgentStream {
  /** What the lines said so far. */
  facts(): StreamFacts
  /** Lines were read that Redis has not taken yet, so the facts do not include them. */
  isBehind(): boolean
  /** The process is gone: takes what is left of the spool. */
  finish(): Promise<SpoolStats>
}

export interface AgentStreamParts {
  readonly store: SessionStore
  readonly agent: AgentRef
  readonly spool: string
  /** Called after a batch was taken, with the facts up to and including it. */
  readonly onFacts: (facts: StreamFacts) => void
  /** The stream cannot go on (Redis refused): the agent must end. */
  readonly onFailure: (error: unknown) => void
}

/** Starts at once. */
export function createAgentStream(parts: AgentStreamParts): AgentStream {
  const { store, agent } = parts
  const tail = createSpoolTail(parts.spool)
  let facts = NO_FACTS
  let isBehind = false
  let failure: unknown = null
  const pumping = pump().catch((error: unknown) => {
    failure = error
    parts.onFailure(error)
  })

  async function pump(): Promise<void> {
    for await (const lines of tail) {
      isBehind = true
      const next = foldLines(facts, lines)
      await sendLines(store, agent, lines, facts, next)
      facts = next
      isBehind = false
      parts.onFacts(facts)
    }
  }

  return {
    facts: () => facts,
    isBehind: () => isBehind,
    async finish() {
      tail.finish()
      await pumping
      if (failure !== null) throw failure
      return tail.stats()
    },
  }
}

function foldLines(facts: StreamFacts, lines: readonly SpoolLine[]): StreamFacts {
  return lines.reduce((folded, { message }) => observe(folded, message), facts)
}

/**
 * Answers the stream id of the last line that was taken now, '' for none. With a result that is the last word the
 * facts go into the hash: whoever takes over from a dead worker knows by them that the work is done, on any machine.
 */
async function sendLines(
  store: SessionStore,
  agent: AgentRef,
  lines: readonly SpoolLine[],
  before: StreamFacts,
  after: StreamFacts,
): Promise<string> {
  const [first] = lines
  if (first === undefined) return ''
  const set = isSettled(after) ? { facts: JSON.stringify(after) } : isSettled(before) ? { facts: '' } : {}
  const taken = await store.lines(agent, {
    first: first.line,
    lines,
    increments: incrementsOf(lines),
    set,
  })
  // A jump cannot happen while this is the only reader of the spool: the hash was lost or tampered with.
  if (!taken.ok) throw new Error(`line ${first.line} of ${agent.agentId} was refused: ${taken.refused}`)
  return taken.streamId
}

/** What a result adds to the session's totals, by the number of its line: a repeated line adds nothing. */
function incrementsOf(lines: readonly SpoolLine[]): Record<number, Record<string, number>> {
  const increments: Record<number, Record<string, number>> = {}
  for (const { line, message } of lines) {
    if (message?.['type'] !== 'result') continue
    const { usage, cost_micros, num_turns } = usageOfResult(message)
    increments[line] = { ...usage, cost_micros, num_turns }
  }
  return increments
}

/**
 * Sends what a spool holds, up to line `upTo`; lines that were taken are dropped. Answers the stream id of the last
 * one that was taken now ('' for none), and what was read.
 */
export async function sendSpool(
  store: SessionStore,
  agent: AgentRef,
  spool: string,
  upTo = Number.POSITIVE_INFINITY,
): Promise<{ readonly streamId: string; readonly stats: SpoolStats }> {
  const tail = createSpoolTail(spool)
  tail.finish()
  let streamId = ''
  let facts = NO_FACTS
  for await (const batch of tail) {
    const lines = batch.filter(({ line }) => line <= upTo)
    if (lines.length === 0) break
    const next = foldLines(facts, lines)
    streamId = (await sendLines(store, agent, lines, facts, next)) || streamId
    facts = next
  }
  return { streamId, stats: tail.stats() }
}
