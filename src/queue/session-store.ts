/** A session's hash, read and changed through the session script. */
import type { Redis } from 'ioredis'
import { isEnded, isResting, type SessionState } from '../core/state.ts'
import type { Keys } from './keys.ts'
import { createCallSession, notRestored, type ScriptAnswer } from './call-session.ts'
import { createAcceptBatch, type Accepted } from './accept-batch.ts'
import type { Acceptance } from './accept-script.ts'
import { readEndedNote, type EndedSessionNote } from './ended-session.ts'
import { eventArgs, type OwnEvent } from './own-event.ts'
import { createRecoveringCalls, type SentChange, type StoreHooks } from './recovering-calls.ts'
import type { AgentRef, SessionRef } from './session-ref.ts'
import { recordOf, requestsOf, type Requests, type SessionRecord } from './session-record.ts'

export type { SessionRecord } from './session-record.ts'
export type { AgentRef, SessionRef } from './session-ref.ts'

/** An ended session's hash stays a day for late readers; the ledger keeps it for good. */
export const ENDED_TTL_SECONDS = 24 * 3600

/** A line of an agent's spool, ready for the stream. */
export interface LineEvent {
  readonly type: string
  /** The CLI's line, verbatim. */
  readonly payloadText: string
}

/** What the script answers to a change; a refusal names what it found. */
export type Changed =
  | { readonly ok: true; readonly streamId: string }
  /**
   * `cancelled`: the session is to end, so it does not come to rest in the state asked for. `waiting`: its inbox was to
   * be closed, and a message is in there.
   */
  | {
      readonly ok: false
      readonly refused: 'missing' | 'ended' | 'stale' | 'state' | 'cancelled' | 'waiting'
    }

/** What an agent has made of what was said to it, and what it asks. */
export interface TalkChange {
  /** Messages that it has taken up. */
  readonly started?: readonly string[]
  /** Messages that its conversation has: they are kept no longer. */
  readonly done?: readonly string[]
  /** Questions by their request id, as JSON. */
  readonly asked?: Readonly<Record<string, string>>
  /** Questions that are open no longer. */
  readonly settled?: readonly string[]
}

export type Started =
  | { readonly ok: true; readonly streamId: string; readonly epoch: string; readonly agentId: string }
  | { readonly ok: false; readonly refused: 'missing' | 'ended' | 'cancelled' | 'lease' }
  | { readonly ok: false; readonly refused: 'early'; readonly waitMs: number }

export type Taken =
  /** `unrecorded`: entries of the stream that nobody has recorded; null where nothing was taken. */
  | {
      readonly ok: true
      readonly streamId: string
      readonly cursor: number
      readonly unrecorded: number | null
    }
  | { readonly ok: false; readonly refused: 'missing' }
  | { readonly ok: false; readonly refused: 'gap'; readonly cursor: number }

export type Renewed =
  | ({ readonly ok: true } & Pick<Requests, 'cancel' | 'restart' | 'said'>)
  | { readonly ok: false; readonly refused: 'missing' | 'ended' | 'lease' }

type Fields = Readonly<Record<string, string | number>>

export interface SessionStore {
  /**
   * Makes the hash and appends the events; an existing session stays as it is. `onSent` is called when the command is
   * on its way: what is sent on this connection from then on arrives after it.
   */
  accept(acceptance: Acceptance, onSent?: () => void): Promise<Accepted>
  read(sessionId: string): Promise<SessionRecord | null>
  /** What is remembered of a session whose hash has gone, for a week after its end; null where nothing is. */
  readEnded(sessionId: string): Promise<EndedSessionNote | null>
  /** A change of state with its events; refused where an `epoch` is named and it is no longer the session's. */
  change(
    session: SessionRef & Partial<AgentRef>,
    change: {
      readonly from?: readonly SessionState[]
      readonly to?: SessionState
      readonly set?: Fields
      readonly events: readonly OwnEvent[]
      /** Sets the gate `not_before` this many milliseconds ahead, by Redis' clock. */
      readonly waitMs?: number
      /** The agent is over with this: whoever still says something in its name is late. */
      readonly over?: boolean
      /** The hash may go after a while: the session has ended. */
      readonly last?: boolean
      readonly talk?: TalkChange
      /** From now on this agent takes no message: refused (`waiting`) while there is one. */
      readonly close?: boolean
    },
  ): Promise<Changed>
  /** A new epoch and agent id; the session is `starting`. Refused without the lease or when cancelled. */
  start(
    session: SessionRef,
    start: {
      readonly leaseKey: string
      readonly token: string
      readonly agentIdPrefix: string
      readonly set: Fields
      readonly events: readonly OwnEvent[]
      /**
       * As the caller has read them: where another agent has begun meanwhile, or somebody has reset the counter, it is
       * `early`, to be read again.
       */
      readonly epoch?: string
      readonly restarts?: number
    },
  ): Promise<Started>
  /** Lines `first`, `first`+1, … of an agent's spool. `increments`: by line number, what it adds to the hash. */
  lines(
    agent: AgentRef,
    batch: {
      readonly first: number
      readonly lines: readonly LineEvent[]
      readonly increments?: Readonly<Record<number, Fields>>
      /** Fields of the hash, unless the agent is late. */
      readonly set?: Fields
      /** The lines before them are lost for good: they are taken all the same, and the ledger shows a gap. */
      readonly jump?: boolean
    },
  ): Promise<Taken>
  /** Closing events of an agent, taken whatever became of the session meanwhile. */
  close(agent: AgentRef, events: readonly OwnEvent[]): Promise<Changed>
  /**
   * Sends a change again; nothing happens where it is still there. Answers the stream id of its last event, '' where it
   * was refused.
   *
   * @throws DroverError `redis_unavailable` where Redis may have lost something, once more
   */
  repeat(sent: SentChange): Promise<string>
  /** Renews the lease and writes the beat into the hash, with the time by Redis' clock, in one command. */
  renew(
    agent: SessionRef & { readonly epoch: string },
    renewal: {
      readonly leaseKey: string
      readonly token: string
      readonly ttlMs: number
      readonly beat: Fields
    },
  ): Promise<Renewed>
}

