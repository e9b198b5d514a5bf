/** What `wait: "started"` comes to, of a session as the ledger has it: on the board, and for who follows it over HTTP. */
import type { StartedAnswer } from './answer.ts'
import { DroverError } from './errors.ts'
import type { SessionView } from './session-view.ts'

/** Null while no agent has confirmed its start. */
export function startedAnswerOf(session: SessionView, timeoutSeconds: number): StartedAnswer | null {
  const { agent_id, started_at } = session
  if (agent_id === null || started_at === null) return null
  return {
    success: true,
    agent_id,
    session_id: session.session_id,
    agent_type: session.agent_type,
    task_id: session.task_id,
    status: session.status,
    pid: session.pid,
    created_at: session.created_at,
    started_at,
    expected_completion: new Date(Date.parse(started_at) + timeoutSeconds * 1000).toISOString(),
    timeout_seconds: timeoutSeconds,
  }
}

/**
 * Of a session that has ended. A start that failed is an error; a session that started and then failed is an answer.
 *
 * @param stderr the end of what its last agent printed there
 * @throws DroverError `spawn_failed` or `startup_timeout` where it ended because no agent ever ran
 */
export function refuseFailedStart(session: SessionView, stderr: () => string): void {
  const { failure_reason: reason } = session
  if (session.started_at !== null || (reason !== 'spawn_failed' && reason !== 'startup_timeout')) return
  throw new DroverError(reason, session.error_message ?? 'The agent did not start.', {
    session_id: session.session_id,
    agent_id: session.agent_id,
    agent_type: session.agent_type,
    task_id: session.task_id,
    stderr: stderr(),
  })
}
