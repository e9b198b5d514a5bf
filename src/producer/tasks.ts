/** Tasks: adding them, and what `ensureJobs` asks for. The rules about their states live with the ledger. */
import type { Redis } from 'ioredis'
import { composeEvent, type Actor, type OwnEventType } from '../core/envelope.ts'
import type { RoadmapPriority, TaskBlocked, TaskEnded, TaskPending } from '../core/events.ts'
import { sessionIdOfTask } from '../core/ids.ts'
import { redactWork, type Redacted, type TakenOut, type TakesOut } from '../core/redacted.ts'
import {
  priorityOfTask,
  type RoadmapPriorityRequest,
  type SpawnRequest,
  type TaskRequest,
  type TemplateVars,
} from '../core/request.ts'
import { createForgoSession } from '../queue/forgo-session.ts'
import type { Queues } from '../queue/jobs.ts'
import type { Keys } from '../queue/keys.ts'
import { keepIn, type UnredactedStore } from '../queue/unredacted.ts'
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
  /** How many runs there were before. */
  readonly run: number
  /** Of a template's prompt. */
  readonly template: string | null
  readonly vars: TemplateVars | null
  /** What was taken out of prompt and variables before they were recorded. */
  readonly redacted: Redacted | null
  /** The session whose agent added it. */
  readonly created_by: string | null
}

/** A task with its prompt as it is given to the agent. */
export type NewTask = Omit<TaskRequest, 'prompt'> & {
  readonly prompt: string
  readonly workspace_dir: string
}

export interface Tasks {
  /**
   * Appends `drover.task.pending` for each, and the titles, all or nothing: without secrets, and the prompts that have
   * some are kept in the same step. Answers the stream id of the last.
   *
   * @param by with the session whose agent adds them
   */
  add(
    tasks: readonly NewTask[],
    priorities: readonly RoadmapPriorityRequest[],
    by: { readonly actor: Actor; readonly createdBy: string | null },
  ): Promise<string>
  /** Begins another run. Of two that begin the same one, the ledger takes the first. Answers the stream id. */
  again(pending: TaskPending): Promise<string>
  /**
   * Gives up the run of a task that has no session, and says so with an event of the task. From then on no session of
   * that run can begin, whoever is about to ask for it. Null where it has one, or was given up by somebody else.
   */
  forgo(
    task: Pick<ReadyTask, 'task_id' | 'agent_type' | 'run'>,
    event: TaskPending | TaskEnded,
  ): Promise<string | null>
  /** Ends the run of a task that has no session, or none any more. */
  end(agentType: string, ended: TaskEnded): Promise<string>
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
  readonly unredacted: Pick<UnredactedStore, 'promptOf'>
  /** Takes secrets out of what is recorded (docs/redaction.md). */
  readonly redactor: TakesOut
}

export function createTasks(parts: TasksParts): Tasks {
  const { redis, keys, acceptor, queues, redactor } = parts
  const forgoSession = createForgoSession(redis, keys)

  const append = async (type: OwnEventType, agentType: string, payload: object): Promise<string> =>
    String(await redis.xadd(keys.events, '*', 'event', taskEvent(type, agentType, payload)))

  /** The reason is what somebody wrote. */
  const told = (ended: TaskEnded): TaskEnded =>
    ended.error_message === null ? ended : { ...ended, error_message: redactor.text(ended.error_message) }

  return {
    async add(tasks, priorities, { actor, createdBy }) {
      const transaction = redis.multi()
      for (const { priority_number, title, status = null } of priorities) {
        const named: RoadmapPriority = {
          task_id: `#${priority_number}`,
          priority_number,
          title: redactor.text(title),
          status,
          actor,
        }
        transaction.xadd(keys.events, '*', 'event', taskEvent('drover.roadmap.priority', '', named))
      }
      for (const asked of tasks) {
        const { recorded: task, redacted, prompt } = redactWork(asked, redactor)
        if (redacted !== null && prompt !== null) {
          keepIn(transaction, keys, [{ taskId: task.task_id, digest: redacted.digest, prompt }])
        }
        const pending: TaskPending = {
          task_id: task.task_id,
          agent_type: task.agent_type,
          prompt: task.prompt,
          priority: priorityOfTask(task),
          priority_number: task.priority_number ?? null,
          workspace_dir: task.workspace_dir,
          worktree: task.worktree ?? null,
          depends_on: task.depends_on ?? [],
          ...templateOf(task),
          ...(redacted === null ? {} : { redacted }),
          ...(createdBy === null ? {} : { created_by: createdBy }),
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

    again: (pending) => append('drover.task.pending', pending.agent_type, pending),

    async forgo(task, event) {
      const type = 'status' in event ? 'drover.task.ended' : 'drover.task.pending'
      return await forgoSession({
        sessionId: sessionIdOfTask(keys.namespace, task.task_id, task.run),
        agentType: task.agent_type,
        event: taskEvent(type, task.agent_type, 'status' in event ? told(event) : event),
      })
    },

    end: (agentType, ended) => append('drover.task.ended', agentType, told(ended)),

    async spawn(task) {
      await acceptor.accept(requestOfTask(task), {
        actor: { via: 'drover', name: 'ensureJobs' },
        sessionId: sessionIdOfTask(keys.namespace, task.task_id, task.run),
        createdBy: task.created_by,
        counted: true,
        before: await takenOutOf(parts.unredacted, task),
      })
    },

    async block(taskId, agentType, blockedBy) {
      const blocked: TaskBlocked = { task_id: taskId, blocked_by: blockedBy }
      await append('drover.task.blocked', agentType, blocked)
    },

    async ensureJob(job) {
      await queues.ensure(job)
    },
  }
}

/** What was taken out of a task, with its prompt as it was given where Redis still has it; null for nothing. */
export async function takenOutOf(
  unredacted: Pick<UnredactedStore, 'promptOf'>,
  task: Pick<ReadyTask, 'task_id' | 'redacted'>,
): Promise<TakenOut | null> {
  const { redacted } = task
  return redacted === null ? null : { redacted, prompt: await unredacted.promptOf(task) }
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
    ...templateOf(task),
  }
}

function templateOf({
  template,
  vars,
}: Pick<TaskRequest, 'template' | 'vars'>): Pick<TaskPending, 'template' | 'vars'> {
  return template == null ? {} : { template, vars: vars ?? {} }
}

/** A task as another run begins with it. */
export function pendingOf(
  task: ReadyTask & Pick<TaskPending, 'priority_number' | 'depends_on'>,
): Omit<TaskPending, 'actor'> {
  return {
    task_id: task.task_id,
    agent_type: task.agent_type,
    prompt: task.prompt,
    priority: task.priority,
    priority_number: task.priority_number,
    workspace_dir: task.workspace_dir,
    worktree: task.worktree,
    depends_on: task.depends_on,
    ...templateOf(task),
    ...(task.redacted === null ? {} : { redacted: task.redacted }),
    run: task.run,
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
