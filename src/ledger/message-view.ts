/** Messages between agents as lists show them, newest first, and what Redis must have of them. */
import type { Mail } from '../core/mail.ts'
import type { Db } from './database.ts'
import type { MessageQuery, MessageViews } from './ledger.ts'
import { decodeRowCursor, encodeCursor, isoTime, limitOf, previewOf } from './list.ts'

const COLUMNS = (text: string): string => `message_id, thread_id, in_reply_to, broadcast_id, from_session,
  from_agent_type, to_session, to_agent_type, ${text} AS text, status, created_at, delivered_at, delivered_to,
  completed_at`

const CONDITIONS = {
  status: 'status IN (SELECT value FROM json_each(@status))',
  fromSession: 'from_session = @fromSession',
  toSession: 'to_session = @toSession',
  toAgentType: 'to_agent_type = @toAgentType',
  sessionId: '(from_session = @sessionId OR to_session = @sessionId OR delivered_to = @sessionId)',
  threadId: 'thread_id = @threadId',
  since: 'created_at >= @since',
  until: 'created_at <= @until',
} as const

export function createMessageViews(db: Db): MessageViews {
  const selectOne = db.prepare<[string], Mail>(
    `SELECT ${COLUMNS('text')} FROM agent_message WHERE message_id = ?`,
  )

  const selectAddressed = db
    .prepare<[string], string>(
      'SELECT DISTINCT to_session FROM agent_message WHERE to_session IN (SELECT value FROM json_each(?))',
    )
    .pluck()

  return {
    addressed: (sessionIds) =>
      sessionIds.length === 0 ? [] : selectAddressed.all(JSON.stringify(sessionIds)),
    get: (messageId) => selectOne.get(messageId) ?? null,
    list(query = {}) {
      const limit = limitOf(query.limit)
      const { conditions, values } = conditionsOf(query)
      const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
      const rows = db
        .prepare<[Record<string, unknown>], Mail>(
          `SELECT ${COLUMNS(previewOf('text'))} FROM agent_message ${where}
           ORDER BY created_at DESC, message_id DESC LIMIT @limit`,
        )
        // One row more than asked for tells whether there is a next page.
        .all({ ...values, limit: limit + 1 })
      const shown = rows.slice(0, limit)
      const last = rows.length > limit ? shown.at(-1) : undefined
      return {
        rows: shown,
        nextCursor: last === undefined ? null : encodeCursor([last.created_at, last.message_id]),
      }
    },
  }
}

function conditionsOf(query: MessageQuery): { conditions: string[]; values: Record<string, unknown> } {
  const { status, cursor, since, until, toOperator, limit: _, ...equal } = query
  const given: Record<string, unknown> = {
    ...equal,
    status: status === undefined ? undefined : JSON.stringify(status.split(',')),
    since: since === undefined ? undefined : isoTime('since', since),
    until: until === undefined ? undefined : isoTime('until', until),
  }
  const values = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const conditions: string[] = Object.entries(CONDITIONS).flatMap(([name, sql]) =>
    name in values ? [sql] : [],
  )
  if (toOperator === true) conditions.push('to_session IS NULL AND to_agent_type IS NULL')
  if (cursor !== undefined) {
    const [cursorTime, cursorId] = decodeRowCursor(cursor)
    conditions.push('(created_at, message_id) < (@cursorTime, @cursorId)')
    Object.assign(values, { cursorTime, cursorId })
  }
  return { conditions, values }
}
