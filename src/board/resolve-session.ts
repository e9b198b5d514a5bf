/** Sessions by the id of one, or of one of its agents; and those that Redis does not have. */
import { DroverError } from '../core/errors.ts'
import { isSessionId } from '../core/ids.ts'
import { isEnded, type EndState } from '../core/state.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import { requireAgent, sessionNotFound } from './known.ts'

export interface NamedSession {
  readonly sessionId: string
  /** Where an agent was named. */
  readonly agentId?: string
}

/** @throws DroverError `agent_not_found` with "did you mean"; whether there is such a session is not looked up */
export function resolveSession(ledger: LedgerReader, id: string): NamedSession {
  if (isSessionId(id)) return { sessionId: id }
  const { agent_id: agentId, session_id: sessionId } = requireAgent(ledger, id)
  return { sessionId, agentId }
}

/**
 * What to say where Redis has no such session: it ended long ago, or Redis has lost it, or it never was.
 *
 * @param sequel of the sentence that says how it ended, up to its full stop and beyond
 */
export function goneFromRedis(
  ledger: LedgerReader,
  sessionId: string,
  sequel: (status: EndState) => string,
): DroverError {
  const view = ledger.sessions.get(sessionId)
  if (view === null) return sessionNotFound(ledger, sessionId)
  const details = { session_id: sessionId, agent_id: view.agent_id, status: view.status }
  if (isEnded(view.status)) {
    return new DroverError(
      'session_ended',
      `The session ${sessionId} is ${view.status}${sequel(view.status)}`,
      details,
    )
  }
  return new DroverError(
    'redis_unavailable',
    `Redis has lost the session ${sessionId}; it is written back from the ledger. Ask again in a moment.`,
    { ...details, retry_after_seconds: 5 },
  )
}
