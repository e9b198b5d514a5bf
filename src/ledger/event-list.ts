/** The events of all sessions, newest first. */
import { composeEvent, type EventHeader } from '../core/envelope.ts'
import type { Db } from './database.ts'
import { createEventRange, cursorPlace, type EventPlace, type EventRange } from './event-walk.ts'
import type { EventFilter, Page } from './ledger.ts'
import { encodeCursor, limitOf } from './list.ts'
import { walk } from './walk.ts'

/** A line may have 16 MB: a page ends before it becomes a gigabyte. In UTF-16 units, near enough to bytes. */
const PAGE_SIZE_LIMIT = 8 * 1024 * 1024

interface EventRow extends EventPlace {
  readonly epoch: number
  readonly seq: number
  readonly line: number | null
  readonly late: 0 | 1
}

type Bounds = Pick<EventRange, 'before' | 'floor' | 'sessionId'>

/** Without the payloads, which are read for what a page shows. */
const SELECT = `SELECT event_id, session_id, agent_id, agent_type, epoch, seq, line, ts, type, late FROM session_event`
const RANGE = 'event_id < @before AND event_id >= @floor'

export function createEventList(db: Db): (filter?: EventFilter) => Page<string> {
  const rangeOf = createEventRange(db)
  const all = db.prepare<[Bounds], EventRow>(`${SELECT} NOT INDEXED WHERE ${RANGE} ORDER BY event_id DESC`)
  const own = db.prepare<[Bounds], EventRow>(
    `${SELECT} INDEXED BY session_event_own WHERE line IS NULL AND ${RANGE} ORDER BY event_id DESC`,
  )
  const ofSession = db.prepare<[Bounds], EventRow>(
    `${SELECT} WHERE session_id = @sessionId AND +event_id < @before AND +event_id >= @floor ORDER BY event_id DESC`,
  )
  const selectPayload = db
    .prepare<[number], string>('SELECT payload FROM session_event WHERE event_id = ?')
    .pluck()

  return (filter = {}) => {
    const limit = limitOf(filter.limit)
    const range = rangeOf(filter)
    if (range === null) return { rows: [], nextCursor: null }
    const { isMeant, ...bounds } = range
    const source = bounds.sessionId !== null ? ofSession : isOwn(filter.type) ? own : all
    const { found, last } = walk(source.iterate(bounds), limit, isMeant)
    return pageOf(found, last)
  }

  function pageOf(found: readonly EventRow[], last: EventRow | null): Page<string> {
    const rows: string[] = []
    let size = 0
    for (const row of found) {
      const payload = selectPayload.get(row.event_id) ?? 'null'
      rows.push(composeEvent(headerOf(row), payload))
      size += payload.length
      const isLast = rows.length === found.length
      if (size >= PAGE_SIZE_LIMIT && !isLast) return { rows, nextCursor: encodeCursor(cursorPlace(row)) }
    }
    return { rows, nextCursor: last === null ? null : encodeCursor(cursorPlace(last)) }
  }
}

function isOwn(type: string | undefined): boolean {
  return type !== undefined && (type === 'drover' || type.startsWith('drover.'))
}

function headerOf({ event_id: _id, late, ...header }: EventRow): EventHeader {
  return late === 1 ? { ...header, late: true } : header
}
