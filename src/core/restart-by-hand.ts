/** Which ended sessions a person may restart: what a further agent cannot mend is refused, unless it is forced. */
import { DroverError } from './errors.ts'
import type { EndState, FailureReason } from './state.ts'

/** What to do before a restart, for the reasons that it does not mend by itself. */
const FIRST: Partial<Readonly<Record<FailureReason, string>>> = {
  auth_error: 'Put the credentials of the pods right',
  billing_error: 'Put the credit or the plan of the account right',
  invalid_config: 'Correct the spec, the workspace or the settings of the CLI',
  refused: 'Say differently what is asked, in a new session',
  max_turns: 'Raise max_turns in the spec',
  budget_exceeded: 'Raise max_budget_usd in the spec',
  cancelled: 'Make good what it waited for',
}

/** How to go on where an ended session takes no message, no interrupt and no answer any more: one or two sentences. */
export function howToGoOn(sessionId: string, status: EndState): string {
  return status === 'completed'
    ? 'Ask for a new one with drover spawn.'
    : `To go on from it: drover restart ${sessionId}, and then speak to the new session.`
}

/** What is known of an ended session. */
export interface EndedSession {
  readonly sessionId: string
  readonly agentType: string
  readonly status: EndState
  readonly failureReason: FailureReason | null
}

/** True for reasons that a restart may mend; others need `force`, because only a person knows that they are mended. */
export function isRetryable(reason: FailureReason | null): boolean {
  return reason === null || FIRST[reason] === undefined
}

/**
 * Why the session may not be restarted; null where it may. A completed one has nothing to restart. A cancelled one
 * may always be: whoever cancelled it may have thought better of it.
 */
export function restartRefusal(session: EndedSession, force: boolean): DroverError | null {
  const { sessionId, agentType, status, failureReason } = session
  const details = { session_id: sessionId, agent_type: agentType, status, failure_reason: failureReason }
  if (status === 'completed') {
    return new DroverError(
      'session_ended',
      `The session ${sessionId} is completed: there is nothing to restart. Ask for a new one with drover spawn.`,
      details,
    )
  }
  if (status === 'cancelled' || force || failureReason === null) return null
  const first = FIRST[failureReason]
  if (first === undefined) return null
  return new DroverError(
    'non_retryable_error',
    `The session ${sessionId} failed with ${failureReason}, which a restart alone does not mend. ${first}, then restart it with --force.`,
    details,
  )
}
