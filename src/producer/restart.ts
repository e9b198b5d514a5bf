/**
 * Restarting a session, for every door.
 *
 * A session that has not ended goes on as itself: its agent is ended (SIGTERM, so that the conversation is written
 * down) and followed by another one at once, or its gate is opened; its counters begin again. The request carries the
 * epoch of the agent that it means, so that it is done once: a later agent ignores it.
 *
 * A session that has ended is never left: a new one goes on from it (`restart_of`). Its id is derived from the old
 * one's, so a session has one restart, and asking again (the answer was lost) answers the same.
 */
import type { RestartAnswer } from '../core/answer.ts'
import type { Actor } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import type { SessionRestarting, TaskPending } from '../core/events.ts'
import { sessionIdOfRestart, sessionIdOfTask } from '../core/ids.ts'
import type { SpawnRequest } from '../core/request.ts'
import type { TakenOut } from '../core/redacted.ts'
import { restartRefusal, type EndedSession } from '../core/restart-by-hand.ts'
import { isEnded, isLive } from '../core/state.ts'
import type { SessionRequests } from '../queue/session-requests.ts'
import type { SessionRecord, SessionStore } from '../queue/session-store.ts'
import type { Acceptor } from './accept.ts'
import type { Follower } from './follow.ts'
import { epochOfNamed } from './kill.ts'

/** The grace of a kill, the next agent's epoch. */
const NEW_AGENT_MS = 15_000
const MOST_TRIES = 100

/** How to restart. */
export interface RestartOptions {
  readonly actor: Actor
  /** Also where the failure is one that a restart alone does not mend. */
  readonly force?: boolean | undefined
  /** Only while this is the session's living agent. */
  readonly agentId?: string | undefined
  /** Stops waiting; the restart stands. */
  readonly signal?: AbortSignal | undefined
}

/** An ended session with what its restart is made of. */
export interface EndedToRestart extends EndedSession {
  /** As it is recorded. */
  readonly request: SpawnRequest
  /** What was taken out of it; null for nothing. */
  readonly before: TakenOut | null
  readonly lastAgentId: string | null
  /** Restarts that led to it. */
  readonly restartsBefore: number
  /** The task that it was the run of, as it is now; null without one. */
  readonly task: Omit<TaskPending, 'actor'> | null
  /** Tasks that are not completed and that its own task depends on. */
  readonly waitingFor: readonly string[]
}

/** The answer, and where the request is on the stream; '' where nothing new was put there. */
export interface Restarted {
  readonly answer: RestartAnswer
  readonly streamId: string
}

export interface Restarter {
  /**
   * Of a session that has not ended; null where it has. Resolves when the next agent is known, or cannot be soon.
   *
   * @throws DroverError `process_not_found`, `session_ended` where it is being killed, or ended meanwhile
   */
  goOn(record: SessionRecord, options: RestartOptions): Promise<Restarted | null>
  /**
   * Of an ended one.
   *
   * @throws DroverError `session_ended`, `non_retryable_error`, what `accept` throws
   */
  again(ended: EndedToRestart, options: RestartOptions): Promise<Restarted>
}

export interface RestarterParts {
  readonly store: Pick<SessionStore, 'read'>
  readonly requests: SessionRequests
  readonly acceptor: Acceptor
  readonly follower: Pick<Follower, 'until'>
  readonly namespace: string
  /** Of the configuration: what the answers say. */
  readonly maxRestarts: number
}

