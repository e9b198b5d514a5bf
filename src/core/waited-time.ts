/** The time in which a session waits for people: its timeout does not count it, whoever dies meanwhile. */

/** As a session's hash has it, in milliseconds. */
export interface WaitedTime {
  /** Waits that are over. */
  readonly waitedMs: number
  /** Since when a person is waited for, in milliseconds since 1970; 0: nobody is. */
  readonly waitingSince: number
  /** Where a message is waited for, with or without an agent: until when; else 0. */
  readonly interruptedUntil: number
}

/** All waits up to `now`, the one that goes on included. A clock that was set back adds nothing. */
export function waitedUpTo({ waitedMs, waitingSince, interruptedUntil }: WaitedTime, now: number): number {
  if (waitingSince === 0) return waitedMs
  const until = interruptedUntil > 0 ? Math.min(now, interruptedUntil) : now
  return waitedMs + Math.max(0, until - waitingSince)
}
