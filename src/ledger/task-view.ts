/** Tasks as lists, pages and `ensureJobs` see them. */
import type { Db } from './database.ts'
import type { TaskView, TaskViews } from './ledger.ts'
import { redactedOf, stringsOf, varsOf } from './json-column.ts'
import { createList, previewOf } from './list.ts'
import { createTaskGraph } from './task-graph.ts'
import { waitedFor } from './task-dependency.ts'

export interface TaskRow extends Omit<
  TaskView,
  'depends_on' | 'waiting_for' | 'worktree' | 'vars' | 'redacted'
> {
  readonly worktree: 0 | 1 | null
  /** JSON arrays of task ids. */
  readonly depends_on: string
  readonly waiting_for: string
  /** JSON objects. */
  readonly vars: string | null
  readonly redacted: string | null
}

/** The columns of a task `t`; its prompt as the caller wants it. */
export function selectTask(prompt: string): string {
  return `SELECT
    ${taskColumns(prompt)}
  FROM orchestrator_task AS t`
}

export function taskColumns(prompt: string): string {
  return `t.task_id, t.agent_type, ${prompt} AS prompt, t.status, t.priority, t.priority_number, t.assigned_agent,
    t.workspace_dir, t.worktree, t.created_at, t.spawned_at, t.started_at, t.completed_at, t.error_message, t.run,
    t.session_id, t.created_by, t.template, t.vars, t.redacted,
    (SELECT json_group_array(d.depends_on) FROM task_dependency AS d WHERE d.task_id = t.task_id) AS depends_on,
    (SELECT json_group_array(depends_on) FROM (${waitedFor('t.task_id')})) AS waiting_for`
}

export function createTaskViews(db: Db): TaskViews {
  const selectById = db.prepare<[string], TaskRow>(`${selectTask('t.prompt')} WHERE t.task_id = ?`)
  const selectDependents = db
    .prepare<[string], string>('SELECT task_id FROM task_dependency WHERE depends_on = ? ORDER BY task_id')
    .pluck()
  const list = createList<TaskRow, TaskView>(db, {
    select: selectTask(previewOf('t.prompt')),
    time: 't.created_at',
    id: 't.task_id',
    columns: { status: 't.status', agentType: 't.agent_type', taskId: 't.task_id' },
    searched: ['t.task_id', 't.agent_type', 't.prompt'],
    toView: toTaskView,
    placeOf: (row) => [row.created_at, row.task_id],
  })

  return {
    list,
    get(taskId) {
      const row = selectById.get(taskId)
      return row === undefined ? null : toTaskView(row)
    },
    dependentsOf: (taskId) => selectDependents.all(taskId),
    graph: createTaskGraph(db),
  }
}

export function toTaskView(row: TaskRow): TaskView {
  return {
    ...row,
    worktree: row.worktree === null ? null : row.worktree === 1,
    depends_on: stringsOf(row.depends_on),
    waiting_for: stringsOf(row.waiting_for),
    vars: varsOf(row.vars),
    redacted: redactedOf(row.redacted),
  }
}
