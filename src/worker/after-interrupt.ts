/**
 * A session whose last turn a person has stopped, and whose agent ended before a message followed: a deploy, a crash.
 * It does not go on by itself with what was stopped. The pod waits, without an agent, for the message that the next
 * agent is told first, for as long as the agent would have.
 */
import type { Bell } from '../core/bell.ts'
import type { Clock } from '../core/clock.ts'
import type { Ending } from '../queue/session-end.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import type { SessionRequests } from '../queue/session-requests.ts'

/** `look`: the session is not as it was, or the pod stops: its record is to be read again. */
export type Awaited = 'message' | 'too_late' | 'look'

export async function untilMessage(
  parts: { readonly requests: SessionRequests; readonly clock: Clock; readonly renewMs: number },
  record: SessionRecord,
  bell: Bell,
  signal: AbortSignal,
): Promise<Awaited> {
  for (;;) {
    const now = await parts.requests.read(record.sessionId)
    if (now.inbox > 0) return 'message'
    if (now.ended || now.cancel !== null || now.interruptedUntil !== record.interruptedUntil) return 'look'
    const leftMs = record.interruptedUntil - parts.clock.now().getTime()
    if (leftMs <= 0) return 'too_late'
    if (signal.aborted) return 'look'
    await bell.wait(Math.min(leftMs, parts.renewMs), signal)
  }
}

/** The end of a session that nobody had a message for. */
export const NO_MESSAGE_FOLLOWED: Ending = {
  status: 'cancelled',
  failureReason: 'cancelled',
  message: 'The last turn was interrupted, and no message followed.',
  output: null,
  permissionDenials: [],
}
