/** All recorded events in the one order in which they were projected, page by page. */
import type { EventHeader, RawEvent } from '../core/envelope.ts'
import type { Db } from './database.ts'

interface SessionEventRow {
  readonly event_id: number
  readonly session_id: string
  readonly seq: number
  readonly agent_id: string | null
  readonly agent_type: string
  readonly epoch: number
  readonly line: number | null
  readonly ts: string
  readonly type: string
  readonly late: 0 | 1
  readonly payload: string
}

interface TaskEventRow {
  readonly event_id: number
  readonly after_event_id: number
  readonly agent_type: string | null
  readonly ts: string
  readonly type: string
  readonly payload: string
}

/** Most events of one page; a page of long lines has fewer. */
const PAGE = 1000
const PAGE_CHARACTERS = 8 * 1024 * 1024

/**
 * Pages of events, ascending. Between two pages the caller may write. A task's event comes right after the session
 * event that was the last one when it was recorded.
 */
export function* replayEvents(db: Db): Generator<readonly RawEvent[], void, void> {
  const selectSessionEvents = db.prepare<unknown[], SessionEventRow>(
    `SELECT event_id, session_id, seq, agent_id, agent_type, epoch, line, ts, type, late, payload
     FROM session_event WHERE event_id > @after ORDER BY event_id LIMIT ${PAGE}`,
  )
  const selectTaskEvents = db.prepare<unknown[], TaskEventRow>(
    `SELECT event_id, after_event_id, payload ->> '$.agent_type' AS agent_type, ts, type, payload
     FROM task_event WHERE event_id > @after ORDER BY event_id LIMIT ${PAGE}`,
  )
  const sessionEvents = createPages((after) => selectSessionEvents.iterate({ after }))
  const taskEvents = createPages((after) => selectTaskEvents.iterate({ after }))

  let page: RawEvent[] = []
  for (;;) {
    const event = sessionEvents.next()
    const task = taskEvents.next()
    if (event === null && task === null) break
    if (task !== null && (event === null || task.after_event_id < event.event_id)) {
      page.push(taskEvent(task))
      taskEvents.take()
    } else if (event !== null) {
      page.push(sessionEvent(event))
      sessionEvents.take()
    }
    if (page.length < PAGE) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}

/** Rows of a table by ascending id, some at a time; no statement is open between two of them. */
function createPages<Row extends { readonly event_id: number; readonly payload: string }>(
  select: (after: number) => IterableIterator<Row>,
): { next(): Row | null; take(): void } {
  let rows: Row[] = []
  let at = 0
  let after = 0

  function fill(): void {
    rows = []
    at = 0
    let size = 0
    for (const row of select(after)) {
      rows.push(row)
      size += row.payload.length
      if (size > PAGE_CHARACTERS) break
    }
    after = rows.at(-1)?.event_id ?? after
  }

  fill()
  return {
    next: () => rows[at] ?? null,
    take() {
      at += 1
      if (at >= rows.length) fill()
    },
  }
}

function sessionEvent(row: SessionEventRow): RawEvent {
  const { session_id, agent_id, agent_type, epoch, seq, line, ts, type } = row
  const header: EventHeader = { session_id, agent_id, agent_type, epoch, seq, line, ts, type }
  return { header: row.late === 1 ? { ...header, late: true } : header, payloadText: row.payload }
}

function taskEvent({ agent_type, ts, type, payload }: TaskEventRow): RawEvent {
  const header: EventHeader = {
    session_id: null,
    agent_id: null,
    agent_type: agent_type ?? '',
    epoch: 0,
    seq: null,
    line: null,
    ts,
    type,
  }
  return { header, payloadText: payload }
}
