/** `POST /sessions`: plan, accept once, and answer when the caller wants to know. */
import type { AcceptedAnswer, SpawnAnswer } from '../core/answer.ts'
import { createBell } from '../core/bell.ts'
import { sleep } from '../core/clock.ts'
import type { Actor } from '../core/envelope.ts'
import { DroverError, isDroverError } from '../core/errors.ts'
import { requestDigest, type SpawnBody, type SpawnRequest, type Wait } from '../core/request.ts'
import type { LedgerReader, SessionView } from '../ledger/ledger.ts'
import type { TakenOut } from '../core/redacted.ts'
import type { Acceptance, Acceptor } from '../producer/accept.ts'
import { takenOutOf } from '../producer/tasks.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import type { Queues } from '../queue/jobs.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { Tidying } from '../queue/tidying.ts'
import type { UnredactedStore } from '../queue/unredacted.ts'
import type { Recorder } from '../recorder/recorder.ts'
import type { Commits } from './commits.ts'
import { earlierAcceptance } from './earlier.ts'
import { isDispatched } from './dispatched.ts'
import { repeatedAnswer, startedAnswer } from './spawn-answer.ts'
import { planSpawn, sessionIdsOfKey, type AskedSession, type SpawnPlan } from './spawn-plan.ts'
import type { Waits } from '../producer/waits.ts'
import { untilTidied } from './tidied.ts'
import type { ViaRedis } from './via-redis.ts'

/** How long an answer waits for the ledger before it says `durability: "redis"`. */
export const LEDGER_WAIT_MS = 2000
/** How long a request that Redis lost is tried again: writing back takes some hundred milliseconds. */
const RESTORED_WAIT_MS = 5000
/** Announcements of commits can be lost with a connection: the ledger is looked at this often all the same. */
const LOOK_AGAIN_MS = 1000

export interface SpawnParts {
  readonly ledger: LedgerReader
  readonly namespace: string
  readonly defaultWorkspace: string
  readonly acceptor: Acceptor
  readonly types: AgentTypeRegistry
  readonly queues: Queues
  readonly store: Pick<SessionStore, 'read'>
  readonly tidying: Pick<Tidying, 'until'>
  readonly unredacted: Pick<UnredactedStore, 'promptOf'>
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly commits: Commits
  readonly waits: Pick<Waits, 'begin'>
  readonly viaRedis: ViaRedis
  readonly onError: (error: unknown) => void
}

export interface AskedBy {
  readonly actor: Actor
  readonly idempotencyKey: string | null
  /** The session whose agent asks. */
  readonly createdBy: string | null
  /** The caller follows the session to its start or its end, as the client does. */
  readonly awaited: boolean
  /** Stops waiting, never the session. */
  readonly signal: AbortSignal
}

export interface Spawned {
  readonly httpStatus: 200 | 202
  readonly answer: SpawnAnswer
}

export type Spawn = (body: SpawnBody, asked: AskedBy) => Promise<Spawned>

