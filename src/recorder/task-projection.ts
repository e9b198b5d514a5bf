/** `drover.task.*` → `orchestrator_task` and `task_dependency`; `drover.roadmap.*` → `roadmap_priority`. */
import type { EventHeader } from '../core/envelope.ts'
import type { RoadmapPriority, TaskBlocked, TaskEnded, TaskPending, TaskSpawned } from '../core/events.ts'
import type { Redacted } from '../core/redacted.ts'
import type { SpawnRequest } from '../core/request.ts'
import type { Tables } from '../ledger/tables.ts'
import type { Effects, Handlers } from './handler.ts'

function onPending(tables: Tables, header: EventHeader, payload: TaskPending, effects: Effects): void {
  const { task_id: taskId } = payload
  const added = tables.tasks.add({
    task_id: taskId,
    agent_type: payload.agent_type,
    prompt: payload.prompt,
    priority: payload.priority,
    priority_number: payload.priority_number,
    workspace_dir: payload.workspace_dir,
    worktree: payload.worktree ?? null,
    created_at: header.ts,
    run: payload.run,
    created_by: payload.created_by ?? null,
    ...templateColumns(payload),
    redacted: redactedColumn(payload),
  })
  if (added) tables.tasks.setDependencies(taskId, dependenciesOf(tables, payload))
  effects.taskIds.add(taskId)
  if (!added || payload.run === 0) return
  for (const id of tables.tasks.unblock(taskId)) effects.taskIds.add(id)
}

/** Of two that made each other's tasks wait at the same time, the second one's would wait for itself: it is left out. */
function dependenciesOf(tables: Tables, payload: TaskPending): readonly string[] {
  const { task_id, depends_on, added_dependencies: added = [] } = payload
  return depends_on.filter((id) => !added.includes(id) || !tables.tasks.waitsFor(id, task_id))
}

function onSpawned(tables: Tables, header: EventHeader, payload: TaskSpawned, effects: Effects): void {
  tables.tasks.link(payload.task_id, payload.session_id, header.ts)
  effects.taskIds.add(payload.task_id)
}

/** Said with the end of a session that waited, where there was one. */
function onBlocked(tables: Tables, header: EventHeader, payload: TaskBlocked, effects: Effects): void {
  const { task_id: taskId } = payload
  const others = payload.blocked_by.join(', ')
  const blocked = tables.tasks.block(taskId, `It depends on ${others}, which did not complete.`)
  // Meanwhile that one was asked to run again.
  if (!blocked && header.session_id !== null) tables.tasks.waitAgain(taskId, header.session_id)
  effects.taskIds.add(taskId)
}

/** Ends the task's run. An event of a session ends it only where that session is the current run's. */
export function endTask(tables: Tables, header: EventHeader, payload: TaskEnded, effects: Effects): void {
  const { task_id: taskId, status, error_message: error, run = null } = payload
  tables.tasks.end({ taskId, sessionId: header.session_id, run, status, error, ts: header.ts })
  if (status === 'completed') tables.tasks.release(taskId, header.ts)
  effects.taskIds.add(taskId)
}

function onPriority(tables: Tables, _header: EventHeader, payload: RoadmapPriority): void {
  const { priority_number, title, status } = payload
  tables.roadmap.set({ priority_number, title, status })
}

/** What a prompt was made of, as columns. */
export function templateColumns({ template, vars }: Pick<SpawnRequest, 'template' | 'vars'>): {
  readonly template: string | null
  readonly vars: string | null
} {
  return { template: template ?? null, vars: template == null ? null : JSON.stringify(vars ?? {}) }
}

/** What was taken out of it, as a column. */
export function redactedColumn({ redacted }: { readonly redacted?: Redacted }): string | null {
  return redacted === undefined ? null : JSON.stringify(redacted)
}

/** Of events that belong to no session, or to the session that is the task's run. */
export const TASK_HANDLERS: Handlers<EventHeader> = {
  'drover.task.pending': onPending,
  'drover.task.spawned': onSpawned,
  'drover.task.blocked': onBlocked,
  'drover.task.ended': endTask,
  'drover.roadmap.priority': onPriority,
}
