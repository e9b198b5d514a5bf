/** A session's hash, read and changed through the session script. */
import type { Redis } from 'ioredis'
import { newId } from '../core/ids.ts'
import { isEnded, isResting, type SessionState } from '../core/state.ts'
import { createTurns } from '../core/turns.ts'
import type { Keys } from './keys.ts'
import { createCallSession, notRestored, type CallSession, type ScriptAnswer } from './call-session.ts'
import { createAcceptBatch, type Accepted } from './accept-batch.ts'
import type { Acceptance } from './accept-script.ts'
import { readEndedNote, type EndedSessionNote } from './ended-session.ts'
import type { OwnEvent } from './own-event.ts'
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
  /** `cancelled`: the session is to end, so it does not come to rest in the state asked for. */
  /** `waiting`: its inbox was to be closed, and a message is in there. */
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

/** What the script says where Redis may have lost something. */
const LOST = new Set(['missing', 'gap', 'unrestored'])

type Fields = Readonly<Record<string, string | number>>

/** An own change as it was sent: enough to send it again. */
export interface SentChange {
  readonly session: SessionRef
  readonly leaseKey: string
  readonly operation: Readonly<Record<string, unknown>>
  readonly events: readonly string[]
}

/** For whoever keeps what Redis may lose until it is recorded; see `worker/outbox.ts`. */
export interface StoreHooks {
  /**
   * What the key `restored` said when all that this pod had sent was there last; '' for nothing. Comes with each change
   * and each line: where Redis was restored once more they are refused, and `onLost` is called.
   */
  restored(): string
  /** Resolves when what Redis has lost is sent again, at once mostly: no change may overtake an earlier one. */
  settled(): Promise<void>
  /** A change was applied; its last event is at `streamId` (of an earlier event where it had none). */
  onChanged(sent: SentChange, streamId: string): void
  /** The agent's lines up to number `cursor` were taken; the last one is at `streamId`. */
  onLines(agent: AgentRef, streamId: string, cursor: number): void
  /**
   * Redis has no such session, or misses lines of it, or may have lost something. Resolves when everything that was
   * sent is there again: then the call is repeated. A session that is missing even then is.
   */
  onLost(sessionId: string): Promise<void>
}

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
  const inTurn = createTurns()
  const writer = newId().slice(-12)
  let operations = 0
  const next = (kind: 'start' | 'change'): { readonly writer: string; readonly n: number } => ({
    // A repeated start must answer its epoch, also when later changes were on their way already.
    writer: kind === 'start' ? `${writer}:start` : writer,
    n: ++operations,
  })

  const callOnce: CallSession = (session, leaseKey, operation, events) =>
    callSession(session, leaseKey, { ...operation, restored: hooks.restored?.() }, events)

  async function call(...args: Parameters<CallSession>): Promise<ScriptAnswer> {
    let answer = await callOnce(...args)
    for (let isTrue = false; answer[0] === 'unrestored' || (LOST.has(answer[0]) && !isTrue);) {
      if (hooks.onLost === undefined) {
        if (answer[0] === 'unrestored') throw notRestored()
        return answer
      }
      // Of what is there again, `missing` and `gap` are the truth; another loss is waited for again.
      isTrue = answer[0] !== 'unrestored'
      await hooks.onLost(args[0].sessionId)
      answer = await callOnce(...args)
    }
    return answer
  }

  /**
   * A change, which the hooks keep until it is recorded. Those of one session go one after the other: one that waits for
   * what Redis has lost, and is overtaken by a later number, would pass for done.
   */
  async function callForChange(
    session: SessionRef,
    leaseKey: string,
    operation: Readonly<Record<string, unknown>>,
    events: readonly string[],
  ): Promise<ScriptAnswer> {
    return await inTurn(session.sessionId, async () => {
      await hooks.settled?.()
      const answer = await call(session, leaseKey, operation, events)
      if (answer[0] !== 'ok') return answer
      const [, streamId = '', epoch, agentId] = answer
      // An agent that is started again is the same one, not another.
      const again = operation['kind'] === 'start' ? { again: { epoch, agent_id: agentId } } : {}
      hooks.onChanged?.({ session, leaseKey, operation: { ...operation, ...again }, events }, streamId)
      return answer
    })
  }

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
        ...next('change'),
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
        await callForChange(session, keys.lease(session.agentType, 0), operation, own(change.events)),
      )
    },

    async start(session, start) {
      const operation = {
        kind: 'start',
        ...next('start'),
        token: start.token,
        prefix: start.agentIdPrefix,
        seen: start.epoch,
        restarts: start.restarts,
        set: start.set,
      }
      const answer = await callForChange(session, start.leaseKey, operation, own(start.events))
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
      const answer = await call(agent, keys.lease(agent.agentType, 0), operation, events)
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
        ...next('change'),
        agent_id: agent.agentId,
        epoch: agent.epoch,
      }
      return changedOf(await callForChange(agent, keys.lease(agent.agentType, 0), operation, own(events)))
    },

    async repeat({ session, leaseKey, operation, events }) {
      const answer = await callOnce(session, leaseKey, operation, events)
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

/** Events as the script takes them: four arguments each. */
export function own(events: readonly OwnEvent[]): string[] {
  if (events.length === 0) return []
  const ts = new Date().toISOString()
  return events.flatMap((event) => ['', ts, event.type, JSON.stringify(event.payload)])
}

function changedOf(answer: ScriptAnswer): Changed {
  if (answer[0] === 'ok') return { ok: true, streamId: answer[1] ?? '' }
  return { ok: false, refused: answer[0] as Extract<Changed, { ok: false }>['refused'] }
}
