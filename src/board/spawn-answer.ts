/** From the ledger's rows to the answers of CONTRACT §3. */
import type { AcceptedAnswer, CompletedAnswer, StartedAnswer } from '../core/answer.ts'
import { parseEvent } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import type { AgentExited } from '../core/events.ts'
import { isEnded } from '../core/state.ts'
import type { LedgerReader, SessionView } from '../ledger/ledger.ts'

/** The session of a request that was accepted before. */
export function repeatedAnswer(
  view: SessionView,
  timeoutSeconds: number,
  queuePosition: number,
): AcceptedAnswer {
  return {
    success: true,
    session_id: view.session_id,
    agent_type: view.agent_type,
    task_id: view.task_id,
    status: view.status,
    durability: 'ledger',
    queue_position: queuePosition,
    waiting_for: view.waiting_for,
    created_at: view.created_at,
    timeout_seconds: timeoutSeconds,
    repeated: true,
  }
}

/**
 * What `wait: "started"` answers; null while no agent has confirmed its start. A session that ended meanwhile is
 * answered as completed.
 *
 * @throws DroverError `spawn_failed` or `startup_timeout` where it ended because no agent ever ran
 */
export function startedAnswer(
  ledger: LedgerReader,
  sessionId: string,
  timeoutSeconds: number,
): StartedAnswer | CompletedAnswer | null {
  const view = ledger.sessions.get(sessionId)
  if (view === null) return null
  if (isEnded(view.status)) {
    refuseFailedStart(ledger, view)
    return ledger.sessions.completedAnswer(sessionId)
  }
  if (view.started_at === null || view.agent_id === null) return null
  return {
    success: true,
    agent_id: view.agent_id,
    session_id: sessionId,
    agent_type: view.agent_type,
    task_id: view.task_id,
    status: view.status,
    pid: view.pid,
    created_at: view.created_at,
    started_at: view.started_at,
    expected_completion: new Date(Date.parse(view.started_at) + timeoutSeconds * 1000).toISOString(),
    timeout_seconds: timeoutSeconds,
  }
}

function refuseFailedStart(ledger: LedgerReader, view: SessionView): void {
  const { failure_reason: reason } = view
  if (view.started_at !== null || (reason !== 'spawn_failed' && reason !== 'startup_timeout')) return
  throw new DroverError(reason, view.error_message ?? 'The agent did not start.', {
    session_id: view.session_id,
    agent_id: view.agent_id,
    agent_type: view.agent_type,
    task_id: view.task_id,
    stderr: lastStderr(ledger, view.session_id),
  })
}

/** A session whose agents never started has a handful of events. */
const LAST_EVENTS = 100

function lastStderr(ledger: LedgerReader, sessionId: string): string {
  const from = Math.max(0, ledger.events.lastSeq(sessionId) - LAST_EVENTS)
  const exited = ledger.events
    .page(sessionId, from, LAST_EVENTS)
    .events.map(parseEvent)
    .findLast((event) => event.type === 'drover.agent.exited')
  return exited === undefined ? '' : (exited.payload as AgentExited).stderr_tail
}
