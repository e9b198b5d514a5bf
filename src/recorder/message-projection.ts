/** `drover.message.*` of mail → `agent_message`. What steers a conversation has the same types, and no row here. */
import type { EventHeader } from '../core/envelope.ts'
import { isMail, type MailAnswered, type MailDelivered, type MailSent } from '../core/mail-events.ts'
import type { Tables } from '../ledger/open.ts'
import type { Handler, Handlers } from './handler.ts'

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

const ofMail =
  (handler: Handler<EventHeader>): Handler<EventHeader> =>
  (tables, header, payload, effects) => {
    if (isMail(payload)) handler(tables, header, payload, effects)
  }

export const MESSAGE_HANDLERS: Handlers<EventHeader> = {
  'drover.message.sent': ofMail(onSent),
  'drover.message.delivered': ofMail(onDelivered),
  'drover.message.answered': ofMail(onAnswered),
}
