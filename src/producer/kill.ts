/**
 * Killing a session, for every door. The kill is a member of the session's hash, written by one script call together
 * with its event; it stands until the session has ended, whoever dies meanwhile. What happens when:
 *
 * | the kill comes                              | then                                                                 |
 * | ------------------------------------------- | -------------------------------------------------------------------- |
 * | while it is queued, also for tasks          | it ends in the same call; its job is taken away, or whoever claims it finds it ended and finishes it |
 * | in a back-off, a usage limit's pause        | the same; the pod that waits hears the doorbell                      |
 * | between the epoch and the process           | `start` has happened: the agent ends as soon as it lives             |
 * | just before the epoch                       | `start` is refused                                                   |
 * | while it runs                               | SIGTERM, the grace, SIGKILL; then the session ends as cancelled      |
 * | while it finishes with a success            | the success stands: `session_ended`                                  |
 * | while its agent crashes, or is handed over  | the session may come to no rest: it ends as cancelled                |
 * | while its pod is dead or cut off            | `kill_failed` says so; who takes it over, after the lease, starts nothing and ends it |
 * | a second time, or its answer was lost       | nothing more happens, and the answer is the same; with `force` the grace is over at once |
 *
 * So a session ends once, and nothing of it starts after the answer.
 */
import type { KillAnswer } from '../core/answer.ts'
import type { Actor } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import type { TakesOut } from '../core/redacted.ts'
import { isEnded, isLive } from '../core/state.ts'
import type { Queues } from '../queue/jobs.ts'
import { cancelledEnding, endOf, lostAgentEvents } from '../queue/session-end.ts'
import type { CancelRequest } from '../queue/session-record.ts'
import type { SessionRequests } from '../queue/session-requests.ts'
import { ENDED_TTL_SECONDS, type SessionRecord, type SessionStore } from '../queue/session-store.ts'
import type { Tidying } from '../queue/tidying.ts'
import type { Transcripts } from '../queue/transcripts.ts'
import type { Follower } from './follow.ts'

/** Between SIGTERM and SIGKILL where neither the request nor the pod says another. */
const DEFAULT_GRACE_SECONDS = 10
/** On top of the grace: the doorbell, the last lines, the end on the stream. */
const ANSWER_MS = 10_000
/** Each try means that the session has come a step further meanwhile. */
const MOST_TRIES = 100

/** How to kill. */
export interface KillOptions {
  readonly actor: Actor
  readonly reason?: string | undefined
  /** Between SIGTERM and SIGKILL. @default as the pod is configured */
  readonly graceSeconds?: number | undefined
  /** SIGKILL at once. */
  readonly force?: boolean | undefined
  /** Only while this is the session's living agent. */
  readonly agentId?: string | undefined
  /** Stops waiting; the kill stands. */
  readonly signal?: AbortSignal | undefined
}

/** The answer, and where the session's last event is on the stream. */
export interface Killed {
  readonly answer: KillAnswer
  readonly streamId: string
}

/**
 * Resolves when the session has ended.
 *
 * @throws DroverError `session_not_found`; `session_ended` where it ended in another way; `process_not_found` where the
 *   agent that was named is gone; `kill_failed` where the pod did not end it in time, though the kill stands;
 *   `cleanup_failed` where it has ended, and its worktree can be neither kept nor removed
 */
export type Kill = (sessionId: string, options: KillOptions) => Promise<Killed>

export interface KillParts {
  readonly store: Pick<SessionStore, 'read' | 'change'>
  /** See `queue/lease.ts`. */
  readonly hasLostLease: (lease: SessionRecord['lease']) => Promise<boolean>
  readonly requests: SessionRequests
  readonly queues: Pick<Queues, 'remove'>
  readonly transcripts: Pick<Transcripts, 'keepFor'>
  readonly follower: Pick<Follower, 'until'>
  readonly tidying: Pick<Tidying, 'until'>
  /** Takes secrets out of the reason (docs/redaction.md). */
  readonly redactor: Pick<TakesOut, 'text'>
  readonly onError: (error: unknown) => void
}

