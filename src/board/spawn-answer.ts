/** From the ledger's rows to the answers of CONTRACT §3. */
import type { AcceptedAnswer, CompletedAnswer, StartedAnswer } from '../core/answer.ts'
import { parseEvent } from '../core/envelope.ts'
import type { AgentExited } from '../core/events.ts'
import { refuseFailedStart, startedAnswerOf } from '../core/started-answer.ts'
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
    refuseFailedStart(view, () => lastStderr(ledger, sessionId))
    return ledger.sessions.completedAnswer(sessionId)
  }
  return startedAnswerOf(view, timeoutSeconds)
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
