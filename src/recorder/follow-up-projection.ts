/** What is said to sessions and what they ask → `session_message`, `session_question`. Mail is another thing. */
import { cutText } from '../core/cut-text.ts'
import type { Actor } from '../core/envelope.ts'
import type { MessageAnswered, MessageDelivered, MessageSent, SessionWaitingInput } from '../core/events.ts'
import type { Tables } from '../ledger/tables.ts'
import type { SessionHeader } from './handler.ts'

const TEXT_LIMIT = 10_000

export function onMessageSent(tables: Tables, header: SessionHeader, payload: MessageSent): void {
  tables.sessionMessages.add({
    session_id: header.session_id,
    message_id: payload.message_id,
    text: cutText(payload.text, TEXT_LIMIT),
    priority: payload.priority,
    ...actorOf(payload.actor),
    seq: header.seq,
    sent_at: header.ts,
  })
}

export function onMessageDelivered(tables: Tables, header: SessionHeader, payload: MessageDelivered): void {
  tables.sessionMessages.deliver(header.session_id, payload.message_id, header.agent_id, header.ts)
}

export function onAnswered(tables: Tables, header: SessionHeader, payload: MessageAnswered): void {
  tables.questions.answer({
    session_id: header.session_id,
    request_id: payload.request_id,
    behavior: payload.behavior,
    message: payload.message,
    answered_at: header.ts,
    ...actorOf(payload.actor),
  })
}

/** With an interrupt, what was asked is taken back. */
export function onWaitingInput(tables: Tables, header: SessionHeader, payload: SessionWaitingInput): void {
  tables.sessions.ensure(header.session_id, header.agent_type, header.ts)
  tables.sessions.move(header.session_id, 'waiting_input')
  const { request_id, tool_name } = payload
  if (request_id === undefined || tool_name === undefined || header.agent_id === null) {
    return tables.questions.close(header.session_id, header.ts)
  }
  tables.questions.add({
    session_id: header.session_id,
    request_id,
    agent_id: header.agent_id,
    tool_name,
    input: JSON.stringify(payload.input ?? null),
    description: payload.description ?? null,
    asked_at: header.ts,
    until: payload.until,
  })
}

function actorOf(actor: Partial<Actor> | undefined): {
  readonly actor_via: string | null
  readonly actor_name: string | null
} {
  return { actor_via: actor?.via ?? null, actor_name: actor?.name ?? null }
}
