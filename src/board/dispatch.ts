/** What `ensureJobs` asks for, done by the producer. */
import { isDroverError, type ErrorCode } from '../core/errors.ts'
import type { TaskBlocked } from '../core/events.ts'
import type { Tasks } from '../producer/tasks.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import { neverBegan } from '../queue/session-end.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { Dispatch } from '../recorder/ensure-jobs.ts'

export interface DispatchParts {
  readonly tasks: Tasks
  readonly store: Pick<SessionStore, 'change'>
  /** For tasks that name none. */
  readonly defaultWorkspace: string
}

const SETTLED: ReadonlySet<ErrorCode> = new Set(['idempotency_conflict', 'task_not_ready'])

/** Nothing is remembered and every id is derived, so each call may come again. */
export function createDispatch({ tasks, store, defaultWorkspace }: DispatchParts): Dispatch {
  return {
    ensureJob: (job) => tasks.ensureJob(job),

    async spawnTask(task) {
      try {
        await tasks.spawn({ ...task, workspace_dir: task.workspace_dir ?? defaultWorkspace })
      } catch (error) {
        // Somebody gave the task its session a moment ago, asked for in another way. It has one: all that was wanted.
        // Or the run was given up since: the task was cancelled, or got more to wait for.
        if (isDroverError(error) && SETTLED.has(error.code)) return
        throw error
      }
    },

    async blockTask(task, blockedBy) {
      const taskId = task.task_id
      if (task.session_id === null) return await tasks.block(taskId, task.agent_type, blockedBy)
      // Both in one call of the script: a task that is blocked is not asked for again, so its session must not stay.
      const session = { sessionId: task.session_id, agentType: task.agent_type }
      const blocked: TaskBlocked = { task_id: taskId, blocked_by: blockedBy }
      // `failed`, so that the task stays `blocked`: a cancelled session would cancel it.
      const end = neverBegan(`It waited for ${blockedBy.join(', ')}, which did not complete.`, 'failed')
      const events: OwnEvent[] = [{ type: 'drover.task.blocked', payload: blocked }, ...end.events]
      const changed = await store.change(session, {
        from: ['queued'],
        to: 'failed',
        set: end.set,
        events,
        last: true,
      })
      if (!changed.ok && changed.refused === 'missing') {
        await tasks.block(taskId, task.agent_type, blockedBy)
      }
    },
  }
}
