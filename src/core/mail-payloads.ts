/** What is said of mail between agents: payloads of Drover's own events, as schemas. */
import { z } from 'zod'
import { actorSchema } from './event-schema.ts'

const ofMail = {
  channel: z.literal('mail'),
  message_id: z.string(),
  agent_type: z
    .string()
    .describe('As in the header: whose mail this is, for events that belong to no session.'),
  actor: actorSchema,
}

/** `drover.message.sent`: of the session that it is for, else of the one that sent it. */
export const mailSentSchema = z
  .object({
    ...ofMail,
    thread_id: z.string(),
    in_reply_to: z.string().nullable(),
    broadcast_id: z.string().nullable(),
    from_session: z.string().nullable(),
    from_agent_type: z.string().nullable(),
    to_session: z.string().nullable(),
    to_agent_type: z.string().nullable(),
    text: z.string(),
  })
  .meta({ id: 'MailSent' })
export type MailSent = Readonly<z.infer<typeof mailSentSchema>>

/** `drover.message.delivered`: somebody has read it for the first time. */
export const mailDeliveredSchema = z
  .object({
    ...ofMail,
    delivered_to: z.string().nullable().describe('null: the operator.'),
  })
  .meta({ id: 'MailDelivered' })
export type MailDelivered = Readonly<z.infer<typeof mailDeliveredSchema>>

/** `drover.message.answered`: nobody needs to read it any more. */
export const mailAnsweredSchema = z
  .object({
    ...ofMail,
    reply_id: z
      .string()
      .nullable()
      .describe('The message that answers it; null where it was only acknowledged.'),
  })
  .meta({ id: 'MailAnswered' })
export type MailAnswered = Readonly<z.infer<typeof mailAnsweredSchema>>
