/** Looking at sessions, and waiting for one that was started before. */
import { z } from 'zod'
import { quoteText } from '../../core/cut-text.ts'
import { REQUEST_FIELDS } from '../../core/request.ts'
import { isEnded, SESSION_STATES } from '../../core/state.ts'
import { cutOutput } from '../cut-output.ts'
import { readAssistant } from '../progress.ts'
import { tool, type ToolContext } from '../tool.ts'
import { outcomeOf, waitForEnd } from './spawn.ts'

/** Rows of a list. Whoever has more looks for them by type. */
const MOST_ROWS = 50
const LONGEST_TASK = 120
/** Seconds. A model that is told nothing for longer has lost its thread. */
const WAIT_SECONDS = 600
const LONGEST_WAIT_SECONDS = 24 * 3600

export const checkSession = tool({
  name: 'check_session',
  description: 'How far a session is: status, what its agent does, cost, and at the end its output.',
  input: z.strictObject({
    session_id: z.string().min(1),
    offset: z.int().min(0).max(1e9).optional().describe('Output from this character on'),
  }),
  readOnly: true,
  call: async ({ session_id, offset = 0 }, context) => await stateOf(session_id, offset, context),
})

export const waitSession = tool({
  name: 'wait_session',
  description: 'Wait for a session to end; answers as spawn_agent, or how far it is when the time is over.',
  input: z.strictObject({
    session_id: z.string().min(1),
    timeout: z
      .int()
      .min(1)
      .max(LONGEST_WAIT_SECONDS)
      .optional()
      .describe(`Seconds, ${WAIT_SECONDS} without it`),
  }),
  readOnly: true,
  async call({ session_id, timeout = WAIT_SECONDS }, context) {
    const { session, answer } = await context.client.session(session_id)
    if (answer !== null) return outcomeOf(answer, context.maxResultChars)
    context.say?.(`session ${session_id} ${session.status}`)
    const over = AbortSignal.timeout(timeout * 1000)
    const signal = AbortSignal.any([context.signal, over])
    const waited = { session_id, timeout_seconds: session.timeout_seconds ?? 0 }
    try {
      return await waitForEnd(waited, { ...context, signal })
    } catch (error) {
      if (!over.aborted || context.signal.aborted) throw error
      return await stateOf(session_id, 0, context)
    }
  },
})

export const getActiveSessions = tool({
  name: 'get_active_sessions',
  description: 'Sessions that have not ended, newest first.',
  input: z.strictObject({
    agent_type: REQUEST_FIELDS.agentType.optional(),
    mine: z.boolean().optional().describe('Only those that this session has started'),
  }),
  readOnly: true,
  async call({ agent_type, mine = false }, { client, session }) {
    if (mine && session === null) return { sessions: [] }
    const { sessions, next_cursor } = await client.sessions({
      status: SESSION_STATES.filter((state) => !isEnded(state)).join(','),
      limit: MOST_ROWS,
      ...(agent_type === undefined ? {} : { agent_type }),
      ...(mine && session !== null ? { created_by: session } : {}),
    })
    return {
      sessions: sessions.map((row) => ({
        session_id: row.session_id,
        agent_type: row.agent_type,
        status: row.status,
        task: quoteText(row.task_description ?? '', LONGEST_TASK),
        created_by: row.created_by,
        started_at: row.started_at,
      })),
      ...(next_cursor === null ? {} : { more: 'There are more: narrow them down by agent_type.' }),
    }
  },
})

async function stateOf(
  sessionId: string,
  offset: number,
  { client, maxResultChars }: ToolContext,
): Promise<object> {
  const { session, answer } = await client.session(sessionId)
  const { session_id, agent_type, status } = session
  const facts = {
    session_id,
    agent_type,
    status,
    created_at: session.created_at,
    started_at: session.started_at,
    num_turns: session.num_turns,
    restarts: session.restarts,
    cost: session.estimated_cost_usd,
  }
  if (answer === null) {
    const doing = session.started_at === null ? null : await doingOf(sessionId, client)
    return {
      ...facts,
      ...(doing === null ? {} : { doing }),
      ...(session.waiting_for.length > 0 ? { waiting_for: session.waiting_for } : {}),
    }
  }
  const { success, output, completed_at, failure_reason, message } = answer
  return {
    ...facts,
    completed_at,
    success,
    ...cutOutput(session_id, output, offset, maxResultChars),
    ...(success ? {} : { failure_reason, message }),
  }
}

/** What its agent said or did last. */
async function doingOf(sessionId: string, client: ToolContext['client']): Promise<string | null> {
  const { events } = await client.allEvents({ session_id: sessionId, type: 'claude.assistant', limit: 1 })
  return readAssistant(events[0]?.payload).does
}
