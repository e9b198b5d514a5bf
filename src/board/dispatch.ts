/** What `ensureJobs` asks for, done by the producer. */
import { isDroverError } from '../core/errors.ts'
import type { SessionEnded, TaskBlocked } from '../core/events.ts'
import { NO_USAGE } from '../core/envelope.ts'
import type { Tasks } from '../producer/tasks.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { Dispatch } from '../recorder/ensure-jobs.ts'

export interface DispatchParts {
  readonly tasks: Tasks
  readonly store: Pick<SessionStore, 'change'>
  /** For tasks that name none. */
  readonly defaultWorkspace: string
}

/** Nothing is remembered and every id is derived, so each call may come again. */
export function createDispatch({ tasks, store, defaultWorkspace }: DispatchParts): Dispatch {
  return {
    ensureJob: (job) => tasks.ensureJob(job),

    async spawnTask(task) {
      try {
        await tasks.spawn({ ...task, workspace_dir: task.workspace_dir ?? defaultWorkspace })
      } catch (error) {
        // Somebody gave the task its session a moment ago, asked for in another way. It has one: all that was wanted.
        if (isDroverError(error) && error.code === 'idempotency_conflict') return
        throw error
      }
    },

    async blockTask(task, blockedBy) {
      const taskId = task.task_id
      if (task.session_id === null) return await tasks.block(taskId, task.agent_type, blockedBy)
      // Both in one call of the script: a task that is blocked is not asked for again, so its session must not stay.
      const session = { sessionId: task.session_id, agentType: task.agent_type }
      const blocked: TaskBlocked = { task_id: taskId, blocked_by: blockedBy }
      const ended = neverStarted(`It waited for ${blockedBy.join(', ')}, which did not complete.`)
      const events: OwnEvent[] = [
        { type: 'drover.task.blocked', payload: blocked },
        { type: 'drover.session.ended', payload: ended },
      ]
      const changed = await store.change(session, {
        from: ['queued'],
        to: ended.status,
        set: { ended: JSON.stringify({ ...ended, completed_at: new Date().toISOString() }) },
        events,
        last: true,
      })
      if (!changed.ok && changed.refused === 'missing') {
        await tasks.block(taskId, task.agent_type, blockedBy)
      }
    },
  }
}

/** `failed`, so that the task stays `blocked`: a cancelled session would cancel it. */
function neverStarted(message: string): SessionEnded {
  return {
    status: 'failed',
    failure_reason: 'cancelled',
    message,
    output: null,
    cost_micros: 0,
    usage: NO_USAGE,
    num_turns: 0,
    duration_ms: 0,
    restarts: 0,
    permission_denials: [],
  }
}