export function createSpawn(parts: SpawnParts): Spawn {
  const { ledger } = parts

  return async ({ wait, on_busy, ...asked }, by) => {
    const type = await templatesFor(asked)
    const plan = planSpawn(parts, asked, by.idempotencyKey, type, await takenOutOfTask(asked))
    refuseOtherUseOfKey(plan, by.idempotencyKey)
    const accepted =
      (await repeat(plan, by.idempotencyKey)) ??
      (await acceptOrMeet(plan, on_busy, { ...by, awaited: by.awaited || wait !== 'accepted' }))
    // From here on the session is accepted: whatever fails, the answer says so.
    const answer = await reached(accepted, wait, by)
    return { answer, httpStatus: answer === accepted && !accepted.repeated ? 202 : 200 }
  }

  /** The type as it is now, for requests with a template. */
  async function templatesFor(asked: AskedSession): Promise<AgentTypeSummary | null> {
    if (asked.template == null) return null
    return await parts.viaRedis(parts.types.current(asked.agent_type))
  }

  async function takenOutOfTask({ task_id: taskId }: AskedSession): Promise<TakenOut | null> {
    const task = taskId == null ? null : ledger.tasks.get(taskId)
    return task === null ? null : await parts.viaRedis(takenOutOf(parts.unredacted, task))
  }

  /** Accepted before, as the ledger knows it. */
  async function repeat(plan: SpawnPlan, idempotencyKey: string | null): Promise<AcceptedAnswer | null> {
    if (plan.sessionId === null) return null
    const view = ledger.sessions.get(plan.sessionId)
    const earlier = earlierAcceptance(ledger, plan.sessionId)
    if (view === null || earlier === null) return null
    const isSame = earlier.digest === requestDigest(plan.request) || isDispatched(earlier, plan.request)
    if (!isSame) throw conflict(view, plan.request, idempotencyKey)
    const position = await parts.queues.position(view.agent_type, view.session_id).catch(() => 0)
    return repeatedAnswer(view, await timeoutOf(view), position)
  }

  /** A task may be given its session by Drover itself in this very moment. */
  async function acceptOrMeet(
    plan: SpawnPlan,
    onBusy: 'queue' | 'fail',
    by: AskedBy,
  ): Promise<AcceptedAnswer> {
    try {
      return await accept(plan, onBusy, by)
    } catch (error) {
      const isMet =
        plan.request.task_id != null && isDroverError(error) && error.code === 'idempotency_conflict'
      if (!isMet || plan.sessionId === null) throw error
      const record = await parts.viaRedis(parts.store.read(plan.sessionId))
      if (record !== null) await parts.recorder.waitFor(record.firstId, LEDGER_WAIT_MS)
      const met = await repeat(plan, by.idempotencyKey)
      if (met === null) throw error
      return met
    }
  }

  async function timeoutOf(view: SessionView): Promise<number> {
    if (view.timeout_seconds !== null) return view.timeout_seconds
    return (await parts.viaRedis(parts.types.require(view.agent_type))).timeout
  }

  async function accept(plan: SpawnPlan, onBusy: 'queue' | 'fail', by: AskedBy): Promise<AcceptedAnswer> {
    if (onBusy === 'fail' && plan.waitingFor.length > 0) throw dependenciesIncomplete(plan, ledger)
    const ask = (sessionId: string | null, on: 'queue' | 'fail'): Promise<Acceptance> =>
      parts.viaRedis(
        parts.acceptor.accept(plan.request, {
          actor: by.actor,
          idempotencyKey: by.idempotencyKey,
          createdBy: by.createdBy ?? plan.createdBy,
          counted: plan.createdBy !== null && (by.createdBy ?? plan.createdBy) === plan.createdBy,
          awaited: by.awaited,
          before: plan.before,
          makesTask: plan.makesTask,
          ...(sessionId === null ? {} : { sessionId }),
          waitingFor: plan.waitingFor,
          onBusy: on,
        }),
      )
    const first = await ask(plan.sessionId, onBusy)
    if (await isRecorded(first)) return { ...first.answer, durability: 'ledger' }
    // Redis came back without it while we waited, and the request is still in our hands: once more, as the same session.
    const { session_id: id } = first.answer
    if (!(await isLost(id))) return first.answer
    const again = await untilRestored(() => ask(id, 'queue'), by.signal)
    return again !== null && (await isRecorded(again))
      ? { ...first.answer, durability: 'ledger' }
      : first.answer
  }

  /** Looked up, and not only counted: a Redis that lost it gives its place on the stream to others. */
  async function isRecorded({ answer, streamId }: Acceptance): Promise<boolean> {
    const reached = await parts.recorder.waitFor(streamId, LEDGER_WAIT_MS)
    return reached && lookOrNull(() => ledger.sessions.get(answer.session_id)) !== null
  }

  /** Neither Redis nor the ledger has it. While Redis does not answer nobody knows. */
  async function isLost(sessionId: string): Promise<boolean> {
    const record = await parts.store.read(sessionId).catch(() => undefined)
    return record === null && lookOrNull(() => ledger.sessions.get(sessionId)) === null
  }

  /** Redis takes nothing new until what the ledger knows is written back. Null where that takes too long. */
  async function untilRestored<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T | null> {
    for (const began = performance.now(); performance.now() - began < RESTORED_WAIT_MS;) {
      try {
        return await ask()
      } catch (error) {
        if (signal.aborted || !isDroverError(error) || error.code !== 'redis_unavailable') return null
        await sleep(LOOK_AGAIN_MS / 5, signal)
      }
    }
    return null
  }

  /** The answer that was asked for, or `accepted` where it could not be waited for any longer. */
  async function reached(
    accepted: AcceptedAnswer,
    wait: Wait,
    { createdBy, signal }: AskedBy,
  ): Promise<SpawnAnswer> {
    if (wait === 'accepted') return accepted
    const end = createdBy === null ? null : await parts.waits.begin(createdBy, accepted.session_id)
    try {
      return await lookedFor(accepted, wait, signal)
    } finally {
      end?.()
    }
  }

  async function lookedFor(
    accepted: AcceptedAnswer,
    wait: Exclude<Wait, 'accepted'>,
    signal: AbortSignal,
  ): Promise<SpawnAnswer> {
    const { session_id: id, timeout_seconds: timeout } = accepted
    const look = (): SpawnAnswer | null =>
      wait === 'started' ? startedAnswer(ledger, id, timeout) : ledger.sessions.completedAnswer(id)
    const answer = await untilAnswered(look, signal)
    if (answer === null) return accepted
    if ('completed_at' in answer) await untilTidied(parts.tidying, id, answer.completed_at, signal)
    return answer
  }

  async function untilAnswered(
    look: () => SpawnAnswer | null,
    signal: AbortSignal,
  ): Promise<SpawnAnswer | null> {
    const bell = createBell()
    const off = parts.commits.on(() => bell.ring())
    try {
      for (;;) {
        const answer = lookOrNull(look)
        if (answer !== null || signal.aborted) return answer
        await bell.wait(LOOK_AGAIN_MS, signal)
      }
    } finally {
      off()
    }
  }

  /** A ledger that does not answer for a moment ends no wait; that the session did not start does. */
  function lookOrNull<Found>(look: () => Found | null): Found | null {
    try {
      return look()
    } catch (error) {
      if (isDroverError(error) && error.code !== 'ledger_unavailable') throw error
      parts.onError(error)
      return null
    }
  }

  /** A key is one session: with and without tasks its id is another one. */
  function refuseOtherUseOfKey(plan: SpawnPlan, idempotencyKey: string | null): void {
    if (idempotencyKey === null) return
    for (const id of sessionIdsOfKey(parts.namespace, idempotencyKey)) {
      const other = id === plan.sessionId ? null : ledger.sessions.get(id)
      if (other !== null) throw conflict(other, plan.request, idempotencyKey)
    }
  }
}

function conflict(session: SessionView, request: SpawnRequest, idempotencyKey: string | null): DroverError {
  const { session_id, task_id } = session
  const message =
    idempotencyKey !== null
      ? `The idempotency key "${idempotencyKey}" was accepted before with another request. Use a new key for a new request.`
      : `The task ${request.task_id} has its session already (${session_id}), asked for in another way. ` +
        'Leave out what differs from the task, or give the work another task.'
  return new DroverError('idempotency_conflict', message, { session_id, task_id })
}

function dependenciesIncomplete({ request, waitingFor }: SpawnPlan, ledger: LedgerReader): DroverError {
  // A task that this request would have been given is none.
  const task = request.task_id == null ? null : ledger.tasks.get(request.task_id)
  return new DroverError(
    'dependencies_incomplete',
    `These tasks are not completed: ${waitingFor.join(', ')}. Use --on-busy queue to wait for them.`,
    { agent_type: request.agent_type, task_id: task?.task_id ?? null, waiting_for: waitingFor },
  )
}
