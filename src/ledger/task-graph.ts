/** Tasks and which waits for which, as far as they are looked at together. */
import type { TaskState } from '../core/state.ts'
import type { Db } from './database.ts'

export const MAX_GRAPH_NODES = 10_000
export const DEFAULT_GRAPH_NODES = 1000

export interface TaskGraphQuery {
  /** Only this one, what it waits for over however many tasks, and what waits for it. */
  readonly taskId?: string | undefined
  /** Most tasks, up to `MAX_GRAPH_NODES`; the newest are taken. @default 1000 */
  readonly limit?: number | undefined
}

export interface TaskGraphRow {
  readonly task_id: string
  readonly agent_type: string
  readonly status: TaskState
  readonly priority_number: number | null
}

export interface TaskGraphRows {
  /** Oldest first. */
  readonly tasks: readonly TaskGraphRow[]
  /** `to` waits for `from`; both are among the tasks. */
  readonly edges: readonly { readonly from: string; readonly to: string }[]
  readonly omitted: number
}

const RELATED = `
  WITH RECURSIVE
    before (task_id) AS (
      SELECT @taskId UNION SELECT d.depends_on FROM task_dependency AS d JOIN before USING (task_id)),
    after (task_id) AS (
      SELECT @taskId UNION SELECT d.task_id FROM task_dependency AS d JOIN after ON d.depends_on = after.task_id)
  SELECT task_id FROM before UNION SELECT task_id FROM after`

export function createTaskGraph(db: Db): (query: TaskGraphQuery) => TaskGraphRows {
  const columns = 'task_id, agent_type, status, priority_number'
  const newest = 'ORDER BY created_at DESC, rowid DESC LIMIT @limit'
  const selectAll = db.prepare<[object], TaskGraphRow>(`SELECT ${columns} FROM orchestrator_task ${newest}`)
  const countAll = db.prepare<[], number>('SELECT count(*) FROM orchestrator_task').pluck()
  const selectRelated = db.prepare<[object], TaskGraphRow>(
    `SELECT ${columns} FROM orchestrator_task WHERE task_id IN (${RELATED}) ${newest}`,
  )
  const countRelated = db
    .prepare<[object], number>(`SELECT count(*) FROM orchestrator_task WHERE task_id IN (${RELATED})`)
    .pluck()
  const selectEdges = db.prepare<[object], { from: string; to: string }>(
    `SELECT depends_on AS "from", task_id AS "to" FROM task_dependency
     WHERE task_id IN (SELECT value FROM json_each(@ids)) AND depends_on IN (SELECT value FROM json_each(@ids))
     ORDER BY task_id, depends_on`,
  )

  return ({ taskId, limit = DEFAULT_GRAPH_NODES }) => {
    const rows = taskId === undefined ? selectAll.all({ limit }) : selectRelated.all({ taskId, limit })
    const count = taskId === undefined ? countAll.get() : countRelated.get({ taskId })
    const ids = JSON.stringify(rows.map(({ task_id }) => task_id))
    return {
      tasks: rows.toReversed(),
      edges: selectEdges.all({ ids }),
      omitted: (count ?? 0) - rows.length,
    }
  }
}
