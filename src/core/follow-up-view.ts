/** What was said to a session and what it asked, as its page shows it. */
import { z } from 'zod'
import { listOf, time } from './schema.ts'

const actor = {
  actor_via: z.string().nullable().describe('The door that it came through.'),
  actor_name: z.string().nullable(),
}

export const sessionMessageSchema = z
  .object({
    message_id: z.string(),
    text: z.string().describe("Cut where it is long; the whole of it is in the session's event."),
    priority: z.string(),
    status: z
      .enum(['waiting', 'delivered', 'undelivered'])
      .describe('undelivered: the session ended before an agent had it.'),
    ...actor,
    seq: z.int(),
    sent_at: time,
    delivered_at: time.nullable(),
    agent_id: z.string().nullable().describe('The agent that has taken it up.'),
  })
  .meta({ id: 'SessionMessage' })
export type SessionMessageView = Readonly<z.infer<typeof sessionMessageSchema>>

export const sessionQuestionSchema = z
  .object({
    request_id: z.string(),
    agent_id: z.string(),
    tool_name: z.string(),
    input: z.unknown().describe('What the tool is to be called with. Untrusted; cut where it is long.'),
    description: z.string().nullable(),
    asked_at: time,
    until: time.describe('Then it is denied.'),
    open: z.boolean().describe('It waits for an answer: POST /sessions/:id/permissions.'),
    behavior: z.enum(['allow', 'deny']).nullable(),
    message: z.string().nullable(),
    answered_at: time.nullable(),
    ...actor,
  })
  .meta({ id: 'SessionQuestion' })
export type SessionQuestionView = Readonly<z.infer<typeof sessionQuestionSchema>>

/** Both, of a session: oldest first, of each the latest 200. */
export const followUpViewShape = {
  messages: listOf(sessionMessageSchema).describe('What was said to it: oldest first, the latest 200.'),
  questions: listOf(sessionQuestionSchema).describe(
    'What its agents asked before they used a tool: oldest first, the latest 200.',
  ),
}