/** The store over a connection; the same one may be shared with BullMQ. Without `onLost` it throws what needs it. */
export function createSessionStore(redis: Redis, keys: Keys, hooks: Partial<StoreHooks> = {}): SessionStore {
  const callSession = createCallSession(redis, keys)
  const calls = createRecoveringCalls(callSession, hooks)

  return {
    accept: createAcceptBatch(redis, keys),

    async read(sessionId) {
      const hash = await redis.hgetall(keys.session(sessionId))
      return hash.state === undefined ? null : recordOf(sessionId, hash)
    },

    readEnded: (sessionId) => readEndedNote(redis, keys, sessionId),

    async change(session, change) {
      const operation = {
        kind: 'append',
        agent_id: session.agentId,
        epoch: session.epoch,
        states: change.from,
        to: change.to,
        set: change.set,
        wait: change.waitMs,
        over: change.over,
        talk: change.talk,
        close: change.close,
        rest: change.to !== undefined && isResting(change.to),
        expire: change.last ? ENDED_TTL_SECONDS : undefined,
      }
      return changedOf(
        await calls.change(session, keys.lease(session.agentType, 0), operation, eventArgs(change.events)),
      )
    },

    async start(session, start) {
      const operation = {
        kind: 'start',
        token: start.token,
        prefix: start.agentIdPrefix,
        seen: start.epoch,
        restarts: start.restarts,
        set: start.set,
      }
      const answer = await calls.change(session, start.leaseKey, operation, eventArgs(start.events))
      if (answer[0] === 'ok') {
        return { ok: true, streamId: answer[1] ?? '', epoch: answer[2] ?? '', agentId: answer[3] ?? '' }
      }
      if (answer[0] === 'early') return { ok: false, refused: 'early', waitMs: Number(answer[1]) }
      return { ok: false, refused: answer[0] as 'missing' | 'ended' | 'cancelled' | 'lease' }
    },

    async lines(agent, batch) {
      const operation = {
        kind: 'lines',
        agent_id: agent.agentId,
        epoch: agent.epoch,
        first: batch.first,
        incr: batch.increments,
        set: batch.set,
        jump: batch.jump,
      }
      const ts = new Date().toISOString()
      const events = batch.lines.flatMap((line, index) => [
        String(batch.first + index),
        ts,
        line.type,
        line.payloadText,
      ])
      const answer = await calls.repeated(agent, keys.lease(agent.agentType, 0), operation, events)
      if (answer[0] === 'ok') {
        const [, streamId = ''] = answer
        const cursor = Number(answer[2])
        if (streamId !== '') hooks.onLines?.(agent, streamId, cursor)
        const unrecorded = answer[3] === undefined ? null : Number(answer[3])
        return { ok: true, streamId, cursor, unrecorded }
      }
      if (answer[0] === 'gap') return { ok: false, refused: 'gap', cursor: Number(answer[1]) }
      return { ok: false, refused: 'missing' }
    },

    async close(agent, events) {
      const operation = {
        kind: 'close',
        agent_id: agent.agentId,
        epoch: agent.epoch,
      }
      return changedOf(
        await calls.change(agent, keys.lease(agent.agentType, 0), operation, eventArgs(events)),
      )
    },

    async repeat({ session, leaseKey, operation, events }) {
      const answer = await calls.once(session, leaseKey, operation, events)
      if (answer[0] === 'unrestored') throw notRestored()
      return answer[0] === 'ok' ? (answer[1] ?? '') : ''
    },

    async renew(agent, renewal) {
      const { leaseKey, token, ttlMs, beat } = renewal
      const operation = { kind: 'renew', token, ttl: ttlMs, epoch: agent.epoch, set: beat }
      const answer = await callSession(agent, leaseKey, operation, [])
      if (answer[0] === 'ok') return { ok: true, ...requestsOf(answer[1], answer[2], answer[3], answer[4]) }
      return { ok: false, refused: answer[0] as 'missing' | 'ended' | 'lease' }
    },
  }
}

/** `unknown`: it ended long ago, or never was, or Redis has lost it. */
export async function lifeOf(
  store: Pick<SessionStore, 'read' | 'readEnded'>,
  sessionId: string,
): Promise<'live' | 'ended' | 'unknown'> {
  const record = await store.read(sessionId)
  if (record !== null) return isEnded(record.state) ? 'ended' : 'live'
  return (await store.readEnded(sessionId)) === null ? 'unknown' : 'ended'
}

function changedOf(answer: ScriptAnswer): Changed {
  if (answer[0] === 'ok') return { ok: true, streamId: answer[1] ?? '' }
  return { ok: false, refused: answer[0] as Extract<Changed, { ok: false }>['refused'] }
}
