/** Sessions that Drover gave to tasks by itself, met by somebody who asks for the task's session. */
import type { SessionAccepted } from '../core/events.ts'
import { requestDigest, type SpawnRequest } from '../core/request.ts'

/**
 * Whether that session is what is asked for: made by Drover before anybody asked, the same work, and nothing asked of
 * how it runs that it does not do. Who asks (`orchestrator_id`) makes no other session of it.
 */
export function isDispatched(earlier: SessionAccepted, asked: SpawnRequest): boolean {
  const { orchestrator_id: _who, timeout_seconds: timeout, auto_restart: autoRestart, ...work } = asked
  return (
    earlier.actor.via === 'drover' &&
    earlier.digest === requestDigest(work) &&
    (timeout == null || timeout === earlier.timeout_seconds) &&
    autoRestart !== false
  )
}
