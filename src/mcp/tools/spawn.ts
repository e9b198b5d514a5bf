/** Starting agents: waiting for what they answer, or not. */
import { z } from 'zod'
import type { AcceptedAnswer, CompletedAnswer } from '../../core/answer.ts'
import { DroverError, isDroverError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import { REQUEST_FIELDS } from '../../core/request.ts'
import { queuedText } from '../../core/session-steps.ts'
import type { Waited } from '../../producer/wait-for-session.ts'
import { cutOutput } from '../cut-output.ts'
import { tool, type ToolContext } from '../tool.ts'

const input = z.strictObject({
  agent_type: REQUEST_FIELDS.agentType,
  task: REQUEST_FIELDS.prompt.describe('What to do; all that the agent is told'),
  workspace_dir: REQUEST_FIELDS.workspaceDir.describe('Absolute path'),
  timeout: REQUEST_FIELDS.timeoutSeconds.optional().describe('Seconds'),
  task_id: REQUEST_FIELDS.taskId.optional().describe('A recorded task that this is the run of'),
})

export const spawnAgent = tool({
  name: 'spawn_agent',
  description:
    'Run an agent on a task and wait for what it answers: {session_id, success, output, cost}. ' +
    'search_agents finds the agent type.',
  input,
  async call(args, context) {
    const accepted = await accept(args, context, 'completed')
    context.say?.(`session ${accepted.session_id} ${queuedText(accepted)}`)
    return await waitForEnd(accepted, context)
  },
})

export const spawnAgentAsync = tool({
  name: 'spawn_agent_async',
  description: 'Start an agent without waiting; wait_session and check_session take the session_id.',
  input,
  async call(args, context) {
    const { session_id, status, queue_position, waiting_for } = await accept(args, context, 'accepted')
    return { session_id, status, queue_position, waiting_for }
  },
})

/** A key of its own for each call: the request is made again when the board goes away before it has answered. */
async function accept(
  { agent_type, task, workspace_dir, timeout, task_id }: z.output<typeof input>,
  { client, session }: ToolContext,
  wait: 'accepted' | 'completed',
): Promise<AcceptedAnswer> {
  return await client.accept(
    {
      agent_type,
      prompt: task,
      workspace_dir,
      wait,
      ...(timeout === undefined ? {} : { timeout_seconds: timeout }),
      ...(task_id === undefined ? {} : { task_id }),
    },
    { idempotencyKey: `mcp-${newId()}`, createdBy: session ?? undefined },
  )
}

/**
 * Waits as long as it takes, also through a board that is started again. What goes wrong from here on is the wait's
 * affair and not the session's: it goes on, and the error says how to wait again.
 */
export async function waitForEnd(
  accepted: Waited,
  { client, signal, follow, maxResultChars }: ToolContext,
): Promise<object> {
  const { session_id } = accepted
  try {
    const answer = await client.wait(accepted, 'completed', { signal, onEvent: follow })
    return outcomeOf(answer as CompletedAnswer, maxResultChars)
  } catch (error) {
    // Whatever is no answer of the board is our own signal: the caller has gone, or we are told to stop.
    const { code, message, details } = isDroverError(error)
      ? error
      : { code: 'board_unavailable' as const, message: 'Drover is being stopped.', details: {} }
    throw new DroverError(
      code,
      `${message} The session ${session_id} goes on: wait_session waits for it again.`,
      { ...details, session_id },
      { cause: error },
    )
  }
}

/** A session that ran and failed is an answer, with `success: false`. */
export function outcomeOf(
  { session_id, success, output, cost, failure_reason, message }: CompletedAnswer,
  maxChars: number,
): object {
  return {
    session_id,
    success,
    ...cutOutput(session_id, output, 0, maxChars),
    cost,
    ...(success ? {} : { error: 'session_failed', failure_reason, message }),
  }
}
