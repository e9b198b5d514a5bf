/** Why something could not be said to a session (`follow-up.ts`), in words that say what to do. */
import { DroverError } from '../core/errors.ts'
import type { MessageAnswered } from '../core/events.ts'
import { MOST_WAITING_MESSAGES } from '../core/follow-up.ts'
import { howToGoOn } from '../core/restart-by-hand.ts'
import { isEnded } from '../core/state.ts'
import type { SessionRecord } from '../queue/session-store.ts'

/** A message was not taken; `record` is the session as it is now. */
export function notSent(
  record: SessionRecord | null,
  sessionId: string,
  messageId: string,
  refused: string,
): DroverError {
  const details = { session_id: sessionId, message_id: messageId, status: record?.state }
  switch (refused) {
    case 'conflict':
      return new DroverError(
        'idempotency_conflict',
        `The message ${messageId} was sent to session ${sessionId} before, with another text or priority.`,
        details,
      )
    case 'full':
      return new DroverError(
        'inbox_full',
        `The session ${sessionId} has too much waiting for it already (at most ${MOST_WAITING_MESSAGES} messages). ` +
          'Send this one when its agent has taken some.',
        { ...details, retry_after_seconds: 30 },
      )
    case 'ending':
      return new DroverError(
        'session_ended',
        `The session ${sessionId} is ending: its agent has finished. Ask for a new one with drover spawn; ` +
          'drover restart goes on from one that failed.',
        details,
      )
    case 'cancelled':
      return new DroverError('session_ended', `The session ${sessionId} is being killed.`, details)
    default:
      return record === null
        ? new DroverError('session_not_found', `Redis knows no session ${sessionId}.`, details)
        : ended(record)
  }
}

/** `session_ended`. */
export function ended({ sessionId, state, agentId }: SessionRecord): DroverError {
  const next = isEnded(state) ? ` ${howToGoOn(sessionId, state)}` : ''
  return new DroverError('session_ended', `The session ${sessionId} is ${state}.${next}`, {
    session_id: sessionId,
    agent_id: agentId,
    status: state,
  })
}

/** `session_not_running`: there is nothing to interrupt. */
export function notRunning({ sessionId, state }: SessionRecord): DroverError {
  return new DroverError(
    'session_not_running',
    `The session ${sessionId} is ${state}: no turn of it runs that could be interrupted. ` +
      'drover kill ends it, drover send leaves a message for its next agent.',
    { session_id: sessionId, status: state },
  )
}

/** `process_not_found`: the agent that was named has ended. */
export function anotherRuns({ sessionId, agentId, state }: SessionRecord, named: string): DroverError {
  return new DroverError(
    'process_not_found',
    `The agent ${named} has ended; of its session ${sessionId} ${agentId} runs now.`,
    { agent_id: named, session_id: sessionId, status: state },
  )
}

/** `session_ended` for a session that is about to end, because somebody has killed it. */
export function beingKilled({ sessionId, state }: SessionRecord): DroverError {
  return new DroverError('session_ended', `The session ${sessionId} is being killed.`, {
    session_id: sessionId,
    status: state,
  })
}

/** `question_not_found`; `open` lists those that are. */
export function questionNotFound(
  sessionId: string,
  state: string,
  requestId: string | undefined,
  open: string,
): DroverError {
  const what = requestId === undefined ? 'no open question' : `no open question ${requestId}`
  const hint = open === '' ? '' : ` Open: ${open}.`
  return new DroverError(
    'question_not_found',
    `The session ${sessionId} (${state}) has ${what}. A question ends with its agent, and a new agent asks again.${hint}`,
    { session_id: sessionId, request_id: requestId ?? null, status: state },
  )
}

/** An answer was not taken. */
export function notAnswered(record: SessionRecord, requestId: string, refused: string): DroverError {
  if (refused === 'ended') return ended(record)
  if (refused === 'cancelled') return beingKilled(record)
  return questionNotFound(record.sessionId, record.state, requestId, '')
}

/** `already_answered`. */
export function answeredOtherwise({ sessionId, state }: SessionRecord, given: MessageAnswered): DroverError {
  const who =
    given.actor.via === 'drover'
      ? 'nobody answered in time, so it was denied'
      : `it was ${given.behavior === 'allow' ? 'allowed' : 'denied'}`
  return new DroverError(
    'already_answered',
    `The question ${given.request_id} of session ${sessionId} has an answer already: ${who}.`,
    { session_id: sessionId, request_id: given.request_id, behavior: given.behavior, status: state },
  )
}
