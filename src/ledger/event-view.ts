/** A session's recorded events, as the texts that were published. */
import { composeEvent, type EventHeader } from '../core/envelope.ts'
import type { Db } from './database.ts'
import type { EventViews } from './ledger.ts'

const MAX_EVENTS = 1000
/** A line may have 16 MB: a page ends before it becomes a gigabyte. In UTF-16 units, near enough to bytes. */
const PAGE_SIZE_LIMIT = 8 * 1024 * 1024

interface EventRow extends Omit<EventHeader, 'late' | 'seq'> {
  readonly seq: number
  readonly late: 0 | 1
  readonly payload: string
}

export function createEventViews(db: Db): EventViews {
  const selectAfter = db.prepare<[string, number, number], EventRow>(`
    SELECT session_id, agent_id, agent_type, epoch, seq, line, ts, type, late, payload
    FROM session_event WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?`)
  const selectLast = db
    .prepare<[string], number>('SELECT coalesce(max(seq), 0) FROM session_event WHERE session_id = ?')
    .pluck()
  const selectEnded = db
    .prepare<[string], number>(
      `SELECT count(*) FROM agent_sessions
       WHERE session_id = ? AND status IN ('completed', 'failed', 'cancelled')`,
    )
    .pluck()

  const lastSeq = (sessionId: string): number => selectLast.get(sessionId) ?? 0
  const ended = (sessionId: string): boolean => selectEnded.get(sessionId) === 1

  return {
    page(sessionId, after, limit) {
      const events: string[] = []
      let next = after
      let size = 0
      const bounded = Math.min(Math.max(Math.trunc(limit), 1), MAX_EVENTS)
      for (const row of selectAfter.iterate(sessionId, after, bounded)) {
        events.push(textOf(row))
        next = row.seq
        size += row.payload.length
        if (size >= PAGE_SIZE_LIMIT) break
      }
      return { events, next, ended: ended(sessionId) && next >= lastSeq(sessionId) }
    },
    lastSeq,
    ended,
  }
}

function textOf(row: EventRow): string {
  const { payload, late, ...header } = row
  return composeEvent(late === 1 ? { ...header, late: true } : header, payload)
}
