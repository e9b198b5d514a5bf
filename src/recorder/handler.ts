/** What projects an event: the shape of every handler, and what a batch leaves for those who are told of it. */
import type { EventHeader } from '../core/envelope.ts'
import type { Tables } from '../ledger/tables.ts'
import type { ClosedSpool } from './continuity.ts'

/** The header of a session's event. */
export interface SessionHeader extends EventHeader {
  readonly session_id: string
  readonly seq: number
}

/** The header of an event that an agent's process is the subject of. */
export interface AgentHeader extends SessionHeader {
  readonly agent_id: string
}

/** What a batch touched. */
export interface Effects {
  readonly sessionIds: Set<string>
  readonly taskIds: Set<string>
  readonly acceptedSessionIds: Set<string>
  readonly endedSessionIds: Set<string>
  /** Sessions whose totals may have changed: settled once, at the end of the batch. */
  readonly unsettled: Set<string>
  /** Agents that have said their last with this event, and how many lines that was: taken out at once. */
  readonly closed: ClosedSpool[]
  /**
   * Agents whose use beyond their results may have changed if they have ended: the lowest line that is new, Infinity
   * for none.
   */
  readonly unbilled: Map<string, number>
}

/** Changes rows for one event. The payload is what `core/events.ts` says for the event's type: each handler names it. */
export type Handler<Header extends EventHeader> = (
  tables: Tables,
  header: Header,
  payload: any,
  effects: Effects,
) => void

export type Handlers<Header extends EventHeader> = Readonly<Record<string, Handler<Header>>>

/** Adds to `all` what a part of the batch touched. */
export function mergeEffects(all: Effects, part: Effects): void {
  for (const id of part.sessionIds) all.sessionIds.add(id)
  for (const id of part.taskIds) all.taskIds.add(id)
  for (const id of part.acceptedSessionIds) all.acceptedSessionIds.add(id)
  for (const id of part.endedSessionIds) all.endedSessionIds.add(id)
  for (const id of part.unsettled) all.unsettled.add(id)
  for (const [agentId, line] of part.unbilled)
    all.unbilled.set(agentId, Math.min(line, all.unbilled.get(agentId) ?? line))
}

export function noEffects(): Effects {
  return {
    sessionIds: new Set(),
    taskIds: new Set(),
    acceptedSessionIds: new Set(),
    endedSessionIds: new Set(),
    unsettled: new Set(),
    closed: [],
    unbilled: new Map(),
  }
}
