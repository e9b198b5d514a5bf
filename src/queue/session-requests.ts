/**
 * What is asked of a session from outside: its end, another agent. Both are members of its hash, written by the
 * session script, which rings the doorbell in the same step; the pod that has the session reads them when it hears
 * the ring, and at every beat, so that a lost ring costs one beat at most.
 */
import type { Redis } from 'ioredis'
import type { SessionCancelRequested } from '../core/events.ts'
import { newId } from '../core/ids.ts'
import { isEnded, isLive, SESSION_STATES, type SessionState } from '../core/state.ts'
import { createCallSession, notRestored, type ScriptAnswer } from './call-session.ts'
import type { Keys } from './keys.ts'
import { eventArgs, type OwnEvent } from './own-event.ts'
import { requestsOf, type CancelRequest, type Requests, type RestartRequest } from './session-record.ts'
import type { SessionRef } from './session-ref.ts'
import { ENDED_TTL_SECONDS } from './session-store.ts'

/**
 * `live`: the request stands, and the pod that has the agent acts on it. `ended`: there was no agent, and the session
 * has ended in this very step. `moved`: it is not as the caller had read it.
 */
export type Cancelled =
  | { readonly ok: true; readonly streamId: string; readonly found: 'live' | 'ended' }
  | { readonly ok: false; readonly refused: 'missing' | 'ended' | 'moved' }

/**
 * `live`: the pod ends the agent, and the next one goes on. `waiting`: the gate is open and the counters are 0.
 * `queued`: it waits for its turn, there is nothing to restart.
 */
export type RestartAsked =
  | { readonly ok: true; readonly streamId: string; readonly found: 'live' | 'waiting' | 'queued' }
  | { readonly ok: false; readonly refused: 'missing' | 'ended' | 'moved' | 'cancelled' }

export interface SessionRequests {
  /**
   * Asks for the session's end. Without a living agent it ends here, as `end` says, if its `seq` is still the one that
   * `end` was made for. A repeat changes nothing, but for a forced one after one that was not.
   */
  cancel(
    session: SessionRef,
    asked: {
      readonly request: CancelRequest
      readonly seq: number
      readonly end: {
        readonly set: Readonly<Record<string, string>>
        readonly events: readonly OwnEvent[]
      }
      /** Only while the agent of this epoch lives. */
      readonly epoch?: string | undefined
    },
  ): Promise<Cancelled>
  /** Asks for another agent at once in the place of the one of `epoch`, with counters at 0. */
  restart(
    session: SessionRef,
    asked: {
      readonly request: RestartRequest
      readonly event: OwnEvent
      /** Only while that agent lives. */
      readonly mustLive: boolean
    },
  ): Promise<RestartAsked>
  /** What stands; one plain read. */
  read(sessionId: string): Promise<Requests>
}

/** As the script looks them up. */
const LIVE = Object.fromEntries(SESSION_STATES.filter(isLive).map((state) => [state, true]))

/** Over a connection that may be shared. */
export function createSessionRequests(redis: Redis, keys: Keys): SessionRequests {
  const callSession = createCallSession(redis, keys)
  // A client sends again what it had in flight when a connection broke: the same number answers as the first time.
  const writer = `ask:${newId().slice(-12)}`
  let operations = 0

  async function call(
    session: SessionRef,
    operation: Readonly<Record<string, unknown>>,
    events: readonly OwnEvent[],
  ): Promise<ScriptAnswer> {
    const whole = { doorbell: keys.doorbell, live: LIVE, writer, n: ++operations, ...operation }
    const answer = await callSession(session, keys.lease(session.agentType, 0), whole, eventArgs(events))
    if (answer[0] === 'unrestored') throw notRestored()
    return answer
  }

  return {
    async cancel(session, { request, seq, end, epoch }) {
      const { at: _, ...asked } = request
      const payload: SessionCancelRequested = asked
      const operation = {
        kind: 'cancel',
        epoch,
        must_live: epoch !== undefined,
        seq,
        force: request.force,
        cancel: JSON.stringify(request),
        set: end.set,
        expire: ENDED_TTL_SECONDS,
      }
      const answer = await call(session, operation, [
        { type: 'drover.session.cancel_requested', payload },
        ...end.events,
      ])
      if (answer[0] !== 'ok') return { ok: false, refused: answer[0] as 'missing' | 'ended' | 'moved' }
      return { ok: true, streamId: answer[1] ?? '', found: answer[2] === 'ended' ? 'ended' : 'live' }
    },

    async restart(session, { request, event, mustLive }) {
      const operation = {
        kind: 'restart',
        epoch: request.epoch,
        must_live: mustLive,
        request: JSON.stringify(request),
      }
      const answer = await call(session, operation, [event])
      if (answer[0] !== 'ok') {
        return { ok: false, refused: answer[0] as 'missing' | 'ended' | 'moved' | 'cancelled' }
      }
      return { ok: true, streamId: answer[1] ?? '', found: answer[2] as 'live' | 'waiting' | 'queued' }
    },

    async read(sessionId) {
      const [state, cancel, restart, notBefore, talk, interrupt, inbox, interruptedUntil] = await redis.hmget(
        keys.session(sessionId),
        'state',
        'cancel',
        'restart_requested',
        'not_before',
        'talk',
        'interrupt',
        'inbox',
        'interrupted_until',
      )
      return {
        ended: Boolean(state) && isEnded(state as SessionState),
        ...requestsOf(cancel, restart, talk, interrupt),
        inbox: Number(inbox ?? 0),
        interruptedUntil: Number(interruptedUntil ?? 0),
        notBefore: Number(notBefore ?? 0),
      }
    },
  }
}
