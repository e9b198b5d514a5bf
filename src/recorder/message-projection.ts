/** `drover.message.*`: of mail → `agent_message`; of what is said to a session, which has the same types → its own. */
import type { EventHeader } from '../core/envelope.ts'
import { isMail, type MailAnswered, type MailDelivered, type MailSent } from '../core/mail-events.ts'
import type { Tables } from '../ledger/tables.ts'
import {
  onAnswered as onQuestionAnswered,
  onMessageDelivered,
  onMessageSent,
} from './follow-up-projection.ts'
import type { Handler, Handlers, SessionHeader } from './handler.ts'

function onSent(tables: Tables, header: EventHeader, payload: MailSent): void {
  const { channel: _, agent_type: __, actor, ...message } = payload
  tables.messages.add({ ...message, actor: JSON.stringify(actor), created_at: header.ts })
}

function onDelivered(tables: Tables, header: EventHeader, payload: MailDelivered): void {
  tables.messages.deliver(payload.message_id, payload.delivered_to, header.ts)
}

function onAnswered(tables: Tables, header: EventHeader, payload: MailAnswered): void {
  tables.messages.acknowledge(payload.message_id, header.ts)
}

/** One of a session has a number in it; mail may be to nobody's. */
const either =
  (ofMail: Handler<EventHeader>, ofSession: Handler<SessionHeader>): Handler<EventHeader> =>
  (tables, header, payload, effects) => {
    if (isMail(payload)) return ofMail(tables, header, payload, effects)
    const { session_id, seq } = header
    if (session_id === null || seq === null) throw new Error(`An event ${header.type} is to no session.`)
    ofSession(tables, { ...header, session_id, seq }, payload, effects)
  }

export const MESSAGE_HANDLERS: Handlers<EventHeader> = {
  'drover.message.sent': either(onSent, onMessageSent),
  'drover.message.delivered': either(onDelivered, onMessageDelivered),
  'drover.message.answered': either(onAnswered, onQuestionAnswered),
}
