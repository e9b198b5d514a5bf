/**
 * Whether what is recorded is all there is: the events of a session are numbered (`seq`) and so are the lines of an
 * agent (`line`), both without a gap. A jump is a gap: a row, an alarm, `incomplete` on the session; a lower number
 * that comes later fills it. Recording never waits for what is missing.
 *
 * It lives for one transaction: what was recorded before is read once per session and agent, what is here now is
 * written at its end. Dying or undoing leaves nothing, and a repeat of the batch finds the same.
 */
import type { RawEvent } from '../core/envelope.ts'
import { createLinesDigest, NO_LINES, type LinesDigest } from '../core/lines-digest.ts'
import type { EventGap, GapKey, GapReason } from '../ledger/event-gap.ts'
import type { Tables } from '../ledger/tables.ts'

/** What an agent's closing event says: its spool had so many lines. */
export interface ClosedSpool {
  readonly session_id: string
  readonly agent_id: string
  readonly epoch: number
  readonly lines: number
}

export interface Continuity {
  /**
   * To be called with a session's event before it is appended. True where its number was recorded before: it is a
   * repeat, also where retention has taken the event away since.
   */
  wasHere(event: RawEvent): boolean
  /** The event is new and in the ledger. */
  took(event: RawEvent): void
  /** The agent has said its last. In the order of events, so that it does not matter how they are batched. */
  closed(spool: ClosedSpool): void
  /**
   * Writes what was learnt. Answers what is missing or altered since, in words, and the sessions for which the answer
   * to "is it complete?" may be another one now.
   */
  settle(): {
    readonly alarms: string[]
    readonly sessionIds: ReadonlySet<string>
  }
}

interface Spool {
  readonly key: GapKey & { readonly agent_id: string; readonly epoch: number }
  lastLine: number
  lines: number
  readonly digest: LinesDigest | null
}

export function createContinuity(tables: Tables, ts: string): Continuity {
  /** The highest `seq` that is here. */
  const lastSeqs = new Map<string, number>()
  const spools = new Map<string, Spool>()
  const closed: ClosedSpool[] = []
  const alarms: string[] = []
  const sessionIds = new Set<string>()

  function note(key: GapKey, first: number, last: number, reason: GapReason): void {
    const gap: EventGap = { ...key, first, last, reason }
    tables.gaps.note(gap, ts)
    sessionIds.add(key.session_id)
    alarms.push(`${describeGap(gap)} of session ${key.session_id}: ${ADVICE[reason]}`)
  }

  function fill(key: GapKey, number: number): void {
    if (tables.gaps.fill(key, number, ts)) sessionIds.add(key.session_id)
  }

  function spoolOf(sessionId: string, agentId: string, epoch: number): Spool {
    const name = `${agentId} ${epoch}`
    const known = spools.get(name)
    if (known !== undefined) return known
    const recorded = tables.spools.read(agentId, epoch)
    const digest = recorded === null ? NO_LINES : recorded.digest
    const spool: Spool = {
      key: { session_id: sessionId, agent_id: agentId, epoch },
      lastLine: recorded?.last_line ?? 0,
      lines: recorded?.lines ?? 0,
      digest: digest === null ? null : createLinesDigest(digest),
    }
    spools.set(name, spool)
    return spool
  }

  function tookSeq(sessionId: string, seq: number): void {
    const last = lastSeqs.get(sessionId) ?? 0
    const key = { session_id: sessionId, agent_id: null, epoch: null }
    if (seq < last) return fill(key, seq)
    if (seq > last + 1) note(key, last + 1, seq - 1, 'not_on_stream')
    lastSeqs.set(sessionId, seq)
  }

  function tookLine(spool: Spool, line: number, payloadText: string): void {
    spool.lines += 1
    spool.digest?.add(line, payloadText)
    if (line <= spool.lastLine) return fill(spool.key, line)
    if (line > spool.lastLine + 1) {
      const reason = tables.gaps.hasOpen(spool.key.session_id) ? 'not_on_stream' : 'not_sent'
      note(spool.key, spool.lastLine + 1, line - 1, reason)
    }
    spool.lastLine = line
  }

  return {
    wasHere({ header: { session_id, seq } }) {
      if (session_id === null || seq === null) return false
      const last = lastSeqs.get(session_id) ?? tables.sessionEvents.lastSeq(session_id)
      lastSeqs.set(session_id, last)
      return seq <= last && !tables.gaps.has({ session_id, agent_id: null, epoch: null }, seq)
    },
    took({ header, payloadText }) {
      const { session_id, seq, agent_id, epoch, line } = header
      if (session_id === null || seq === null) return
      tookSeq(session_id, seq)
      if (line !== null && agent_id !== null)
        tookLine(spoolOf(session_id, agent_id, epoch), line, payloadText)
    },
    closed(said) {
      closed.push(said)
      const spool = spoolOf(said.session_id, said.agent_id, said.epoch)
      if (said.lines <= spool.lastLine) return
      note(spool.key, spool.lastLine + 1, said.lines, 'cut_tail')
      spool.lastLine = said.lines
    },
    settle() {
      for (const { key, lastLine, lines, digest } of spools.values()) {
        tables.spools.write({ ...key, last_line: lastLine, lines, digest: digest?.hex() ?? null })
      }
      for (const { agent_id, epoch, session_id } of closed) {
        if (!tables.spools.isAltered(agent_id, epoch)) continue
        alarms.push(
          `The lines of ${agent_id} of session ${session_id} are not what its pod has sent: ${ADVICE.altered}`,
        )
      }
      return { alarms, sessionIds }
    },
  }
}

const ADVICE = {
  not_on_stream:
    'the event stream skipped them. The session is marked incomplete; they may be in another copy of the ledger or of Redis.',
  not_sent: 'its pod could not send them, because the spool is gone. The session is marked incomplete.',
  cut_tail:
    'its closing event counts them, and they are not here. The session is marked incomplete until they come.',
  altered:
    'digest or count differ. The session is marked incomplete; look for what else writes to Redis or the ledger.',
} as const

/** `Events 12–15`, `Line 3 of architect-20261120-001`. */
function describeGap({ agent_id, first, last }: EventGap): string {
  const unit = agent_id === null ? 'Event' : 'Line'
  const numbers = first === last ? ` ${first}` : `s ${first}–${last}`
  return `${unit}${numbers}${agent_id === null ? '' : ` of ${agent_id}`}`
}
