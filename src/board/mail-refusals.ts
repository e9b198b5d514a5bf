/** Why a message is not sent, read or taken. */
import { DroverError } from '../core/errors.ts'
import { INBOX_LIMIT } from '../core/mail.ts'

export function sessionEnded(sessionId: string): DroverError {
  return new DroverError(
    'session_ended',
    `The session ${sessionId} has ended: it reads no mail any more. Send to its agent type; the next session of it reads that.`,
    { session_id: sessionId },
  )
}

export function inboxFull(to: string): DroverError {
  return new DroverError(
    'inbox_full',
    `The inbox of ${to} is full: ${INBOX_LIMIT} messages, or 16 MB, that nobody has acknowledged. ` +
      'Acknowledge what is there (drover messages list) or send later.',
    { to },
  )
}

export function conflict(messageId: string): DroverError {
  return new DroverError(
    'idempotency_conflict',
    `The message ${messageId} was sent before, and was another one. Use a new id for a new message.`,
    { message_id: messageId },
  )
}

export function notYours(messageId: string): DroverError {
  return new DroverError(
    'forbidden',
    `The message ${messageId} is not yours: it is for another session, or another one has read it and still runs.`,
    { message_id: messageId },
  )
}

export function messageNotFound(messageId: string): DroverError {
  return new DroverError('message_not_found', `There is no message "${messageId}".`, {
    message_id: messageId,
  })
}
