/** The sum of several times, the one that runs included. */
import type { Clock } from '../core/clock.ts'

export interface Stopwatch {
  /** Nothing happens where it runs already. */
  start(): void
  stop(): void
  isRunning(): boolean
  /** In milliseconds, up to now. */
  totalMs(): number
}

/** @param beforeMs what it begins with */
export function createStopwatch(clock: Pick<Clock, 'monotonic'>, beforeMs: number): Stopwatch {
  let stoppedMs = beforeMs
  let since: number | null = null

  const totalMs = (): number => stoppedMs + (since === null ? 0 : clock.monotonic() - since)

  return {
    start() {
      since ??= clock.monotonic()
    },
    stop() {
      stoppedMs = totalMs()
      since = null
    },
    isRunning: () => since !== null,
    totalMs,
  }
}
