/**
 * Lists, newest first, a page at a time. The cursor is the place of the last row (its time and id), so that rows
 * that come in between move nothing. SQL is put together from constants only; every value is bound.
 */
import type { Statement } from 'better-sqlite3'
import { invalidRequest } from '../core/errors.ts'
import type { Db } from './database.ts'
import type { ListQuery, Page } from './ledger.ts'

export const DEFAULT_LIMIT = 50
export const MAX_LIMIT = 200
/** Longest text in a row of a list; a page of 200 stays small whatever the prompts are. */
export const PREVIEW_LIMIT = 2000

export interface ListParts<Row, View> {
  /** `SELECT … FROM …`, without a WHERE. */
  readonly select: string
  /** The columns of the order: a time, then the id. */
  readonly time: string
  readonly id: string
  readonly status: string
  readonly agentType: string
  readonly taskId: string
  /** Columns that `q` looks into. */
  readonly searched: readonly string[]
  readonly toView: (row: Row) => View
  readonly placeOf: (row: Row) => readonly [time: string, id: string]
}

/** @throws DroverError `invalid_request` for a cursor, a limit or a time that cannot be */
export function createList<Row, View>(
  db: Db,
  parts: ListParts<Row, View>,
): (query?: ListQuery) => Page<View> {
  const statements = new Map<string, Statement<[Record<string, unknown>], Row>>()

  return (query = {}) => {
    const limit = limitOf(query.limit)
    const { where, values } = conditionsOf(parts, query)
    const statement = statements.get(where) ?? db.prepare(statementOf(parts, where))
    statements.set(where, statement)
    // One row more than asked for tells whether there is a next page.
    const rows = statement.all({ ...values, limit: limit + 1 })
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : undefined
    return {
      rows: shown.map(parts.toView),
      nextCursor: last === undefined ? null : encodeCursor(parts.placeOf(last)),
    }
  }
}

/** A column cut for a list; what was cut is seen by the ellipsis. */
export function previewOf(column: string): string {
  return `iif(length(${column}) > ${PREVIEW_LIMIT}, substr(${column}, 1, ${PREVIEW_LIMIT}) || '…', ${column})`
}

function statementOf<Row, View>(parts: ListParts<Row, View>, where: string): string {
  const order = `ORDER BY ${parts.time} DESC, ${parts.id} DESC LIMIT @limit`
  return `${parts.select} ${where === '' ? '' : `WHERE ${where}`} ${order}`
}

function conditionsOf<Row, View>(
  parts: ListParts<Row, View>,
  query: ListQuery,
): { where: string; values: Record<string, unknown> } {
  const conditions: string[] = []
  const values: Record<string, unknown> = {}
  const add = (condition: string, value: Record<string, unknown>): void => {
    conditions.push(condition)
    Object.assign(values, value)
  }
  if (query.status !== undefined) add(`${parts.status} = @status`, { status: query.status })
  if (query.agentType !== undefined) add(`${parts.agentType} = @agentType`, { agentType: query.agentType })
  if (query.taskId !== undefined) add(`${parts.taskId} = @taskId`, { taskId: query.taskId })
  if (query.since !== undefined) add(`${parts.time} >= @since`, { since: isoTime('since', query.since) })
  if (query.q !== undefined && query.q !== '') {
    const any = parts.searched.map((column) => `${column} LIKE @q ESCAPE '\\'`).join(' OR ')
    add(`(${any})`, { q: `%${query.q.replace(/[\\%_]/g, '\\$&')}%` })
  }
  if (query.cursor !== undefined) {
    const [time, id] = decodeCursor(query.cursor)
    add(`(${parts.time}, ${parts.id}) < (@cursorTime, @cursorId)`, { cursorTime: time, cursorId: id })
  }
  return { where: conditions.join(' AND '), values }
}

function limitOf(limit: number = DEFAULT_LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw invalidRequest([{ path: 'limit', message: `must be a whole number from 1 to ${MAX_LIMIT}` }])
}

/** The time in the ledger's own form, so that texts compare as times do. */
export function isoTime(path: string, text: string): string {
  const time = new Date(text)
  if (!Number.isNaN(time.getTime())) return time.toISOString()
  throw invalidRequest([{ path, message: 'must be a time such as "2025-10-26T10:30:00Z" or a day' }])
}

function encodeCursor(place: readonly [string, string]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

function decodeCursor(cursor: string): readonly [string, string] {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    const [time, id]: unknown[] = Array.isArray(place) && place.length === 2 ? place : []
    if (typeof time === 'string' && typeof id === 'string') return [time, id]
  } catch {
    // Said below, like every other cursor that is not ours.
  }
  throw invalidRequest([{ path: 'cursor', message: 'is not the next_cursor of an earlier page' }])
}
