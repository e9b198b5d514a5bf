/**
 * What is said to a session from outside, and what it asks: kept by the session script (`talk-script.ts`), which
 * records it and rings the doorbell in the same step. The pod that has the session's agent reads it when it hears the
 * ring, and at every beat where something is new.
 */
import type { Redis } from 'ioredis'
import type { MessageAnswered, MessageSent, SessionInterruptRequested } from '../core/events.ts'
import { MOST_WAITING_MESSAGES, WAITING_BYTES_LIMIT } from '../core/follow-up.ts'
import { newId } from '../core/ids.ts'
import { digestOfMessage } from '../core/redacted-talk.ts'
import { isLive, SESSION_STATES, type SessionState } from '../core/state.ts'
import type { Question } from '../core/talk-facts.ts'
import { createCallSession, notRestored, type ScriptAnswer } from './call-session.ts'
import type { Keys } from './keys.ts'
import { eventArgs, type OwnEvent } from './own-event.ts'
import type { InterruptRequest } from './session-record.ts'
import type { SessionRef } from './session-ref.ts'

/** A message that no conversation has yet. */
export interface WaitingMessage extends MessageSent {
  /** Of its event: they are given in this order. */
  readonly seq: number
  /** The text as it was given, where something was taken out of it; null too where Redis has lost it. */
  readonly unredacted: string | null
  /** The agent that has taken it up; null for none yet. */
  readonly startedBy: string | null
}

/** An open question, with the time until which it waits. */
export interface OpenQuestion extends Question {
  readonly agentId: string
  /** ISO */
  readonly until: string
}

/** All that is kept of a session. */
export interface Talk {
  /** In the order in which they were sent. */
  readonly messages: readonly WaitingMessage[]
  readonly questions: readonly OpenQuestion[]
  /** By request id; as they were given until the agent has them, then as they are recorded. */
  readonly answers: ReadonlyMap<string, MessageAnswered>
}

/** `ending`: its agent is done and takes nothing more. `full`: too much waits already. */
export type Sent =
  | {
      readonly ok: true
      readonly streamId: string
      readonly repeated: boolean
      readonly state: SessionState
      /** The living agent; null: the next one gets it. */
      readonly agentId: string | null
    }
  | {
      readonly ok: false
      readonly refused: 'missing' | 'ended' | 'cancelled' | 'ending' | 'full' | 'conflict'
    }

/** `moved`: the session has another agent, or none. */
export type InterruptAsked =
  | { readonly ok: true; readonly streamId: string }
  | { readonly ok: false; readonly refused: 'missing' | 'ended' | 'cancelled' | 'moved' }

/** `unknown`: there is no such open question. `answered`: it has this answer already (as in `Talk`). */
export type Answered =
  | { readonly ok: true; readonly streamId: string }
  | { readonly ok: false; readonly refused: 'missing' | 'ended' | 'cancelled' | 'unknown' }
  | { readonly ok: false; readonly refused: 'answered'; readonly given: MessageAnswered }

export interface TalkStore {
  /**
   * Keeps a message until an agent has it. The same id again is the same message, also after the session's end.
   *
   * @param unredacted its text as it was given, where the message has another one
   */
  send(session: SessionRef, message: MessageSent, unredacted?: string | null): Promise<Sent>
  /** Asks the agent of `epoch` to stop its turn. */
  interrupt(session: SessionRef, request: InterruptRequest): Promise<InterruptAsked>
  /**
   * Answers an open question: once.
   *
   * @param unredacted the answer as it was given, where something was taken out of it
   */
  answer(session: SessionRef, answer: MessageAnswered, unredacted?: MessageAnswered | null): Promise<Answered>
  /** What is kept; one plain read. */
  read(sessionId: string): Promise<Talk>
}

const LIVE = Object.fromEntries(SESSION_STATES.filter(isLive).map((state) => [state, true]))