export function createRestarter(parts: RestarterParts): Restarter {
  const { store, requests, acceptor, follower, namespace, maxRestarts } = parts

  return {
    async goOn(first, options) {
      let record: SessionRecord | null = first
      for (let tries = 0; tries < MOST_TRIES && record !== null; tries++) {
        if (isEnded(record.state)) return null
        epochOfNamed(record, options.agentId)
        const asked = await requests.restart(record, {
          request: { actor: options.actor, epoch: record.epoch, at: new Date().toISOString() },
          event: { type: 'drover.session.restarting', payload: restartingBy(options.actor) },
          mustLive: options.agentId !== undefined,
        })
        if (asked.ok) {
          const after = asked.found === 'queued' ? record : await untilNextAgent(record, options.signal)
          return { streamId: asked.streamId, answer: goneOn(record, after, maxRestarts) }
        }
        if (asked.refused === 'cancelled') throw beingKilled(record)
        record = await store.read(record.sessionId)
      }
      return null
    },

    async again(ended, options) {
      const refusal = restartRefusal(ended, options.force ?? false)
      if (refusal !== null) throw refusal
      const { sessionId: old, request, task } = ended
      const taskAgain = task === null ? null : { ...task, run: task.run + 1, actor: options.actor }
      const sessionId =
        taskAgain === null
          ? sessionIdOfRestart(namespace, old)
          : sessionIdOfTask(namespace, taskAgain.task_id, taskAgain.run)
      const { answer, streamId } = await acceptor.accept(request, {
        actor: options.actor,
        sessionId,
        restartOf: old,
        before: ended.before,
        waitingFor: ended.waitingFor,
        ...(taskAgain === null ? {} : { taskAgain }),
      })
      if (isEnded(answer.status)) throw restartedBefore(old, sessionId, answer.status)
      return {
        streamId,
        answer: {
          success: true,
          action: 'restart',
          old_agent_id: ended.lastAgentId,
          session_id: sessionId,
          restart_of: old,
          task_id: answer.task_id,
          retry_count: ended.restartsBefore + 1,
          backoff_seconds: 0,
          max_retries: maxRestarts,
          message: answer.repeated
            ? `The session ${old} was restarted before, as ${sessionId} (${answer.status}).`
            : `The session ${sessionId} goes on where ${old} ended.`,
        },
      }
    },
  }

  /** The session as soon as it has another agent; as it is when it ends, or when that takes long. */
  async function untilNextAgent(before: SessionRecord, signal?: AbortSignal): Promise<SessionRecord> {
    const patience = AbortSignal.timeout(NEW_AGENT_MS)
    const waiting = signal === undefined ? patience : AbortSignal.any([signal, patience])
    const record = await follower.until(
      before.sessionId,
      (now) => now.agentId !== before.agentId || now.state === 'waiting_workspace',
      waiting,
    )
    if (isEnded(record.state) && record.agentId === before.agentId) throw endedMeanwhile(record)
    return record
  }
}

/** An ended session as its hash still has it. Tasks are not in it: whoever restarts those asks the ledger. */
export function endedOfRecord(record: SessionRecord, restartsBefore: number): EndedToRestart {
  const { sessionId, agentType, ended, request, redacted, unredactedPrompt, agentId } = record
  if (ended === null) throw new Error(`session ${sessionId} has not ended`)
  return {
    sessionId,
    agentType,
    status: ended.status,
    failureReason: ended.failure_reason,
    request,
    before: redacted === null ? null : { redacted, prompt: unredactedPrompt },
    lastAgentId: agentId,
    restartsBefore,
    task: null,
    waitingFor: [],
  }
}

function restartingBy(actor: Actor): SessionRestarting {
  return {
    reason: 'cancelled',
    message: 'Another agent was asked for.',
    restarts: 0,
    backoff_ms: 0,
    not_before: new Date().toISOString(),
    actor,
  }
}

function goneOn(before: SessionRecord, after: SessionRecord, maxRestarts: number): RestartAnswer {
  const isNew = after.agentId !== null && after.agentId !== before.agentId
  return {
    success: true,
    action: 'restart',
    old_agent_id: before.agentId,
    session_id: before.sessionId,
    restart_of: null,
    task_id: before.request.task_id ?? null,
    retry_count: 0,
    backoff_seconds: 0,
    max_retries: maxRestarts,
    message: messageOf(before, after, isNew),
    ...(isNew && after.agentId !== null ? { new_agent_id: after.agentId } : {}),
  }
}

function messageOf(before: SessionRecord, after: SessionRecord, isNew: boolean): string {
  const { sessionId, agentId } = before
  if (before.state === 'queued') {
    return `The session ${sessionId} waits for its turn already; there is nothing to restart.`
  }
  if (isNew) return `The session ${sessionId} goes on with ${after.agentId}.`
  if (after.state === 'waiting_workspace') return `The session ${sessionId} waits for its workspace.`
  return isLive(before.state)
    ? `The restart is recorded; the session goes on as soon as ${agentId} has ended.`
    : `The session ${sessionId} goes on as soon as a pod takes it.`
}

function beingKilled({ sessionId }: SessionRecord): DroverError {
  return new DroverError(
    'session_ended',
    `The session ${sessionId} is being killed. Restart it when it has ended: that makes a new session.`,
    { session_id: sessionId },
  )
}

function endedMeanwhile({ sessionId, state }: SessionRecord): DroverError {
  return new DroverError('session_ended', `The session ${sessionId} ended meanwhile: it is ${state}.`, {
    session_id: sessionId,
    status: state,
  })
}

/** A session has one restart: that one can be restarted in turn. */
export function restartedBefore(old: string, sessionId: string, status: string): DroverError {
  return new DroverError(
    'session_ended',
    `The session ${old} was restarted before, as ${sessionId}, which is ${status}. Restart that one.`,
    { session_id: sessionId, restart_of: old, status },
  )
}
