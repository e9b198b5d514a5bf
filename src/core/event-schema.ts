/** Schemas of what every event has. Apart from `envelope.ts`, so that who reads events need not load zod. */
import { z } from 'zod'
import { amount, time } from './schema.ts'

export const eventHeaderSchema = z.object({
  session_id: z
    .string()
    .nullable()
    .describe('null only for events of tasks and messages that belong to no session.'),
  agent_id: z.string().nullable().describe('null before the first agent.'),
  agent_type: z.string(),
  epoch: z.int().describe('0 before the first agent.'),
  seq: z
    .int()
    .nullable()
    .describe('1…n over all events of the session, without a gap; null for events without a session.'),
  line: z.int().nullable().describe("Line number in the agent's spool for claude.* events, else null."),
  ts: time,
  type: z.string(),
  late: z
    .literal(true)
    .exactOptional()
    .describe("A superseded agent's line that arrived after its successor had started."),
})
export type EventHeader = Readonly<z.infer<typeof eventHeaderSchema>>

export const envelopeSchema = eventHeaderSchema
  .extend({ payload: z.unknown().describe("The CLI's line verbatim, or what Drover says.") })
  .meta({ id: 'Event' })
export type Envelope = Readonly<z.infer<typeof envelopeSchema>>

/** Who asked for something (CFR-014): recorded with every spawn, kill, restart, message and answer. */
export const actorSchema = z
  .object({
    via: z.enum(['cli', 'http', 'mcp', 'typescript', 'drover']).describe('The door it came through.'),
    name: z
      .string()
      .nullable()
      .describe("A name, where one is known: the token's, the caller's session id, the component of Drover."),
  })
  .meta({ id: 'Actor' })
export type Actor = Readonly<z.infer<typeof actorSchema>>

/** Token counts as Drover keeps them, money in integer micro-dollars. */
export const usageSchema = z
  .object({
    input_tokens: amount,
    output_tokens: amount,
    cache_read_tokens: amount,
    cache_creation_tokens: amount,
  })
  .meta({ id: 'Usage' })
export type Usage = Readonly<z.infer<typeof usageSchema>>
