/**
 * What somebody asks of a task that is there: to end, to run again, to wait for more.
 *
 * A task's run is the session whose id is derived from task and run. So whatever must not begin any more is settled at
 * that id, in one step of Redis: a session that there is, is ended; one that there is not yet, is given up
 * (`queue/forgo-session.ts`). Whoever is about to ask for it at that moment, here or on another board, is refused.
 * What the ledger says is where each try begins; where Redis knows more, the ledger is waited for and looked at again.
 */
import type { CancelTaskAnswer, DependenciesAnswer, RetryTaskAnswer } from '../core/task-answer.ts'
import type { Actor } from '../core/envelope.ts'
import { isDroverError } from '../core/errors.ts'
import { sessionIdOfTask } from '../core/ids.ts'
import { requestDigest, type KillBody, type DependenciesBody } from '../core/request.ts'
import { isEnded } from '../core/state.ts'
import type { LedgerReader, TaskView } from '../ledger/ledger.ts'
import type { Kill } from '../producer/kill.ts'
import { pendingOf, requestOfTask, type Tasks } from '../producer/tasks.ts'
import { neverBegan } from '../queue/session-end.ts'
import type { SessionRecord, SessionStore } from '../queue/session-store.ts'
import type { Queues } from '../queue/jobs.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { findCycle } from './cycle.ts'
import { requireTask } from './known.ts'
import { LEDGER_WAIT_MS } from './spawn.ts'
import { dependencyCycle } from './spawn-plan.ts'
import {
  hasBegun,
  hasOwnSession,
  lostByRedis,
  notRetryable,
  nothingToCancel,
  recorderBehind,
} from './task-refusals.ts'
import type { ViaRedis } from './via-redis.ts'

/** Each try means that the task has come a step further meanwhile. */
const MOST_TRIES = 20

export interface TaskControlParts {
  readonly ledger: LedgerReader
  readonly namespace: string
  /** For tasks that name none. */
  readonly defaultWorkspace: string
  readonly store: Pick<SessionStore, 'read' | 'readEnded' | 'change'>
  readonly tasks: Tasks
  readonly kill: Kill
  readonly queues: Pick<Queues, 'remove'>
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly viaRedis: ViaRedis
  readonly onError: (error: unknown) => void
}

/** Who asks, and how long an answer is waited for. */
export interface TaskAskedBy {
  readonly actor: Actor
  /** Stops waiting; what was asked for stands. */
  readonly signal: AbortSignal
}

/** All throw `task_not_found`, and `task_not_ready` where the task's state does not allow it. */
export interface TaskControl {
  /**
   * Ends the task, with its session where it has one. Asked again it answers the same.
   *
   * @throws DroverError `kill_failed` where its pod has not ended it in time; the cancel stands all the same
   */
  cancel(taskId: string, body: KillBody, by: TaskAskedBy): Promise<CancelTaskAnswer>
  /** Begins another run of a task that failed or was cancelled; what it blocked waits again. */
  retry(taskId: string, by: TaskAskedBy): Promise<RetryTaskAnswer>
  /**
   * Gives a task that has not begun more to wait for. One that is in its queue already goes back.
   *
   * @throws DroverError `dependency_cycle`
   */
  depend(taskId: string, body: DependenciesBody, by: TaskAskedBy): Promise<DependenciesAnswer>
}

/**
 * What one try came to: done with the event at `streamId`, or to be looked at again when that is recorded (null: at once).
 */
type Step =
  | {
      readonly isDone: true
      readonly streamId: string
      readonly sessionId?: string
      readonly agentId?: string | null
    }
  | { readonly isDone: false; readonly streamId: string | null }
type Done = Extract<Step, { isDone: true }>

