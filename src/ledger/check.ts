/**
 * Is the file what it should be? Three looks, none of which changes anything:
 *
 * - `quick_check`: every page, every row against its types and CHECKs;
 * - `integrity_check` of the tables that answers are made from: rows against their indexes;
 * - totals: tokens and cost of sessions and invocations against what each model was used for, stored apart.
 *
 * Damage and totals are different things: with damage the file is refused, totals that disagree are an alarm, and
 * `drover ledger rebuild` makes them anew.
 */
import { statSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'
import { MOST_NANOS } from '../core/usage.ts'
import { ledgerError, openDatabaseReadOnly, sqliteCode, type Db } from './database.ts'

/** What a check found. */
export interface FileCheck {
  /** What SQLite says is damaged; empty for a sound file. At most `MOST_PROBLEMS`. */
  readonly damage: readonly string[]
  /** Ids of sessions whose totals disagree with what is noted by model. At most `MOST_PROBLEMS`. */
  readonly totals: readonly string[]
  readonly bytes: number
  readonly durationMs: number
}

const MOST_PROBLEMS = 20
/** Small beside the events, and what lists, costs and pages are made from. */
const ANSWERED_FROM = [
  'agent_sessions',
  'claude_invocations',
  'invocation_model_usage',
  'agent_lifecycle',
  'orchestrator_task',
]

const TOKENS = ['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens']

/** Whose sums over what each model was used for are others than what its row says. */
function disagreeing(table: string, key: string, columns: readonly (readonly [string, string])[]): string {
  const differs = columns.map(([column, sum]) => `t.${column} <> ${sum}`).join(' OR ')
  return `SELECT t.session_id FROM ${table} AS t LEFT JOIN invocation_model_usage AS u USING (session_id, ${key})
    GROUP BY t.session_id, t.${key} HAVING ${differs} LIMIT ${MOST_PROBLEMS}`
}

/** Capped as the totals are: an agent may claim what it likes, and must not raise an alarm that no rebuild ends. */
const sumOf = (column: string): string => `CAST(min(total(u.${column}), ${MOST_NANOS}) AS INTEGER)`
const microsOf = `CAST(round(${sumOf('cost_nanos')} / 1000.0) AS INTEGER)`
const TOKEN_SUMS = TOKENS.map((column) => [column, sumOf(column)] as const)

const DISAGREEING = [
  disagreeing('agent_sessions', 'session_id', [
    ...TOKEN_SUMS,
    ['cost_nanos', sumOf('cost_nanos')],
    ['estimated_cost_micros', microsOf],
  ]),
  disagreeing('claude_invocations', 'invocation_id', [...TOKEN_SUMS, ['cost_micros', microsOf]]),
]

/**
 * Checks the file at `path`; blocks all the while.
 *
 * @throws DroverError `ledger_unavailable` where it cannot be opened at all (missing, locked, no rights)
 */
export function checkFile(path: string): FileCheck {
  try {
    return check(path)
  } catch (error) {
    throw ledgerError(path, error)
  }
}

function check(path: string): FileCheck {
  const began = performance.now()
  const found = lookAt(path)
  return { ...found, bytes: statSync(path).size, durationMs: Math.round(performance.now() - began) }
}

function lookAt(path: string): Pick<FileCheck, 'damage' | 'totals'> {
  let db: Db | null = null
  try {
    db = openDatabaseReadOnly(path)
    const damage = [
      ...ask(db, 'quick_check'),
      ...answeredFrom(db).flatMap((table) => ask(db, `integrity_check`, table)),
    ]
    return { damage: damage.slice(0, MOST_PROBLEMS), totals: damage.length > 0 ? [] : withOtherTotals(db) }
  } catch (error) {
    if (!/^SQLITE_(CORRUPT|NOTADB|IOERR|ERROR)/.test(sqliteCode(error))) throw error
    return { damage: [messageOf(error)], totals: [] }
  } finally {
    db?.close()
  }
}

function ask(db: Db | null, check: string, table?: string): string[] {
  const argument = table ?? String(MOST_PROBLEMS)
  const rows = db?.prepare<[], string>(`PRAGMA ${check}(${argument})`).pluck().all() ?? []
  return rows.filter((row) => row !== 'ok')
}

/** A file without these tables is an old or a fresh one. */
function answeredFrom(db: Db): readonly string[] {
  const present = new Set(
    db.prepare<[], string>(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all(),
  )
  return ANSWERED_FROM.filter((table) => present.has(table))
}

function withOtherTotals(db: Db): readonly string[] {
  if (answeredFrom(db).length < ANSWERED_FROM.length) return []
  const found = DISAGREEING.flatMap((query) => db.prepare<[], string>(query).pluck().all())
  return [...new Set(found)].slice(0, MOST_PROBLEMS)
}
