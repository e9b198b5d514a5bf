/**
 * Saying something to a session, for every door: a message, an interrupt, the answer to its question. Each is recorded
 * with who said it in the one script call that keeps it, before the caller has an answer. What happens when:
 *
 * | it comes                                    | a message                                | an interrupt, an answer            |
 * | ------------------------------------------- | ---------------------------------------- | ---------------------------------- |
 * | while the session is queued, starting, in a back-off or a pause, or waits for its workspace | is kept; its next agent gets it | `session_not_running`; no question is open |
 * | while a turn runs                           | is steered into it, or is the next turn  | the turn stops; the agent goes on  |
 * | after an interrupt                          | is the next turn                         | nothing is left to stop            |
 * | while its agent dies, or is handed over     | the next agent gets it, unless the conversation has it already | is over with the agent: the next one asks again |
 * | while its agent is done and its input is being closed | `session_ended`, as after the end | the same                           |
 * | while Redis is restarted                    | is written back from the ledger          | is over with the agent, or asked again |
 * | a second time, or its answer was lost       | the same id is the same message          | the same answer again is the same; another one is `already_answered` |
 *
 * One window is left: an agent that has begun to act on a steered message and dies before the CLI has written it into
 * its conversation. The message is given again then, to a conversation that does not have it.
 */
import type { Actor } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import type { MessageAnswered } from '../core/events.ts'
import type { InterruptAnswer, MessagePriority, PermissionAnswer, SendAnswer } from '../core/follow-up.ts'
import { messageIdOfKey, newId } from '../core/ids.ts'
import type { TakesOut } from '../core/redacted.ts'
import { isSameAnswer, redactAnswer, redactMessage } from '../core/redacted-talk.ts'
import { isEnded, isLive } from '../core/state.ts'
import type { SessionRecord, SessionStore } from '../queue/session-store.ts'
import type { OpenQuestion, TalkStore } from '../queue/talk.ts'
import type { Follower } from './follow.ts'
import {
  anotherRuns,
  answeredOtherwise,
  beingKilled,
  ended,
  notAnswered,
  notRunning,
  notSent,
  questionNotFound,
} from './follow-up-refusals.ts'
import { requireRecord } from './kill.ts'

/** The doorbell, the line to the CLI, and its word that it has stopped. */
const INTERRUPT_MS = 10_000
const MOST_TRIES = 10

/** A message, and who sends it. */
export interface SendOptions {
  readonly actor: Actor
  readonly text: string
  /** @default next */
  readonly priority?: MessagePriority | undefined
  /** The same id, or the same key to the same session, is the same message. */
  readonly messageId?: string | undefined
  readonly idempotencyKey?: string | undefined
}

export interface InterruptOptions {
  readonly actor: Actor
  /** Only while this is the session's living agent. */
  readonly agentId?: string | undefined
  /** Stops waiting for the agent's word; the interrupt stands. */
  readonly signal?: AbortSignal | undefined
}

/** The answer to a question. */
export interface PermissionOptions {
  readonly actor: Actor
  /** @default the only one that is open */
  readonly requestId?: string | undefined
  readonly behavior: 'allow' | 'deny'
  readonly message?: string | undefined
  readonly updatedInput?: Readonly<Record<string, unknown>> | undefined
  readonly interrupt?: boolean | undefined
}

/** An answer, and where what was asked for is on the stream; '' where nothing new was put there. */
export interface Told<Answer> {
  readonly answer: Answer
  readonly streamId: string
}

export interface FollowUp {
  /**
   * @throws DroverError `session_not_found`; `session_ended`, also where it is ending; `inbox_full`;
   *   `idempotency_conflict` where the id was used for another message
   */
  send(sessionId: string, options: SendOptions): Promise<Told<SendAnswer>>
  /**
   * Resolves when the agent has confirmed it, or after some seconds.
   *
   * @throws DroverError `session_not_found`, `session_ended`, `session_not_running`, `process_not_found` where the agent
   *   that was named is gone
   */
  interrupt(sessionId: string, options: InterruptOptions): Promise<Told<InterruptAnswer>>
  /**
   * @throws DroverError `session_not_found`, `session_ended`; `question_not_found` where it is not open (any more);
   *   `already_answered` where it was answered otherwise; `invalid_request` where none is named and several are open
   */
  answer(sessionId: string, options: PermissionOptions): Promise<Told<PermissionAnswer>>
}

export interface FollowUpParts {
  readonly store: Pick<SessionStore, 'read'>
  readonly talk: TalkStore
  readonly follower: Pick<Follower, 'until'>
  /** Takes secrets out of what is recorded (docs/redaction.md). */
  readonly redactor: TakesOut
}

