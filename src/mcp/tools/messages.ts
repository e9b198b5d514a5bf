/** Mail between agents: it waits for its reader, who answers it or acknowledges it. */
import { z } from 'zod'
import { broadcastSchema, replySchema, sendMailSchema } from '../../core/mail.ts'
import { tool } from '../tool.ts'

const MOST_READ = 20
const message_id = z.string().min(1)

export const sendMessage = tool({
  name: 'send_message',
  description: 'Send another agent a message; one whose type does not run gets it in its next session.',
  input: z.strictObject({
    to: sendMailSchema.shape.to.describe('session_id, agent type, "parent" or "operator"'),
    text: sendMailSchema.shape.text,
  }),
  call: async ({ to, text }, { client }) => await client.sendMessage({ to, text }),
})

export const broadcast = tool({
  name: 'broadcast',
  description: 'Send a message to every session that runs.',
  input: z.strictObject({
    text: broadcastSchema.shape.text,
    agent_type: z.string().optional().describe('Only sessions of this type'),
  }),
  call: async ({ text, agent_type }, { client }) =>
    await client.broadcast({ text, ...(agent_type === undefined ? {} : { agent_type }) }),
})

export const checkInbox = tool({
  name: 'check_inbox',
  description: 'Read your messages, unread ones first. Each stays until it is answered or acknowledged.',
  input: z.strictObject({ limit: z.int().min(1).max(MOST_READ).optional() }),
  call: async ({ limit = MOST_READ }, { client }) => await client.inbox(limit),
})

export const replyTo = tool({
  name: 'reply_to',
  description: 'Answer a message; that takes it from the inbox.',
  input: z.strictObject({ message_id, text: replySchema.shape.text }),
  call: async (args, { client }) => await client.reply(args.message_id, { text: args.text }),
})

export const acknowledge = tool({
  name: 'acknowledge',
  description: 'Take a message from the inbox, without an answer.',
  input: z.strictObject({ message_id }),
  call: async (args, { client }) => await client.acknowledge(args.message_id),
})
