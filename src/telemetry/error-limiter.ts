/** Keeps faults from flooding the log: 75,000 error events in 4.5 s were seen when a Redis was out of memory. */
import { systemClock, type Clock } from '../core/clock.ts'
import type { Logger } from './logger.ts'

/** One line of each kind in so many milliseconds. */
const INTERVAL_MS = 10_000

/** Logs each kind of fault once per interval and counts the rest. */
export interface ErrorLimiter {
  /**
   * Logs a warning, or only counts it when its kind was logged within the interval. The next line of the kind says
   * how many were left out (`suppressed`). `kind` is a fixed name such as `redis`, never made from input.
   */
  warn(kind: string, message: string, details?: object): void
  /** Says what was left out and not yet said: when a fault is over, and at the end. */
  flush(): void
}

interface Kind {
  /** Monotonic milliseconds. */
  loggedAt: number
  suppressed: number
  message: string
}

/** A limiter over `log`. It holds no timer: counts wait for the next line of their kind, or for `flush`. */
export function createErrorLimiter(
  log: Pick<Logger, 'warn'>,
  {
    intervalMs = INTERVAL_MS,
    clock = systemClock,
  }: { intervalMs?: number; clock?: Pick<Clock, 'monotonic'> } = {},
): ErrorLimiter {
  const kinds = new Map<string, Kind>()

  return {
    warn(kind, message, details = {}) {
      const now = clock.monotonic()
      const last = kinds.get(kind)
      if (last !== undefined && now - last.loggedAt < intervalMs) {
        last.suppressed += 1
        last.message = message
        return
      }
      const suppressed = last !== undefined && last.suppressed > 0 ? { suppressed: last.suppressed } : {}
      kinds.set(kind, { loggedAt: now, suppressed: 0, message })
      log.warn({ kind, ...details, ...suppressed }, message)
    },

    flush() {
      for (const [kind, last] of kinds) {
        if (last.suppressed === 0) continue
        log.warn({ kind, suppressed: last.suppressed }, `${last.message} (the last of those left out)`)
        last.suppressed = 0
      }
    },
  }
}
