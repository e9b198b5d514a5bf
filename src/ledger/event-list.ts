/** The events of all sessions, and those of tasks and messages that belong to none, newest first. */
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
  readonly seq: number | null
  readonly line: number | null
  readonly late: 0 | 1
}

interface TaskEventRow extends Pick<EventPlace, 'event_id' | 'agent_type' | 'ts' | 'type'> {
  readonly after_event_id: number
}

/** An event among the others: where a page goes on behind it, and whose text it is. */
interface PlacedRow extends EventRow {
  readonly before: number
  readonly beforeTask: number
  readonly ofTask: boolean
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
  const ofTasks = db.prepare<[Pick<EventRange, 'beforeTask'>], TaskEventRow>(
    `SELECT event_id, after_event_id, coalesce(payload ->> 'agent_type', '') AS agent_type, ts, type
     FROM task_event WHERE event_id < @beforeTask ORDER BY event_id DESC`,
  )
  const selectPayload = db
    .prepare<[number], string>('SELECT payload FROM session_event WHERE event_id = ?')
    .pluck()
  const selectTaskPayload = db
    .prepare<[number], string>('SELECT payload FROM task_event WHERE event_id = ?')
    .pluck()

  const list = (filter: EventFilter): Page<string> => {
    const limit = limitOf(filter.limit)
    const range = rangeOf(filter)
    if (range === null) return { rows: [], nextCursor: null }
    const { isMeant, beforeTask, ...bounds } = range
    const { type } = filter
    const source = bounds.sessionId !== null ? ofSession : isOwn(type) ? own : all
    const tasks = bounds.sessionId === null && canBeOfNone(type) ? ofTasks.iterate({ beforeTask }) : []
    const { found, last } = walk(merged(source.iterate(bounds), tasks, range), limit, isMeant)
    return pageOf(found, last)
  }
  // One snapshot for events and payloads.
  return (filter = {}) => db.transaction(() => list(filter))()

  function pageOf(found: readonly PlacedRow[], last: PlacedRow | null): Page<string> {
    const rows: string[] = []
    let size = 0
    for (const row of found) {
      const payload = payloadOf(row)
      rows.push(composeEvent(headerOf(row), payload))
      size += payload.length
      const isLast = rows.length === found.length
      if (size >= PAGE_SIZE_LIMIT && !isLast) return { rows, nextCursor: encodeCursor(cursorPlace(row)) }
    }
    return { rows, nextCursor: last === null ? null : encodeCursor(cursorPlace(last)) }
  }

  function payloadOf({ ofTask, event_id }: PlacedRow): string {
    return (ofTask ? selectTaskPayload : selectPayload).get(event_id) ?? 'null'
  }
}

/** Both kinds in the order in which they were recorded, the newest first; each read as far as it is asked for. */
function* merged(
  events: Iterable<EventRow>,
  tasks: Iterable<TaskEventRow>,
  { beforeTask, floor }: EventRange,
): Generator<PlacedRow, void, void> {
  const waiting = tasks[Symbol.iterator]()
  let seen = beforeTask
  let task = waiting.next()
  function* tasksFrom(eventId: number): Generator<PlacedRow, void, void> {
    for (; task.done !== true && task.value.after_event_id >= eventId; task = waiting.next()) {
      seen = task.value.event_id
      yield placedTask(task.value)
    }
  }
  try {
    for (const event of events) {
      yield* tasksFrom(event.event_id)
      yield { ...event, before: event.event_id, beforeTask: seen, ofTask: false }
    }
    // What was recorded before the floor is older than what is asked for.
    yield* tasksFrom(floor - 1)
  } finally {
    waiting.return?.()
  }
}

function placedTask({ after_event_id, ...row }: TaskEventRow): PlacedRow {
  return {
    ...row,
    session_id: null,
    agent_id: null,
    epoch: 0,
    seq: null,
    line: null,
    late: 0,
    before: after_event_id + 1,
    beforeTask: row.event_id,
    ofTask: true,
  }
}

function isOwn(type: string | undefined): boolean {
  return type !== undefined && (type === 'drover' || type.startsWith('drover.'))
}

/** Of no session: of a task, or of a message. */
function canBeOfNone(type: string | undefined): boolean {
  return type === undefined || type === 'drover' || /^drover\.(?:task|message)(?:\.|$)/.test(type)
}

function headerOf({
  session_id,
  agent_id,
  agent_type,
  epoch,
  seq,
  line,
  ts,
  type,
  late,
}: EventRow): EventHeader {
  const header = { session_id, agent_id, agent_type, epoch, seq, line, ts, type }
  return late === 1 ? { ...header, late: true } : header
}
