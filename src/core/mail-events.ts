/**
 * The payloads of `drover.message.*` for mail; what steers a session's conversation has the same types and another
 * `channel`. Each is an event of the session that it concerns, or of none (`session_id` null): a message to an agent
 * type that no session sent, for one.
 */
import type { MailAnswered, MailDelivered, MailSent } from './mail-payloads.ts'

export type { MailAnswered, MailDelivered, MailSent } from './mail-payloads.ts'

/** Is it of mail, and not of a conversation? */
export function isMail(payload: object): payload is MailSent | MailDelivered | MailAnswered {
  return 'channel' in payload && payload.channel === 'mail'
}
