/** Time, injected where a rule depends on it. */
export interface Clock {
  /** Milliseconds of CLOCK_MONOTONIC: one clock for all processes of a boot; for durations and deadlines. */
  monotonic(): number
  /** UTC wall clock; for stamps only. */
  now(): Date
}

export const systemClock: Clock = {
  // hrtime, not performance.now(): its zero is the boot's, so worker and guard can compare.
  monotonic: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  now: () => new Date(),
}

/** The longest time a Node timer can wait, in milliseconds (almost 25 days); a longer one fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Resolves after `ms`, or at once when `signal` aborts: look at the signal afterwards. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}
