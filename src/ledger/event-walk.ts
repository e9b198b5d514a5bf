/** What going back through the events of the whole ledger needs: where to begin, where to end, which ones are meant. */
import type { Db } from './database.ts'
import type { EventFilter } from './ledger.ts'
import { invalidRequest } from '../core/errors.ts'
import { CURSOR_RULE, decodeCursor, isoTime } from './list.ts'

/** Events with `floor <= event_id < before` can be meant, and of those the ones that `isMeant`. */
export interface EventRange {
  readonly before: number
  readonly floor: number
  /** Of the events of tasks without a session, those with a lower id. */
  readonly beforeTask: number
  /** The one session that is asked for, also by its agent. */
  readonly sessionId: string | null
  readonly isMeant: (row: EventPlace) => boolean
}

/** The header of a recorded event, as far as filters look at it. */
export interface EventPlace {
  readonly event_id: number
  readonly session_id: string | null
  readonly agent_id: string | null
  readonly agent_type: string
  readonly ts: string
  readonly type: string
}

/** How far the clocks of two machines may be apart. */
const SKEW_MS = 5 * 60_000
/** So many sessions are asked: one that Redis had lost may have been recorded long after it was accepted. */
const WITNESSES = 20
const NEVER = Number.MAX_SAFE_INTEGER
const NEWEST = { before: NEVER, beforeTask: NEVER }
const WHOLE = { first: 0, last: NEVER - 1 }

export function createEventRange(db: Db): (filter: EventFilter) => EventRange | null {
  const selectSessionOf = db
    .prepare<[string], string>('SELECT session_id FROM agent_lifecycle WHERE agent_id = ?')
    .pluck()
  const selectEnds = db.prepare<[string], { first: number | null; last: number }>(
    'SELECT min(event_id) AS first, max(event_id) AS last FROM session_event WHERE session_id = ?',
  )
  // Times are not in the order of the events, but what was accepted well before is recorded before.
  const selectFloor = db
    .prepare<[string, number], number>(
      `SELECT coalesce(min(e.event_id), 0)
       FROM (SELECT session_id FROM agent_sessions WHERE created_at < ? ORDER BY created_at DESC LIMIT ?) AS s
       JOIN session_event AS e ON e.session_id = s.session_id AND e.seq = 1`,
    )
    .pluck()

  return ({ cursor, sessionId, agentId, agentType, type, since, until }) => {
    const from = since === undefined ? null : isoTime('since', since)
    const to = until === undefined ? null : isoTime('until', until)
    const { before, beforeTask } = cursor === undefined ? NEWEST : placeOf(cursor)
    const session = agentId === undefined ? (sessionId ?? null) : (selectSessionOf.get(agentId) ?? null)
    if (agentId !== undefined && (session === null || (sessionId ?? session) !== session)) return null
    const { first = null, last = 0 } = session === null ? WHOLE : (selectEnds.get(session) ?? {})
    if (first === null) return null
    const floor = from === null ? 0 : (selectFloor.get(earlier(from), WITNESSES) ?? 0)
    const prefix = type === undefined ? null : `${type}.`
    return {
      before: Math.min(before, last + 1),
      floor: Math.max(first, floor),
      beforeTask,
      sessionId: session,
      isMeant: (row) =>
        (session === null || row.session_id === session) &&
        (agentId === undefined || row.agent_id === agentId) &&
        (agentType === undefined || row.agent_type === agentType) &&
        (prefix === null || row.type === type || row.type.startsWith(prefix)) &&
        (from === null || row.ts >= from) &&
        (to === null || row.ts <= to),
    }
  }
}

/** The cursor behind which both kinds of events go on. */
export function cursorPlace({
  before,
  beforeTask = NEVER,
}: {
  readonly before: number
  readonly beforeTask?: number
}): readonly [string, string] {
  return [String(before), String(beforeTask)]
}

const PLACE_PATTERN = /^\d{1,16}$/

function placeOf(cursor: string): Pick<EventRange, 'before' | 'beforeTask'> {
  const place = decodeCursor(cursor)
  if (!place.every((part) => PLACE_PATTERN.test(part)))
    throw invalidRequest([{ path: 'cursor', message: CURSOR_RULE }])
  const [before, beforeTask] = place
  return { before: Number(before), beforeTask: Number(beforeTask) }
}

function earlier(iso: string): string {
  return new Date(Date.parse(iso) - SKEW_MS).toISOString()
}
