/** Tasks: adding them, and what `ensureJobs` asks for. The rules about their states live with the ledger. */
import type { Redis } from 'ioredis'
import { composeEvent, type Actor, type OwnEventType } from '../core/envelope.ts'
import type { TaskBlocked, TaskPending } from '../core/events.ts'
import { sessionIdOfTask } from '../core/ids.ts'
import { DEFAULT_PRIORITY, type SpawnRequest, type TaskRequest } from '../core/request.ts'
import type { Queues } from '../queue/jobs.ts'
import type { Keys } from '../queue/keys.ts'
import type { Acceptor } from './accept.ts'

/** A task that is ready: what its session is made of. */
export interface ReadyTask {
  readonly task_id: string
  readonly agent_type: string
  readonly prompt: string
  readonly priority: number
  readonly workspace_dir: string
  /** null: as the agent type has it. */
  readonly worktree: boolean | null
  /** How often it ran before. */
  readonly run: number
}

export interface Tasks {
  /** Appends `drover.task.pending` for each, all or nothing. Answers the stream id of the last. */
  add(tasks: readonly (TaskRequest & { readonly workspace_dir: string })[], actor: Actor): Promise<string>
  /** Accepts the session of a task's run; a repeat makes the same one. */
  spawn(task: ReadyTask): Promise<void>
  block(taskId: string, agentType: string, blockedBy: readonly string[]): Promise<void>
  /** Gives an accepted session its job. */
  ensureJob(job: { sessionId: string; agentType: string; priority: number }): Promise<void>
}

export interface TasksParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly acceptor: Acceptor
  readonly queues: Queues
}

export function createTasks(parts: TasksParts): Tasks {
  const { redis, keys, acceptor, queues } = parts

  return {
    async add(tasks, actor) {
      const transaction = redis.multi()
      for (const task of tasks) {
        const pending: TaskPending = {
          task_id: task.task_id,
          agent_type: task.agent_type,
          prompt: task.prompt,
          priority: task.priority ?? DEFAULT_PRIORITY,
          priority_number: task.priority_number ?? null,
          workspace_dir: task.workspace_dir,
          worktree: task.worktree ?? null,
          depends_on: task.depends_on ?? [],
          run: 0,
          actor,
        }
        transaction.xadd(
          keys.events,
          '*',
          'event',
          taskEvent('drover.task.pending', task.agent_type, pending),
        )
      }
      const answers = (await transaction.exec()) ?? []
      const [error, streamId] = answers.at(-1) ?? [new Error('Redis refused the transaction'), null]
      if (error !== null) throw error
      return String(streamId)
    },

    async spawn(task) {
      await acceptor.accept(requestOfTask(task), {
        actor: { via: 'drover', name: 'ensureJobs' },
        sessionId: sessionIdOfTask(keys.namespace, task.task_id, task.run),
      })
    },

    async block(taskId, agentType, blockedBy) {
      const blocked: TaskBlocked = { task_id: taskId, blocked_by: blockedBy }
      await redis.xadd(keys.events, '*', 'event', taskEvent('drover.task.blocked', agentType, blocked))
    },

    async ensureJob(job) {
      await queues.ensure(job)
    },
  }
}

/** A task's session, as a request: whoever makes it makes the same one, so that its digest is the same. */
export function requestOfTask(task: ReadyTask): SpawnRequest {
  return {
    agent_type: task.agent_type,
    prompt: task.prompt,
    task_id: task.task_id,
    workspace_dir: task.workspace_dir,
    priority: task.priority,
    ...(task.worktree === null ? {} : { worktree: task.worktree }),
  }
}

function taskEvent(type: OwnEventType, agentType: string, payload: object): string {
  const header = {
    session_id: null,
    agent_id: null,
    agent_type: agentType,
    epoch: 0,
    seq: null,
    line: null,
    ts: new Date().toISOString(),
    type,
  }
  return composeEvent(header, JSON.stringify(payload))
}
