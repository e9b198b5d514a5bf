/** One timer for several times: the soonest rings. Whoever is woken looks at the clock, and sets it again. */
import { LONGEST_TIMER_MS, type Clock } from '../core/clock.ts'

export interface Alarm {
  /** Rings in `ms` at the latest: one that is set for an earlier time stays. */
  setIn(ms: number): void
  stop(): void
}

export function createAlarm(clock: Pick<Clock, 'monotonic'>, ring: () => void): Alarm {
  let set: { readonly timer: NodeJS.Timeout; readonly at: number } | null = null

  function stop(): void {
    if (set !== null) clearTimeout(set.timer)
    set = null
  }

  return {
    setIn(ms) {
      const at = clock.monotonic() + ms
      if (set !== null && set.at <= at) return
      stop()
      const timer = setTimeout(
        () => {
          set = null
          ring()
        },
        // Woken too early, it is set again.
        Math.max(1, Math.min(ms, LONGEST_TIMER_MS)),
      )
      set = { timer, at }
    },
    stop,
  }
}
