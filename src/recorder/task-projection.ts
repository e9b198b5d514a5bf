/** `drover.task.*` → `orchestrator_task` and `task_dependency`. */
import type { EventHeader } from '../core/envelope.ts'
import type { TaskBlocked, TaskEnded, TaskPending, TaskSpawned } from '../core/events.ts'
import type { Tables } from '../ledger/open.ts'
import type { Effects, Handlers } from './handler.ts'

function onPending(tables: Tables, header: EventHeader, payload: TaskPending, effects: Effects): void {
  const added = tables.tasks.add({
    task_id: payload.task_id,
    agent_type: payload.agent_type,
    prompt: payload.prompt,
    priority: payload.priority,
    priority_number: payload.priority_number,
    workspace_dir: payload.workspace_dir,
    worktree: payload.worktree ?? null,
    created_at: header.ts,
    run: payload.run,
  })
  if (added) tables.tasks.setDependencies(payload.task_id, payload.depends_on)
  effects.taskIds.add(payload.task_id)
}

function onSpawned(tables: Tables, header: EventHeader, payload: TaskSpawned, effects: Effects): void {
  tables.tasks.link(payload.task_id, payload.session_id, header.ts)
  effects.taskIds.add(payload.task_id)
}

function onBlocked(tables: Tables, _header: EventHeader, payload: TaskBlocked, effects: Effects): void {
  const others = payload.blocked_by.join(', ')
  tables.tasks.block(payload.task_id, `It depends on ${others}, which did not complete.`)
  effects.taskIds.add(payload.task_id)
}

/** Ends the task's run. An event of a session ends it only where that session is the current run's. */
export function endTask(tables: Tables, header: EventHeader, payload: TaskEnded, effects: Effects): void {
  const { task_id, status, error_message } = payload
  tables.tasks.end(task_id, header.session_id, status, error_message, header.ts)
  if (status === 'completed') tables.tasks.release(task_id, header.ts)
  effects.taskIds.add(task_id)
}

export const TASK_HANDLERS: Handlers<EventHeader> = {
  'drover.task.pending': onPending,
  'drover.task.spawned': onSpawned,
  'drover.task.blocked': onBlocked,
  'drover.task.ended': endTask,
}
