/** What is said in a running session: messages and answers: payloads of Drover's own events, as schemas. */
import { z } from 'zod'
import { actorSchema } from './event-schema.ts'
import { MESSAGE_PRIORITIES } from './follow-up.ts'
import { redactedSchema } from './redacted.ts'

/** `drover.message.sent`: a message for the session's agent, kept until one has it. */
export const messageSentSchema = z
  .object({
    message_id: z.string(),
    text: z.string(),
    priority: z.enum(MESSAGE_PRIORITIES),
    actor: actorSchema,
    redacted: redactedSchema.exactOptional(),
  })
  .meta({ id: 'MessageSent' })
export type MessageSent = Readonly<z.infer<typeof messageSentSchema>>

/** `drover.message.delivered`: the agent of the event has taken it up. */
export const messageDeliveredSchema = z
  .object({
    message_id: z.string(),
    confirmed: z
      .literal(false)
      .exactOptional()
      .describe('Only where it is false: it was given to the agent, which never said so.'),
    redacted: z
      .literal(true)
      .exactOptional()
      .describe(
        'Only where it is so: Redis had lost it as it was sent, and the agent got it as it is recorded.',
      ),
  })
  .meta({ id: 'MessageDelivered' })
export type MessageDelivered = Readonly<z.infer<typeof messageDeliveredSchema>>

/** `drover.message.answered`: a question of the agent has its answer. Nobody in time: `actor` is Drover. */
export const messageAnsweredSchema = z
  .object({
    request_id: z.string(),
    tool_name: z.string(),
    behavior: z.enum(['allow', 'deny']),
    message: z.string().nullable(),
    updated_input: z.record(z.string(), z.unknown()).nullable(),
    interrupt: z.boolean(),
    actor: actorSchema,
    redacted: redactedSchema.exactOptional(),
  })
  .meta({ id: 'MessageAnswered' })
export type MessageAnswered = Readonly<z.infer<typeof messageAnsweredSchema>>
