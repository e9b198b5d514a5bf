/** From an agent's spool to the event stream: every line once, in order; and what the lines say on the way. */
import { dirname } from 'node:path'
import { createLinesDigest, type LinesDigest } from '../core/lines-digest.ts'
import { isSettled, observe, NO_FACTS, type StreamFacts } from '../core/outcome.ts'
import type { Redactor } from '../core/redact.ts'
import { usageOfResult } from '../core/usage.ts'
import type { AgentRef, SessionStore, Taken } from '../queue/session-store.ts'
import type { SpoolLine } from '../session/line.ts'
import { createLineRedactor } from '../session/redact-line.ts'
import { readRedactor } from '../session/redaction-file.ts'
import { createSpoolTail, type SpoolStats } from '../session/spool.ts'
import { FULL_SPEED, type Flow } from './flow.ts'

/** What was read of a spool and published. */
export interface PublishedSpool extends SpoolStats {
  /** Of the lines as they were published (`core/lines-digest.ts`): the recorder has the same, or something is missing. */
  readonly lines_digest: string
}

export interface AgentStream {
  /** What the lines said so far. */
  facts(): StreamFacts
  /** Lines were read that Redis has not taken yet, so the facts do not include them. */
  isBehind(): boolean
  /** The process is gone: takes what is left of the spool. */
  finish(): Promise<PublishedSpool>
}

export interface AgentStreamParts {
  readonly store: SessionStore
  readonly agent: AgentRef
  readonly spool: string
  /** @default full speed */
  readonly flow?: Flow
  /** What takes the secrets out of its lines. @default as the agent's directory says */
  readonly redactor?: Redactor
  /** Called with the lines of a batch that was taken, before `onFacts`. */
  readonly onTaken?: (lines: readonly SpoolLine[]) => void
  /** Called after a batch was taken, with the facts up to and including it. */
  readonly onFacts: (facts: StreamFacts) => void
  /** The stream cannot go on (Redis refused): the agent must end. */
  readonly onFailure: (error: unknown) => void
}

/** Publishes the spool from now on, until `finish`. */
export function createAgentStream(parts: AgentStreamParts): AgentStream {
  const { store, agent, flow = FULL_SPEED } = parts
  const { redactor = readRedactor(dirname(parts.spool)) } = parts
  const tail = createSpoolTail(parts.spool, { through: createLineRedactor(redactor) })
  const digest = createLinesDigest()
  let sentBytes = 0
  let facts = NO_FACTS
  let isBehind = false
  let failure: unknown = null
  const untrack = flow.track({ path: parts.spool, sentBytes: () => sentBytes })
  const pumping = pump()
    .catch((error: unknown) => {
      failure = error
      parts.onFailure(error)
    })
    .finally(untrack)

  async function pump(): Promise<void> {
    for await (const lines of tail) {
      isBehind = true
      for (let rest = lines; rest.length > 0;) {
        const portion = flow.portion(rest)
        await send(portion)
        rest = rest.slice(portion.length)
        // Also after the last one: what was printed meanwhile is in the spool, and not in the facts.
        await flow.pause(portion)
      }
      isBehind = false
    }
  }

  async function send(lines: readonly SpoolLine[]): Promise<void> {
    const next = foldLines(facts, lines)
    const { unrecorded } = await sendOrFill(
      store,
      agent,
      { spool: parts.spool, redactor },
      lines,
      facts,
      next,
    )
    if (unrecorded !== null) flow.note(unrecorded)
    addTo(digest, lines)
    sentBytes += lines.reduce((sum, line) => sum + line.bytes + 1, 0)
    facts = next
    parts.onTaken?.(lines)
    parts.onFacts(facts)
  }

  return {
    facts: () => facts,
    isBehind: () => isBehind,
    async finish() {
      tail.finish()
      await pumping
      if (failure !== null) throw failure
      return { ...tail.stats(), lines_digest: digest.hex() }
    },
  }
}

