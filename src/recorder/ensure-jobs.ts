/**
 * `ensureJobs`: the one place that decides that a session should be in its queue, that a task should get its
 * session, and that a task can never start. Dispatcher, reconciler and repair in one.
 *
 * After each commit it looks at what the commit touched and at what depends on it, once a minute at all that is
 * open. Every call it makes may be repeated, since ids are derived; so it remembers nothing that matters, and dying
 * at any line is made good by the next pass.
 */
import { sleep } from '../core/clock.ts'
import { isDroverError, messageOf } from '../core/errors.ts'
import type { TaskView } from '../ledger/ledger.ts'
import type { BlockedTask } from '../ledger/open-work.ts'
import type { Ledger } from '../ledger/open.ts'
import { createErrorLimiter } from '../telemetry/error-limiter.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { CommitSummary } from './recorder.ts'

/** A whole pass finds what a commit's pass could not do: a process died, or Redis lost the job. */
const WHOLE_PASS_MS = 60_000
/** After a call failed, mostly because Redis is away. */
const RETRY_MS = 2000
/** Calls at a time, so that a backlog of thousands neither floods Redis nor waits for each answer. */
const PARALLEL = 16

/** A session that should be in its queue. */
export interface EnsuredJob {
  readonly sessionId: string
  readonly agentType: string
  readonly priority: number
}

/** What `ensureJobs` may ask for. Every call may come again: a repeat must change nothing. */
export interface Dispatch {
  /** Adds the session's job, unless it is there or the session has ended. */
  ensureJob(job: EnsuredJob): Promise<void>
  /** Accepts the session of the task's current run (`sessionIdOfTask`). */
  spawnTask(task: TaskView): Promise<void>
  /** Publishes `drover.task.blocked`, and ends the task's session (`task.session_id`) where there is one. */
  blockTask(task: TaskView, blockedBy: readonly string[]): Promise<void>
}

export interface EnsureJobsParts {
  readonly ledger: Pick<Ledger, 'openWork' | 'tasks'>
  readonly dispatch: Dispatch
  readonly log: Pick<Logger, 'warn'>
  /** @default 60000 */
  readonly wholePassMs?: number
}

export interface EnsureJobs {
  /** Begins with a whole pass. Safe to call twice. */
  start(): void
  /** Asks for a whole pass, for when Redis has lost jobs; returns at once. */
  lookAtAll(): void
  /** For the recorder's `onCommit`: never throws, returns at once. */
  afterCommit(summary: Pick<CommitSummary, 'acceptedSessionIds' | 'taskIds'>): void
  /** Resolves when the pass that runs is over; safe to call twice. */
  stop(): Promise<void>
}

/** What is to be looked at. */
interface Scope {
  everything: boolean
  readonly sessionIds: Set<string>
  readonly taskIds: Set<string>
}

type Call = () => Promise<void>

export function createEnsureJobs(parts: EnsureJobsParts): EnsureJobs {
  const { ledger, dispatch, log, wholePassMs = WHOLE_PASS_MS } = parts
  const limiter = createErrorLimiter(log)
  const stop = new AbortController()
  let asked = nothing()
  let wake = (): void => {}
  let running: { readonly timer: NodeJS.Timeout; readonly done: Promise<void> } | null = null

  function askForEverything(): void {
    asked.everything = true
    wake()
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      if (isNothing(asked)) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      const scope = asked
      asked = nothing()
      if (await pass(scope)) continue
      // Which call failed is not remembered: a whole pass finds out, and repeats are harmless.
      asked.everything = true
      await sleep(RETRY_MS, stop.signal)
    }
  }

  /** False where a repeat may help. */
  async function pass(scope: Scope): Promise<boolean> {
    let failed = false
    const failedBy = (error: unknown): void => {
      limiter.warn('ensure_jobs', `A session or task could not be dispatched: ${messageOf(error)}`)
      // A refusal (no such agent type) stands in the way of nothing else, and the next whole pass asks again.
      failed ||= !(isDroverError(error) && error.httpStatus < 500)
    }
    try {
      const calls = callsFor(scope).values()
      const lanes = Array.from({ length: PARALLEL }, async () => {
        for (const call of calls) {
          if (failed || stop.signal.aborted) return
          await call().catch(failedBy)
        }
      })
      await Promise.all(lanes)
    } catch (error) {
      failedBy(error)
    }
    return !failed
  }

  function callsFor(scope: Scope): Call[] {
    const { openWork, tasks } = ledger
    if (scope.everything) {
      return [
        ...openWork.blockedTasks().map(block),
        ...openWork.readyTasks().map(spawn),
        ...openWork.readySessions().map(ensure),
      ]
    }
    const dependents = [...scope.taskIds].flatMap((taskId) => tasks.dependentsOf(taskId))
    const waiting = dependents.map((taskId) => tasks.get(taskId)?.session_id ?? null)
    const taskIds = [...new Set([...scope.taskIds, ...dependents])]
    const sessionIds = [...new Set([...scope.sessionIds, ...waiting])].filter((id) => id !== null)
    return [
      ...taskIds.flatMap((taskId) => openWork.blockedTasks(taskId).map(block)),
      ...taskIds.flatMap((taskId) => openWork.readyTasks(taskId).map(spawn)),
      ...sessionIds.flatMap((sessionId) => openWork.readySessions(sessionId).map(ensure)),
    ]
  }

  const block =
    ({ task, blockedBy }: BlockedTask): Call =>
    () =>
      dispatch.blockTask(task, blockedBy)
  const spawn =
    (task: TaskView): Call =>
    () =>
      dispatch.spawnTask(task)
  const ensure =
    (job: EnsuredJob): Call =>
    () =>
      dispatch.ensureJob(job)

  return {
    start() {
      if (running !== null) return
      running = { timer: setInterval(askForEverything, wholePassMs), done: run() }
      askForEverything()
    },
    lookAtAll: askForEverything,
    afterCommit({ acceptedSessionIds, taskIds }) {
      for (const id of acceptedSessionIds) asked.sessionIds.add(id)
      for (const id of taskIds) asked.taskIds.add(id)
      if (!isNothing(asked)) wake()
    },
    async stop() {
      stop.abort()
      wake()
      clearInterval(running?.timer)
      await running?.done
      limiter.flush()
    },
  }
}

function nothing(): Scope {
  return { everything: false, sessionIds: new Set(), taskIds: new Set() }
}

function isNothing({ everything, sessionIds, taskIds }: Scope): boolean {
  return !everything && sessionIds.size === 0 && taskIds.size === 0
}