export function createTaskControl(parts: TaskControlParts): TaskControl {
  const { ledger, namespace, store, tasks, recorder, viaRedis } = parts

  return {
    async cancel(taskId, body, by) {
      let done: Done | null = null
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const task = requireTask(ledger, taskId)
        if (task.status === 'cancelled') return cancelled(task, done, true)
        if (task.status === 'completed' || task.status === 'failed') throw nothingToCancel(task)
        const step = await viaRedis(cancelOnce(task, body, by))
        if (step.isDone) done = step
        if (await isRecorded(step)) continue
        if (step.isDone) return cancelled(task, step, false)
        throw recorderBehind(task)
      }
      throw recorderBehind(requireTask(ledger, taskId))
    },

    async retry(taskId, by) {
      const task = requireTask(ledger, taskId)
      if (task.status !== 'failed' && task.status !== 'cancelled') throw notRetryable(task)
      const run = task.run + 1
      const pending = { ...pendingOf(located(task)), run, actor: by.actor }
      const streamId = await viaRedis(tasks.again(pending))
      const recorded = await recorder.waitFor(streamId, LEDGER_WAIT_MS)
      const now = requireTask(ledger, taskId)
      const isThere = recorded && now.run >= run
      return {
        success: true,
        action: 'retry',
        task_id: taskId,
        run,
        status: isThere ? now.status : 'pending',
        durability: isThere ? 'ledger' : 'redis',
        waiting_for: [...now.waiting_for],
        dependents: [...ledger.tasks.dependentsOf(taskId)],
        message: `The task ${taskId} runs again (run ${run}).`,
      }
    },

    async depend(taskId, { depends_on }, by) {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const task = requireTask(ledger, taskId)
        const added = [...new Set(depends_on)].filter((id) => !task.depends_on.includes(id))
        for (const id of added) requireTask(ledger, id)
        if (added.length === 0) return depending(task, [], true)
        refuseCycle(task, added)
        if (task.status !== 'pending' && task.status !== 'spawned') throw hasBegun(task)
        const step = await viaRedis(dependOnce(task, added, by))
        const recorded = await isRecorded(step)
        if (!step.isDone) {
          if (recorded) continue
          throw recorderBehind(task)
        }
        const now = requireTask(ledger, taskId)
        // Somebody made one of those wait for this one at the same moment, and was the first.
        if (recorded && now.run === task.run + 1) refuseCycle(now, added)
        return depending(recorded ? now : task, added, recorded)
      }
      throw recorderBehind(requireTask(ledger, taskId))
    },
  }

  async function cancelOnce(task: TaskView, body: KillBody, by: TaskAskedBy): Promise<Step> {
    const sessionId = runOf(task)
    const record = await store.read(sessionId)
    if (record !== null && !isEnded(record.state)) return await killRun(record, body, by)
    const ended = {
      task_id: task.task_id,
      status: 'cancelled',
      error_message: `Cancelled: ${body.reason ?? 'drover tasks cancel'}.`,
      run: task.run,
      actor: by.actor,
    } as const
    if (task.session_id === null) {
      if (record !== null) return again(record.lastId)
      const streamId = await tasks.forgo(task, ended)
      return streamId === null ? again(await firstIdOf(sessionId)) : { isDone: true, streamId }
    }
    // Its session was ended when it was blocked; there is nothing else of it.
    if (task.status === 'blocked') {
      return { isDone: true, streamId: await tasks.end(task.agent_type, ended) }
    }
    if (record === null) throw lostByRedis(task)
    return again(record.lastId)
  }

  async function killRun(
    { sessionId, lastId }: SessionRecord,
    { reason, grace_seconds, force }: KillBody,
    { actor, signal }: TaskAskedBy,
  ): Promise<Step> {
    try {
      const { answer, streamId } = await parts.kill(sessionId, {
        actor,
        signal,
        reason: reason ?? 'drover tasks cancel',
        graceSeconds: grace_seconds ?? undefined,
        force: force ?? undefined,
      })
      return { isDone: true, streamId, sessionId, agentId: answer.agent_id }
    } catch (error) {
      // It came to its own end first: the task's state says how.
      if (!isDroverError(error) || error.code !== 'session_ended') throw error
      return again((await store.read(sessionId))?.lastId ?? lastId)
    }
  }

  async function dependOnce(task: TaskView, added: readonly string[], by: TaskAskedBy): Promise<Step> {
    const sessionId = runOf(task)
    const pending = {
      ...pendingOf(located(task)),
      depends_on: [...task.depends_on, ...added],
      run: task.run + 1,
      added_dependencies: added,
      actor: by.actor,
    }
    const record = await store.read(sessionId)
    if (record === null) {
      if (task.session_id !== null) throw lostByRedis(task)
      const streamId = await tasks.forgo(task, pending)
      return streamId === null ? again(await firstIdOf(sessionId)) : { isDone: true, streamId }
    }
    if (isEnded(record.state)) return again(record.lastId)
    if (record.state !== 'queued' || record.agentId !== null) throw hasBegun(task)
    if (record.digest !== requestDigest(requestOfTask(located(task)))) throw hasOwnSession(task, sessionId)
    // The next run and the end of this one's session in one step; the ledger takes the end for that of a past run.
    const end = neverBegan(
      `The task ${task.task_id} waits for ${added.join(', ')} too; it will have another session.`,
    )
    const changed = await store.change(
      { sessionId, agentType: task.agent_type, epoch: record.epoch },
      {
        from: ['queued'],
        to: 'cancelled',
        set: end.set,
        events: [{ type: 'drover.task.pending', payload: pending }, ...end.events],
        last: true,
      },
    )
    if (!changed.ok) return again((await store.read(sessionId))?.lastId ?? record.lastId)
    await parts.queues.remove(task.agent_type, sessionId).catch(parts.onError)
    return { isDone: true, streamId: changed.streamId, sessionId }
  }

  /** The session of the task's present run, whether there is one or not. */
  function runOf(task: TaskView): string {
    return task.session_id ?? sessionIdOfTask(namespace, task.task_id, task.run)
  }

  function located(task: TaskView): TaskView & { readonly workspace_dir: string } {
    return { ...task, workspace_dir: task.workspace_dir ?? parts.defaultWorkspace }
  }

  /** Up to where the ledger must be read to see what became of a session that was there, or was given up. */
  async function firstIdOf(sessionId: string): Promise<string | null> {
    const record = await store.read(sessionId)
    return record?.lastId ?? (await store.readEnded(sessionId))?.first_id ?? null
  }

  async function isRecorded({ streamId }: Step): Promise<boolean> {
    return streamId === null || (await recorder.waitFor(streamId, LEDGER_WAIT_MS))
  }

  function cancelled(task: TaskView, done: Done | null, recorded: boolean): CancelTaskAnswer {
    const { task_id, session_id, assigned_agent } = task
    return {
      success: true,
      action: 'cancel',
      task_id,
      status: 'cancelled',
      durability: recorded ? 'ledger' : 'redis',
      session_id: done?.sessionId ?? session_id,
      agent_id: done?.agentId ?? assigned_agent,
      cancelled_at: recorded ? task.completed_at : null,
      dependents: [...ledger.tasks.dependentsOf(task_id)],
      message: `The task ${task_id} is cancelled; nothing of it starts any more.`,
    }
  }

  function depending(task: TaskView, added: readonly string[], recorded: boolean): DependenciesAnswer {
    const { task_id, status } = task
    const depends_on = [...new Set([...task.depends_on, ...added])]
    return {
      success: true,
      action: 'depend',
      task_id,
      status: recorded ? status : 'pending',
      durability: recorded ? 'ledger' : 'redis',
      added: [...added],
      depends_on,
      waiting_for: depends_on.filter((id) => ledger.tasks.get(id)?.status !== 'completed'),
      dependents: [...ledger.tasks.dependentsOf(task_id)],
      message:
        added.length === 0
          ? `The task ${task_id} depends on these already.`
          : `The task ${task_id} now depends on ${depends_on.join(', ')}.`,
    }
  }

  function refuseCycle(task: TaskView, added: readonly string[]): void {
    const cycle = findCycle([task.task_id], (id) => {
      const recorded = ledger.tasks.get(id)?.depends_on ?? []
      return id === task.task_id ? [...recorded, ...added] : recorded
    })
    if (cycle !== null) throw dependencyCycle(cycle)
  }
}

const again = (streamId: string | null): Step => ({ isDone: false, streamId })