function addTo(digest: LinesDigest, lines: readonly SpoolLine[]): void {
  for (const { line, payloadText } of lines) digest.add(line, payloadText)
}

function foldLines(facts: StreamFacts, lines: readonly SpoolLine[]): StreamFacts {
  return lines.reduce((folded, { message }) => observe(folded, message), facts)
}

type TakenLines = Extract<Taken, { ok: true }>

/**
 * With a result that is the last word the facts go into the hash: whoever takes over from a dead worker knows by them
 * that the work is done, on any machine.
 *
 * @param jump the earlier lines that Redis misses are lost for good
 * @throws where Redis has no such session, or misses earlier lines of the agent
 */
async function sendLines(
  store: SessionStore,
  agent: AgentRef,
  lines: readonly SpoolLine[],
  before: StreamFacts,
  after: StreamFacts,
  jump = false,
): Promise<TakenLines> {
  const taken = await tryLines(store, agent, lines, before, after, jump)
  if (!taken.ok) throw refusal(agent, lines, taken.refused)
  return taken
}

/**
 * As `sendLines`. Where Redis misses earlier lines of the agent (its cursor was lost, and not noticed as a loss), they
 * are sent again from the spool first: only what no spool has (an agent can reach its own) is a gap, which the ledger
 * shows, and the work goes on.
 */
async function sendOrFill(
  store: SessionStore,
  agent: AgentRef,
  { spool, redactor }: { readonly spool: string; readonly redactor: Redactor },
  lines: readonly SpoolLine[],
  before: StreamFacts,
  after: StreamFacts,
): Promise<TakenLines> {
  const taken = await tryLines(store, agent, lines, before, after)
  if (taken.ok) return taken
  if (taken.refused !== 'gap') throw refusal(agent, lines, taken.refused)
  await sendSpool(store, agent, spool, { upTo: (lines[0]?.line ?? 1) - 1, redactor })
  return await sendLines(store, agent, lines, before, after, true)
}

async function tryLines(
  store: SessionStore,
  agent: AgentRef,
  lines: readonly SpoolLine[],
  before: StreamFacts,
  after: StreamFacts,
  jump = false,
): Promise<Taken> {
  const set = isSettled(after) ? { facts: JSON.stringify(after) } : isSettled(before) ? { facts: '' } : {}
  return await store.lines(agent, {
    first: lines[0]?.line ?? 1,
    lines,
    increments: incrementsOf(lines),
    set,
    jump,
  })
}

function refusal(agent: AgentRef, lines: readonly SpoolLine[], refused: string): Error {
  const why =
    refused === 'missing' ? 'Redis has no such session any more' : 'Redis misses earlier lines of it'
  return new Error(`line ${lines[0]?.line} of ${agent.agentId} was refused (${refused}): ${why}`)
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
  options: { readonly upTo?: number; readonly flow?: Flow; readonly redactor?: Redactor } = {},
): Promise<{ readonly streamId: string; readonly stats: PublishedSpool }> {
  const { upTo = Number.POSITIVE_INFINITY, flow = FULL_SPEED } = options
  const { redactor = readRedactor(dirname(spool)) } = options
  const tail = createSpoolTail(spool, { through: createLineRedactor(redactor) })
  tail.finish()
  const digest = createLinesDigest()
  let streamId = ''
  let facts = NO_FACTS
  for await (const batch of tail) {
    let rest: readonly SpoolLine[] = batch.filter(({ line }) => line <= upTo)
    if (rest.length === 0) break
    while (rest.length > 0) {
      const lines = flow.portion(rest)
      rest = rest.slice(lines.length)
      const next = foldLines(facts, lines)
      const taken = await sendLines(store, agent, lines, facts, next)
      addTo(digest, lines)
      facts = next
      streamId = taken.streamId || streamId
      // Lines that were there already are read over at full speed.
      if (taken.unrecorded === null) continue
      flow.note(taken.unrecorded)
      await flow.pause(lines)
    }
  }
  return { streamId, stats: { ...tail.stats(), lines_digest: digest.hex() } }
}
