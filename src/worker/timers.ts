/** Timers that are stopped together, for any length of time. */
import { LONGEST_TIMER_MS } from '../core/clock.ts'

export interface Timers {
  /** Does `action` after `ms`; the answer takes it back. */
  after(ms: number, action: () => void): () => void
  /** Whatever still waits never happens, nor does what is asked for later. */
  stop(): void
}

export function createTimers(): Timers {
  const waiting = new Set<() => void>()
  let stopped = false

  return {
    after(ms, action) {
      if (stopped) return () => {}
      let timer: NodeJS.Timeout
      const cancel = (): void => {
        clearTimeout(timer)
        waiting.delete(cancel)
      }
      const wait = (leftMs: number): void => {
        const stepMs = Math.min(leftMs, LONGEST_TIMER_MS)
        timer = setTimeout(() => {
          if (stepMs < leftMs) return wait(leftMs - stepMs)
          waiting.delete(cancel)
          action()
        }, stepMs)
      }
      waiting.add(cancel)
      wait(ms)
      return cancel
    },
    stop() {
      stopped = true
      for (const cancel of waiting) cancel()
    },
  }
}
