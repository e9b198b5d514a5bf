/** What a session that has not ended has waited, waits for, and was told: of its events, for the write-back. */
import type { Db } from './database.ts'

/** A message to a session. */
export interface RestorableMessage {
  readonly seq: number
  /** Of `drover.message.sent`. */
  readonly payload: string
  /** An agent's conversation has it. */
  readonly delivered: boolean
  /** The agent that has taken it up, and may have died before its conversation had it; null for none. */
  readonly startedBy: string | null
}

interface MessageRow {
  readonly message_id: string
  readonly seq: number
  readonly payload: string
  readonly agent_id: string | null
  readonly is_delivered: 0 | 1
}

export interface RestorableWaits {
  /** Time that it was given to wait for usage limits, in milliseconds. */
  readonly paused_ms: number
  /** Time that it has waited for people, in milliseconds. */
  readonly waited_ms: number
  /** Since when (ISO time) it waits for a person; null: it does not. */
  readonly waiting_since: string | null
  /** Its last turn was interrupted: until when (ISO time) a message is waited for; else null. */
  readonly interrupted_until: string | null
  /** What was said to it, in order. */
  readonly messages: readonly RestorableMessage[]
}

/** Of a session that has ended: nobody reads it, and to find it would go through all that the session said. */
export const OVER: RestorableWaits = {
  paused_ms: 0,
  waited_ms: 0,
  waiting_since: null,
  interrupted_until: null,
  messages: [],
}

/** The answer takes a session, and the last agent of it where there was one. */
export function createWaitsOf(db: Db): (sessionId: string, lastAgent: string | undefined) => RestorableWaits {
  const selectPaused = db
    .prepare<[string], number | null>(
      `SELECT payload ->> '$.paused_ms' FROM session_event
       WHERE session_id = ? AND type = 'drover.session.paused_limit' ORDER BY seq DESC LIMIT 1`,
    )
    .pluck()
  const selectWaited = db
    .prepare<[string], number | null>(
      `SELECT payload ->> '$.waited_ms' FROM session_event
       WHERE session_id = ? AND type = 'drover.session.resumed' ORDER BY seq DESC LIMIT 1`,
    )
    .pluck()
  const selectWaiting = db
    .prepare<{ readonly sessionId: string }, string | null>(
      `SELECT min(ts) FROM session_event
       WHERE session_id = @sessionId AND type = 'drover.session.waiting_input' AND seq > (
         SELECT coalesce(max(seq), 0) FROM session_event
         WHERE session_id = @sessionId AND type IN ('drover.session.resumed', 'drover.agent.spawned'))`,
    )
    .pluck()
  // With another agent, or when it has gone on, it is over.
  const selectInterrupted = db
    .prepare<[string], string | null>(
      `SELECT CASE WHEN payload ->> '$.reason' = 'interrupted' THEN payload ->> '$.until' END FROM session_event
       WHERE session_id = ? AND type IN ('drover.session.waiting_input', 'drover.session.resumed', 'drover.agent.spawned')
       ORDER BY seq DESC LIMIT 1`,
    )
    .pluck()
  const selectMessages = db.prepare<[string], MessageRow>(`
    SELECT m.message_id, m.seq, e.payload, m.agent_id, m.delivered_at IS NOT NULL AS is_delivered
    FROM session_message AS m JOIN session_event AS e ON e.session_id = m.session_id AND e.seq = m.seq
    WHERE m.session_id = ? ORDER BY m.seq`)
  // As `core/talk-facts.ts` reads the lines.
  const selectDone = db
    .prepare<[string, number], string>(
      `SELECT payload ->> '$.command_uuid' FROM session_event
       WHERE session_id = ? AND seq > ? AND type = 'claude.command_lifecycle'
         AND payload ->> '$.state' IN ('completed', 'cancelled')`,
    )
    .pluck()
  /** Those that the last agent has taken up, and whose turn is not over, no conversation may have. */
  function messagesOf(sessionId: string, lastAgent: string | undefined): RestorableMessage[] {
    const rows = selectMessages.all(sessionId)
    const isTakenUp = (row: MessageRow): boolean => row.is_delivered === 1 && row.agent_id === lastAgent
    const first = rows.find(isTakenUp)
    const done = new Set(first === undefined ? [] : selectDone.all(sessionId, first.seq))
    return rows.map((row) => {
      const startedBy = isTakenUp(row) && !done.has(row.message_id) ? row.agent_id : null
      const { seq, payload } = row
      return { seq, payload, delivered: row.is_delivered === 1 && startedBy === null, startedBy }
    })
  }

  return (sessionId, lastAgent) => ({
    paused_ms: selectPaused.get(sessionId) ?? 0,
    waited_ms: selectWaited.get(sessionId) ?? 0,
    waiting_since: selectWaiting.get({ sessionId }) ?? null,
    interrupted_until: selectInterrupted.get(sessionId) ?? null,
    messages: messagesOf(sessionId, lastAgent),
  })
}