/** What is said to the sessions of a namespace, over a connection that may be shared. */
export function createTalkStore(redis: Redis, keys: Keys): TalkStore {
  const callSession = createCallSession(redis, keys)
  // A client sends again what it had in flight when a connection broke: the same number answers as the first time.
  const writer = `say:${newId().slice(-12)}`
  let operations = 0

  async function call(
    session: SessionRef,
    operation: Readonly<Record<string, unknown>>,
    event: OwnEvent,
  ): Promise<ScriptAnswer> {
    const whole = { doorbell: keys.doorbell, live: LIVE, writer, n: ++operations, ...operation }
    const answer = await callSession(session, keys.lease(session.agentType, 0), whole, eventArgs([event]))
    if (answer[0] === 'unrestored') throw notRestored()
    return answer
  }

  return {
    async send(session, message, unredacted = null) {
      const answer = await call(
        session,
        {
          kind: 'send',
          message_id: message.message_id,
          digest: knownBy(message),
          ...(unredacted === null ? {} : { unredacted: JSON.stringify({ ...message, unredacted }) }),
          most: MOST_WAITING_MESSAGES,
          most_bytes: WAITING_BYTES_LIMIT,
        },
        { type: 'drover.message.sent', payload: message },
      )
      if (answer[0] !== 'ok') {
        return { ok: false, refused: answer[0] as Extract<Sent, { ok: false }>['refused'] }
      }
      const [, streamId = '', how, state, agentId] = answer
      return {
        ok: true,
        streamId,
        repeated: how === 'repeat',
        state: state as SessionState,
        agentId: agentId || null,
      }
    },

    async interrupt(session, request) {
      const payload: SessionInterruptRequested = { request_id: request.request_id, actor: request.actor }
      const answer = await call(
        session,
        { kind: 'interrupt', epoch: request.epoch, request: JSON.stringify(request) },
        { type: 'drover.session.interrupt_requested', payload },
      )
      if (answer[0] === 'ok') return { ok: true, streamId: answer[1] ?? '' }
      return { ok: false, refused: answer[0] as Extract<InterruptAsked, { ok: false }>['refused'] }
    },

    async answer(session, given, unredacted = null) {
      const answer = await call(
        session,
        {
          kind: 'answer',
          request_id: given.request_id,
          ...(unredacted === null ? {} : { unredacted: JSON.stringify(unredacted) }),
        },
        { type: 'drover.message.answered', payload: given },
      )
      if (answer[0] === 'ok') return { ok: true, streamId: answer[1] ?? '' }
      if (answer[0] === 'answered') {
        return { ok: false, refused: 'answered', given: JSON.parse(answer[1] ?? '') as MessageAnswered }
      }
      return { ok: false, refused: answer[0] as 'missing' | 'ended' | 'cancelled' | 'unknown' }
    },

    async read(sessionId) {
      return talkOf(await redis.hgetall(keys.talk(sessionId)))
    },
  }
}

/** What a repeat of a message is told by: the digest of what was given. */
export function knownBy(message: MessageSent): string {
  return message.redacted?.digest ?? digestOfMessage(message)
}

function talkOf(hash: Readonly<Record<string, string>>): Talk {
  const of = (mark: string): [id: string, value: string][] =>
    Object.entries(hash)
      .filter(([field]) => field.startsWith(mark))
      .map(([field, value]) => [field.slice(mark.length), value])
  const messages = of('m:').map(([id, kept]): WaitingMessage => {
    const space = kept.indexOf(' ')
    const sent = JSON.parse(kept.slice(space + 1)) as MessageSent & { readonly unredacted?: string }
    return {
      ...sent,
      unredacted: sent.unredacted ?? null,
      seq: Number(kept.slice(0, space)),
      startedBy: hash[`d:${id}`] ?? null,
    }
  })
  return {
    messages: messages.toSorted((a, b) => a.seq - b.seq),
    questions: of('q:')
      .map(([, text]) => JSON.parse(text) as OpenQuestion)
      .toSorted((a, b) => (a.until < b.until ? -1 : 1)),
    answers: new Map(
      of('a:').map(([id, text]) => [id, JSON.parse(hash[`u:${id}`] ?? text) as MessageAnswered]),
    ),
  }
}
