/**
 * The payloads of `drover.message.*` for mail; what steers a session's conversation has the same types and another
 * `channel`. Each is an event of the session that it concerns, or of none (`session_id` null): a message to an agent
 * type that no session sent, for one.
 */
import type { Actor } from './envelope.ts'

interface OfMail {
  readonly channel: 'mail'
  readonly message_id: string
  /** As in the header: whose mail this is, for events that belong to no session. */
  readonly agent_type: string
  readonly actor: Actor
}

/** `drover.message.sent`: of the session that it is for, else of the one that sent it. */
export interface MailSent extends OfMail {
  readonly thread_id: string
  readonly in_reply_to: string | null
  readonly broadcast_id: string | null
  readonly from_session: string | null
  readonly from_agent_type: string | null
  readonly to_session: string | null
  readonly to_agent_type: string | null
  readonly text: string
}

/** `drover.message.delivered`: somebody has read it for the first time. */
export interface MailDelivered extends OfMail {
  /** null: the operator. */
  readonly delivered_to: string | null
}

/** `drover.message.answered`: nobody needs to read it any more. */
export interface MailAnswered extends OfMail {
  /** The message that answers it; null where it was only acknowledged. */
  readonly reply_id: string | null
}

/** Is it of mail, and not of a conversation? */
export function isMail(payload: object): payload is OfMail {
  return 'channel' in payload && payload.channel === 'mail'
}
