/**
 * Lists, newest first, a page at a time. The cursor is the place of the last row (its time and id), so that rows
 * that come in between move nothing. SQL is put together from constants only; every value is bound.
 */
import type { Statement } from 'better-sqlite3'
import { invalidRequest } from '../core/errors.ts'
import type { Db } from './database.ts'
import type { ListQuery, Page } from './ledger.ts'
import { hasTrigram, partOf, partQuery } from './search-words.ts'
import { walk, type Walked } from './walk.ts'

export const DEFAULT_LIMIT = 50
export const MAX_LIMIT = 200
/** Longest text in a row of a list; a page of 200 stays small whatever the prompts are. */
export const PREVIEW_LIMIT = 2000

/** The filters that ask for a value. */
export type ListColumn = Exclude<keyof ListQuery, 'limit' | 'cursor' | 'since' | 'until' | 'q'>

/** A search by a trigram index. */
export interface IndexedSearch {
  /** `index … JOIN …`, as it stands behind FROM. */
  readonly from: string
  /** The index's rows that are meant, with `@q`. */
  readonly matches: string
  /** The row number in the index, and that of the row with `@cursorId`. */
  readonly place: string
  readonly cursorPlace: string
  /** What is too short for the index is looked for in the rows from this time on: an SQL expression. */
  readonly oldestForShort: string
}

export interface ListParts<Row, View> {
  /** `SELECT … FROM …`, without a WHERE. */
  readonly select: string
  /** The columns of the order: a time, then the id. */
  readonly time: string
  readonly id: string
  /** The column of each filter that this list knows. */
  readonly columns: Readonly<Partial<Record<ListColumn, string>>>
  /** Columns that `q` looks into. */
  readonly searched: readonly string[]
  /** Of a longer `q`, where an index finds it: then rows come in the order that they were indexed in. */
  readonly indexed?: IndexedSearch
  readonly toView: (row: Row) => View
  readonly placeOf: (row: Row) => readonly [time: string, id: string]
}

/** @throws DroverError `invalid_request` for a cursor, a limit or a time that cannot be */
export function createList<Row, View>(
  db: Db,
  parts: ListParts<Row, View>,
): (query?: ListQuery) => Page<View> {
  const statements = new Map<string, Statement<[Record<string, unknown>]>>()

  function prepared<Found>(sql: string): Statement<[Record<string, unknown>], Found> {
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the SQL says what its rows are
    return statement as Statement<[Record<string, unknown>], Found>
  }

  function inOrderOfTime(query: ListQuery, limit: number): Page<View> {
    const { sql, values } = listed(parts, query)
    // One row more than asked for tells whether there is a next page.
    const rows = prepared<Row>(sql).all({ ...values, limit: limit + 1 })
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : undefined
    return {
      rows: shown.map(parts.toView),
      nextCursor: last === undefined ? null : encodeCursor(parts.placeOf(last)),
    }
  }

  /** The index knows the words alone: for all else each row that has them is looked at, while there is time. */
  function asIndexed(indexed: IndexedSearch, q: string, query: ListQuery, limit: number): Page<View> {
    const { sql, values } = searched(parts, indexed, q, query)
    const { found, last }: Walked<Place> = walk(
      prepared<Place>(sql).iterate(values),
      limit,
      ({ wanted }) => wanted === 1,
    )
    const ids = JSON.stringify(found.map(({ id }) => id))
    const rows = prepared<Row>(
      `${parts.select} WHERE ${parts.id} IN (SELECT value FROM json_each(@ids))`,
    ).all({ ids })
    const byId = new Map(rows.map((row) => [parts.placeOf(row)[1], row]))
    return {
      rows: found.flatMap(({ id }) => byId.get(id) ?? []).map(parts.toView),
      nextCursor: last === null ? null : encodeCursor([last.time, last.id]),
    }
  }

  // One snapshot for both looks.
  return db.transaction((query: ListQuery = {}): Page<View> => {
    const limit = limitOf(query.limit)
    const { indexed } = parts
    const { q = '' } = query
    return indexed !== undefined && hasTrigram(q)
      ? asIndexed(indexed, q, query, limit)
      : inOrderOfTime(query, limit)
  })
}

/** A column cut for a list; what was cut is seen by the ellipsis. */
export function previewOf(column: string): string {
  return `iif(length(${column}) > ${PREVIEW_LIMIT}, substr(${column}, 1, ${PREVIEW_LIMIT}) || '…', ${column})`
}

const TIMES = [
  ['since', '>='],
  ['until', '<='],
] as const

interface Asked {
  readonly sql: string
  readonly values: Record<string, unknown>
}

/** A row that the index has, and whether the other filters want it. */
interface Place {
  readonly time: string
  readonly id: string
  readonly wanted: 0 | 1
}

