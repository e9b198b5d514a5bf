/** Why a task is not cancelled, run again, or made to wait for more. */
import { DroverError } from '../core/errors.ts'
import type { TaskView } from '../ledger/ledger.ts'

function notReady(task: TaskView, message: string): DroverError {
  const { task_id, status, session_id, waiting_for } = task
  return new DroverError('task_not_ready', message, { task_id, status, session_id, waiting_for })
}

export function nothingToCancel(task: TaskView): DroverError {
  return notReady(task, `The task ${task.task_id} is ${task.status}: there is nothing to cancel.`)
}

export function notRetryable(task: TaskView): DroverError {
  const { task_id, status, waiting_for } = task
  return notReady(
    task,
    status === 'blocked'
      ? `The task ${task_id} is blocked by ${waiting_for.join(', ')}. Retry what failed of that; this one goes on by itself.`
      : `The task ${task_id} is ${status}; only a task that failed or was cancelled can be retried.`,
  )
}

export function hasBegun(task: TaskView): DroverError {
  const { task_id, status } = task
  const state = status === 'pending' || status === 'spawned' ? 'about to run' : status
  return notReady(
    task,
    `The task ${task_id} is ${state}; only a task that is pending, or spawned and without an agent, can wait for more.`,
  )
}

export function hasOwnSession(task: TaskView, sessionId: string): DroverError {
  return notReady(
    task,
    `The session ${sessionId} of the task ${task.task_id} was asked for by itself, with members of its own, which another ` +
      'run would not have. Cancel and retry the task, then add what it is to wait for.',
  )
}

export function lostByRedis({ task_id, session_id }: TaskView): DroverError {
  return new DroverError(
    'redis_unavailable',
    `Redis has lost the session of the task ${task_id}; it is written back from the ledger. Ask again in a moment.`,
    { task_id, session_id, retry_after_seconds: 5 },
  )
}

export function recorderBehind({ task_id }: TaskView): DroverError {
  return new DroverError(
    'ledger_unavailable',
    `The recorder is behind with the task ${task_id}. Look at it and ask again in a moment.`,
    { task_id, retry_after_seconds: 2 },
  )
}