export function createFollowUp({ store, talk, follower, redactor }: FollowUpParts): FollowUp {
  return {
    async send(sessionId, { actor, text, priority = 'next', messageId, idempotencyKey }) {
      const record = await requireRecord(store, sessionId)
      const id =
        messageId ?? (idempotencyKey === undefined ? newId() : messageIdOfKey(sessionId, idempotencyKey))
      const message = { message_id: id, text, priority, actor }
      const recorded = redactMessage(message, redactor)
      const sent = await talk.send(record, recorded, recorded === message ? null : text)
      if (!sent.ok) throw notSent(await store.read(sessionId), sessionId, id, sent.refused)
      return {
        streamId: sent.streamId,
        answer: {
          success: true,
          session_id: sessionId,
          message_id: id,
          status: sent.state,
          agent_id: sent.agentId,
          repeated: sent.repeated,
          durability: 'redis',
          message: sentText(sent.agentId, sent.repeated),
        },
      }
    },

    async interrupt(sessionId, { actor, agentId, signal }) {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const record = await requireRecord(store, sessionId)
        if (isEnded(record.state)) throw ended(record)
        const { agentId: runs } = record
        if (runs === null || (record.state !== 'running' && record.state !== 'waiting_input')) {
          throw notRunning(record)
        }
        if (agentId !== undefined && agentId !== runs) throw anotherRuns(record, agentId)
        const request = {
          request_id: newId(),
          actor,
          epoch: record.epoch,
          at: new Date().toISOString(),
        }
        const asked = await talk.interrupt(record, request)
        if (asked.ok) {
          const after = await untilConfirmed(record, request.request_id, signal)
          return { streamId: asked.streamId, answer: interrupted(record, after, runs, request.request_id) }
        }
        if (asked.refused === 'cancelled') throw beingKilled(record)
      }
      throw new DroverError('session_not_running', `The session ${sessionId} never stood still. Ask again.`, {
        session_id: sessionId,
      })
    },

    async answer(sessionId, options) {
      const record = await requireRecord(store, sessionId)
      const { questions, answers } = await talk.read(sessionId)
      const { requestId } = options
      const given = requestId === undefined ? undefined : answers.get(requestId)
      if (given === undefined && isEnded(record.state)) throw ended(record)
      const question = given === undefined ? theQuestion(record, questions, requestId) : null
      const answer: MessageAnswered = {
        request_id: given?.request_id ?? question?.requestId ?? '',
        tool_name: given?.tool_name ?? question?.toolName ?? '',
        behavior: options.behavior,
        message: options.message ?? null,
        updated_input: options.updatedInput ?? null,
        interrupt: options.interrupt ?? false,
        actor: options.actor,
      }
      const recorded = redactAnswer(answer, redactor)
      const asGiven = recorded === answer ? null : { ...recorded, ...answer }
      const result = await talk.answer(record, recorded, asGiven)
      if (!result.ok && result.refused === 'answered') {
        if (!isSameAnswer(result.given, answer)) throw answeredOtherwise(record, result.given)
        return { streamId: '', answer: answeredWith(record, answer, true) }
      }
      if (!result.ok)
        throw notAnswered(await requireRecord(store, sessionId), answer.request_id, result.refused)
      return { streamId: result.streamId, answer: answeredWith(record, answer, false) }
    },
  }

  /** The session when its agent has confirmed the interrupt; as it is when that takes long. */
  async function untilConfirmed(
    before: SessionRecord,
    requestId: string,
    signal?: AbortSignal,
  ): Promise<SessionRecord> {
    const patience = AbortSignal.timeout(INTERRUPT_MS)
    const waiting = signal === undefined ? patience : AbortSignal.any([signal, patience])
    const isOver = (now: SessionRecord): boolean =>
      now.interruptDone === requestId || now.epoch !== before.epoch || !isLive(now.state)
    return await follower.until(before.sessionId, isOver, waiting)
  }
}

function sentText(agentId: string | null, repeated: boolean): string {
  if (repeated) return 'This message was sent before.'
  return agentId === null
    ? "The session's next agent gets it."
    : `${agentId} gets it, with its next tool result or as its next turn.`
}

function interrupted(
  before: SessionRecord,
  after: SessionRecord,
  agentId: string,
  requestId: string,
): InterruptAnswer {
  const acknowledged = after.interruptDone === requestId
  const gone = after.epoch !== before.epoch || !isLive(after.state)
  return {
    success: true,
    action: 'interrupt',
    session_id: before.sessionId,
    agent_id: agentId,
    task_id: before.request.task_id ?? null,
    status: after.state,
    acknowledged,
    message: acknowledged
      ? `${agentId} has stopped its turn. The session goes on with the next message (drover send); without one it ends.`
      : gone
        ? `${agentId} ended before it could be interrupted; the session is ${after.state}.`
        : `The interrupt is recorded; ${agentId} has not confirmed it yet.`,
  }
}

/** @throws DroverError where it is not clear which, or there is none */
function theQuestion(
  { sessionId, state }: SessionRecord,
  questions: readonly OpenQuestion[],
  requestId: string | undefined,
): OpenQuestion {
  const open = questions.map((question) => `${question.requestId} (${question.toolName})`).join(', ')
  if (requestId === undefined && questions.length > 1) {
    throw new DroverError(
      'invalid_request',
      `The session ${sessionId} has ${questions.length} open questions; name the one that you answer: ${open}.`,
      { issues: [{ path: 'request_id', message: `is needed, since several are open: ${open}` }] },
    )
  }
  const question =
    requestId === undefined ? questions[0] : questions.find((each) => each.requestId === requestId)
  if (question !== undefined) return question
  throw questionNotFound(sessionId, state, requestId, open)
}

function answeredWith(
  { sessionId, agentId }: SessionRecord,
  { request_id, tool_name, behavior }: MessageAnswered,
  repeated: boolean,
): PermissionAnswer {
  return {
    success: true,
    action: 'answer',
    session_id: sessionId,
    agent_id: agentId,
    request_id,
    tool_name,
    behavior,
    repeated,
    message: `${tool_name} is ${behavior === 'allow' ? 'allowed' : 'denied'}.`,
  }
}