export function createKill(parts: KillParts): Kill {
  const { store, requests, queues, transcripts, follower, onError } = parts

  return async (sessionId, options) => {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const record = await requireRecord(store, sessionId)
      if (isEnded(record.state)) return await tidied(record, options)
      const epoch = epochOfNamed(record, options.agentId)
      const reason = parts.redactor.text(options.reason ?? 'drover kill')
      const request = requestOf({ ...options, reason })
      const end = endOf({ ...record, cancel: request }, cancelledEnding(request), new Date())
      const asked = await requests.cancel(record, { request, seq: record.seq, end, epoch })
      // Refused: it is not as it was read a moment ago.
      if (!asked.ok) continue
      if (asked.found === 'live') {
        await endAbandoned(sessionId)
        return await tidied(await untilEnded(record, options), options)
      }
      await queues.remove(record.agentType, sessionId).catch(onError)
      // For a restart by hand; no pod may look after its files.
      await transcripts.keepFor(sessionId, ENDED_TTL_SECONDS).catch(onError)
    }
    throw new DroverError('kill_failed', `The session ${sessionId} never stood still. Ask again.`, {
      session_id: sessionId,
    })
  }

  async function tidied(record: SessionRecord, { signal }: KillOptions): Promise<Killed> {
    const killed = killedOf(record)
    const { sessionId: session_id, agentId: agent_id, state: status } = record
    const problem = await parts.tidying.until(session_id, signal)
    if (problem === null) return killed
    throw new DroverError('cleanup_failed', `The session ${session_id} is killed. ${problem}`, {
      session_id,
      agent_id,
      status,
    })
  }

  async function untilEnded(before: SessionRecord, options: KillOptions): Promise<SessionRecord> {
    const { graceSeconds = DEFAULT_GRACE_SECONDS, force = false, signal } = options
    const patience = AbortSignal.timeout((force ? 0 : graceSeconds * 1000) + ANSWER_MS)
    const waiting = signal === undefined ? patience : AbortSignal.any([signal, patience])
    const record = await follower.until(before.sessionId, () => false, waiting)
    if (isEnded(record.state)) return record
    // Its pod may have been alive when the kill was asked for.
    const last = await endAbandoned(before.sessionId)
    if (last !== null && isEnded(last.state)) return last
    throw notEndedYet(record)
  }

  /**
   * Nobody has the session any more and no pod may come for it: it ends here. A pod that takes it over in the same
   * moment does the same, and one of the two is refused.
   */
  async function endAbandoned(sessionId: string): Promise<SessionRecord | null> {
    const record = await store.read(sessionId)
    if (record === null || record.agentId === null || !isLive(record.state)) return record
    if (!(await parts.hasLostLease(record.lease))) return record
    const { agentId, agentType, epoch } = record
    const last = lostAgentEvents(record)
    const end = endOf(record, cancelledEnding(record.cancel), new Date(), last)
    await store.change({ sessionId, agentType, agentId, epoch }, { ...end, over: true, last: true })
    return await store.read(sessionId)
  }
}

/** Throws `session_not_found`. */
export async function requireRecord(
  store: Pick<SessionStore, 'read'>,
  sessionId: string,
): Promise<SessionRecord> {
  const record = await store.read(sessionId)
  if (record !== null) return record
  throw new DroverError(
    'session_not_found',
    `Redis knows no session ${sessionId}. It may have ended long ago: ask the board, which has all of history.`,
    { session_id: sessionId },
  )
}

/** The epoch of the agent that was named, which must be the living one; undefined where none was named. */
export function epochOfNamed(record: SessionRecord, agentId: string | undefined): string | undefined {
  if (agentId === undefined) return undefined
  if (record.agentId === agentId && isLive(record.state)) return record.epoch
  const { sessionId, state } = record
  throw new DroverError(
    'process_not_found',
    `The agent ${agentId} has ended; its session ${sessionId} is ${state}. Name the session to mean whatever runs of it.`,
    { agent_id: agentId, session_id: sessionId, status: state },
  )
}

function requestOf({
  actor,
  reason,
  graceSeconds,
  force,
}: KillOptions & { readonly reason: string }): CancelRequest {
  return {
    actor,
    reason,
    grace_seconds: graceSeconds ?? null,
    force: force ?? false,
    at: new Date().toISOString(),
  }
}

/** The answer of a session that has ended by a kill; throws `session_ended` where it ended otherwise. */
function killedOf(record: SessionRecord): Killed {
  const { sessionId, state, cancel, ended, killed } = record
  if (state !== 'cancelled' || cancel === null) {
    throw new DroverError(
      'session_ended',
      `The session ${sessionId} is ${state}: there is nothing to kill.`,
      {
        session_id: sessionId,
        agent_id: record.agentId,
        status: state,
      },
    )
  }
  const asked = cancel.force ? 0 : (cancel.grace_seconds ?? DEFAULT_GRACE_SECONDS)
  return {
    streamId: record.lastId,
    answer: {
      success: true,
      agent_id: record.agentId,
      session_id: sessionId,
      action: cancel.force ? 'force_kill' : 'graceful_kill',
      pid: killed?.pid ?? null,
      kill_signal: killed?.signal ?? null,
      task_id: record.request.task_id ?? null,
      killed_at: ended?.completed_at ?? cancel.at,
      grace_period_seconds: killed?.grace_seconds ?? asked,
      killed_gracefully: killed === null || killed.signal === 'SIGTERM',
      processes_killed: killed?.processes_killed ?? 0,
    },
  }
}

function notEndedYet({ sessionId, agentId, pid, podId, state }: SessionRecord): DroverError {
  return new DroverError(
    'kill_failed',
    `The kill of session ${sessionId} is recorded, but its pod ${podId ?? ''} has not ended it yet (${state}). ` +
      'Nothing of it starts any more; where the pod is gone, it ends when another pod takes it over, after the lease.',
    { session_id: sessionId, agent_id: agentId, pid, pod_id: podId, status: state },
  )
}
