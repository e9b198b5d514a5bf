/** Changing what runs. */
import { z } from 'zod'
import { tool } from '../tool.ts'

const id = z.string().min(1).describe('A session_id or an agent_id')

export const killAgent = tool({
  name: 'kill_agent',
  description: 'End a session and every process of its agent. A wait that is cancelled never does that.',
  input: z.strictObject({
    session_id: id,
    reason: z.string().optional(),
    force: z.boolean().optional().describe('SIGKILL at once'),
  }),
  call: async ({ session_id, reason, force }, { client, signal }) =>
    await client.kill(
      session_id,
      { ...(reason === undefined ? {} : { reason }), ...(force === undefined ? {} : { force }) },
      signal,
    ),
})

export const restartAgent = tool({
  name: 'restart_agent',
  description:
    'Another agent for a session, which goes on where it was; of one that has ended, a new session that goes on from it.',
  input: z.strictObject({ session_id: id }),
  call: async ({ session_id }, { client, signal }) => await client.restart(session_id, {}, signal),
})

export const sendToAgent = tool({
  name: 'send_to_agent',
  description:
    'Say something to the agent of a running session: it reads it in its turn, or as the next one.',
  input: z.strictObject({ session_id: id, text: z.string().min(1) }),
  call: async ({ session_id, text }, { client, signal }) => await client.send(session_id, text, { signal }),
})