function searched<Row, View>(
  parts: ListParts<Row, View>,
  indexed: IndexedSearch,
  q: string,
  query: ListQuery,
): Asked {
  const { conditions, values } = conditionsOf(parts, query)
  const wanted = conditions.length === 0 ? '1' : conditions.join(' AND ')
  const from = query.cursor === undefined ? null : decodeRowCursor(query.cursor)
  const behind = from === null ? '' : `AND ${indexed.place} < ${indexed.cursorPlace}`
  const sql = `SELECT ${parts.time} AS time, ${parts.id} AS id, coalesce(${wanted}, 0) AS wanted
    FROM ${indexed.from} WHERE ${indexed.matches} ${behind} ORDER BY ${indexed.place} DESC`
  return { sql, values: { ...values, q: partQuery(q), ...(from === null ? {} : { cursorId: from[1] }) } }
}

function listed<Row, View>(parts: ListParts<Row, View>, query: ListQuery): Asked {
  const { indexed, time, id } = parts
  const { conditions, values } = conditionsOf(parts, query)
  const { q, cursor } = query
  const add = (condition: string, value: Record<string, unknown>): void => {
    conditions.push(condition)
    Object.assign(values, value)
  }
  const from = cursor === undefined ? null : decodeRowCursor(cursor)
  if (q !== undefined && q !== '') {
    const any = parts.searched.map((column) => `${column} LIKE @q ESCAPE '\\'`).join(' OR ')
    add(`(${any})`, { q: `%${partOf(q).replace(/[\\%_]/g, '\\$&')}%` })
    if (indexed !== undefined) conditions.push(`${time} >= ${indexed.oldestForShort}`)
  }
  if (from !== null)
    add(`(${time}, ${id}) < (@cursorTime, @cursorId)`, { cursorTime: from[0], cursorId: from[1] })
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  return { sql: `${parts.select} ${where} ORDER BY ${time} DESC, ${id} DESC LIMIT @limit`, values }
}

function conditionsOf<Row, View>(
  parts: ListParts<Row, View>,
  query: ListQuery,
): { conditions: string[]; values: Record<string, unknown> } {
  const conditions: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, column] of Object.entries(parts.columns) as [ListColumn, string][]) {
    const value = query[name]
    if (value === undefined) continue
    const several = name === 'status' && value.includes(',')
    conditions.push(
      several ? `${column} IN (SELECT value FROM json_each(@${name}))` : comparison(name, column),
    )
    values[name] = several ? JSON.stringify(value.split(',')) : value
  }
  for (const [name, sign] of TIMES) {
    const time = query[name]
    if (time === undefined) continue
    conditions.push(`${parts.time} ${sign} @${name}`)
    values[name] = isoTime(name, time)
  }
  return { conditions, values }
}

/** An id is hex digits and dashes, all of them before "g". */
function comparison(name: ListColumn, column: string): string {
  if (name !== 'idPrefix') return `${column} = @${name}`
  return `(${column} >= @${name} AND ${column} < @${name} || 'g')`
}

export const LIMIT_RULE = `must be a whole number from 1 to ${MAX_LIMIT}`
export const TIME_RULE = 'must be a time such as "2025-10-26T10:30:00Z" or a day'
export const CURSOR_RULE = 'is not the next_cursor of an earlier page'

export function isLimit(limit: number): boolean {
  return Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT
}

export function limitOf(limit: number = DEFAULT_LIMIT): number {
  if (isLimit(limit)) return limit
  throw invalidRequest([{ path: 'limit', message: LIMIT_RULE }])
}

export function isTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text))
}

/** The time in the ledger's own form, so that texts compare as times do. */
export function isoTime(path: string, text: string): string {
  if (isTime(text)) return new Date(text).toISOString()
  throw invalidRequest([{ path, message: TIME_RULE }])
}

export function encodeCursor(place: readonly [string, string]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

export function decodeCursor(cursor: string): readonly [string, string] {
  const place = placeIn(cursor)
  if (place !== null) return place
  throw invalidRequest([{ path: 'cursor', message: CURSOR_RULE }])
}

/** Of a list of rows, which go by their time: one of the events or of a search would be a place anywhere. */
export function decodeRowCursor(cursor: string): readonly [time: string, id: string] {
  const [time, id] = decodeCursor(cursor)
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time)) return [time, id]
  throw invalidRequest([{ path: 'cursor', message: CURSOR_RULE }])
}

export function isCursor(text: string): boolean {
  return placeIn(text) !== null
}

function placeIn(cursor: string): readonly [string, string] | null {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    const [first, second]: unknown[] = Array.isArray(place) && place.length === 2 ? place : []
    return typeof first === 'string' && typeof second === 'string' ? [first, second] : null
  } catch {
    return null
  }
}
