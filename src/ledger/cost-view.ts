/** What was spent, grouped. Every grouping adds up the same column, so that all totals agree. */
import type { Statement } from 'better-sqlite3'
import type { Db } from './database.ts'
import type { CostBy, CostReport, CostRow } from './ledger.ts'
import { isoTime } from './list.ts'

type Summed = Omit<CostRow, 'cost_usd' | 'estimated'> & {
  readonly cost_micros: number
  readonly estimated: 0 | 1
}

/** A session's cost is on the day it started; one that never started is on the day it was accepted. */
const SPENT_AT = 'coalesce(started_at, created_at)'

const KEYS: Readonly<Record<CostBy, string>> = {
  agent_type: 'agent_type',
  day: `substr(${SPENT_AT}, 1, 10)`,
  task: 'task_id',
  session: 'session_id',
}

const SUMS = `count(*) AS sessions,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
    coalesce(sum(cache_creation_tokens), 0) AS cache_creation_tokens,
    coalesce(sum(estimated_cost_micros), 0) AS cost_micros,
    coalesce(max(cost_estimated), 0) AS estimated
  FROM agent_sessions WHERE ${SPENT_AT} >= ?`

const NOTHING: Summed = {
  key: null,
  sessions: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_creation_tokens: 0,
  cost_micros: 0,
  estimated: 0,
}

/** Before every time there is. */
const EVER = ''

export function createCostView(db: Db): (by: CostBy, since?: string) => CostReport {
  const grouped = (by: CostBy): Statement<[string], Summed> =>
    db.prepare<[string], Summed>(`SELECT ${KEYS[by]} AS key, ${SUMS} GROUP BY key ORDER BY key`)
  const byKey: Readonly<Record<CostBy, Statement<[string], Summed>>> = {
    agent_type: grouped('agent_type'),
    day: grouped('day'),
    task: grouped('task'),
    session: grouped('session'),
  }
  const inAll = db.prepare<[string], Summed>(`SELECT NULL AS key, ${SUMS}`)

  return (by, since) => {
    const from = since === undefined ? EVER : isoTime('since', since)
    // One snapshot, so that the total is the sum of the rows.
    return db.transaction((): CostReport => {
      const { key: _none, ...total } = toRow(inAll.get(from) ?? NOTHING)
      return { by, rows: byKey[by].all(from).map(toRow), total }
    })()
  }
}

function toRow({ cost_micros, estimated, ...sums }: Summed): CostRow {
  return { ...sums, cost_usd: cost_micros / 1e6, estimated: estimated === 1 }
}
