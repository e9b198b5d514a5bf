/** What everything cost, as every reader of the ledger says it, beside what the scripted model was asked for. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { NO_USAGE, type Usage } from '../../../src/core/envelope.ts'
import { costOfCall, pricesOf } from '../../../src/core/prices.ts'
import { addUsage } from '../../../src/core/usage.ts'
import type { Rehearsal } from '../../../src/rehearsal/rehearsal.ts'
import type { Field } from './field.ts'

export interface Spent extends Usage {
  readonly cost_micros: number
}

type Request = ReturnType<Rehearsal['requests']>[number]

/** By this key of a request; a key that nothing was spent under is missing. */
export function spentBy(rehearsal: Rehearsal, key: (request: Request) => string): Record<string, Spent> {
  const answered = rehearsal.requests().filter(({ turn, status }) => turn !== null && status === 200)
  return Object.fromEntries([...Map.groupBy(answered, key)].map(([name, of]) => [name, sumOf(of)]))
}

/** The CLI's own name for the session, its forks included. */
export const sessionOf = ({ headers }: Request): string => headers['x-claude-code-session-id'] ?? ''

function sumOf(requests: readonly Request[]): Spent {
  const cost = requests.reduce((sum, { model, usage }) => {
    const prices = pricesOf(model)
    if (prices === undefined) throw new Error(`${model} has no price`)
    return sum + costOfCall(usage, prices)
  }, 0)
  const usage = requests.map((request) => request.usage).reduce(addUsage, NO_USAGE)
  return { ...usage, cost_micros: Math.round(cost / 1_000_000) }
}

const TOKENS = 'input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens'
const SUMS = TOKENS.replaceAll(/\w+/g, (column) => `sum(${column}) AS ${column}`)

/** The same out of the tables and views, in plain SQL. */
export function spentInLedger(field: Field): Readonly<Record<string, Record<string, Spent>>> {
  const db = new Database(join(field.scratch.dir, 'board/orchestrator.db'), { readonly: true })
  const read = (sql: string): Record<string, Spent> => {
    const rows = db.prepare<[], Spent & { readonly key: string }>(sql).all()
    return Object.fromEntries(rows.map(({ key, ...spent }) => [key, spent]))
  }
  try {
    return {
      sessions: read(
        `SELECT session_id AS key, ${TOKENS}, estimated_cost_micros AS cost_micros FROM agent_sessions`,
      ),
      invocations: read(
        `SELECT session_id AS key, ${SUMS}, sum(cost_micros) AS cost_micros FROM claude_invocations GROUP BY session_id`,
      ),
      trees: read(`SELECT root_session_id AS key, ${TOKENS}, cost_micros FROM cost_by_tree`),
      models: read(`SELECT model AS key, ${TOKENS}, cost_micros FROM cost_by_model`),
      all: read(`SELECT 'all' AS key, ${SUMS}, sum(cost_micros) AS cost_micros FROM cost_by_day`),
    }
  } finally {
    db.close()
  }
}

export interface CostDocument {
  readonly rows: readonly (Usage & { readonly key: string | null; readonly cost_usd: number })[]
  readonly total: Usage & { readonly cost_usd: number }
}

/** What `GET /cost` and `drover cost --json` answer, its total under `total`. */
export function spentIn({ rows, total }: CostDocument): Record<string, Spent> {
  const all = [...rows, { ...total, key: 'total' }]
  return Object.fromEntries(all.map((row) => [row.key ?? 'none', toSpent(row)]))
}

function toSpent(row: Usage & { readonly cost_usd: number }): Spent {
  const { input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens } = row
  return {
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_creation_tokens,
    cost_micros: Math.round(row.cost_usd * 1_000_000),
  }
}
