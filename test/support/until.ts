/** Waits for conditions, so that no test sleeps for a guessed time. */

const POLL_MS = 20
/** A poll that comes later than that shows that the machine, or this process, stood still. */
const LATE_MS = 100

type Falsy = false | 0 | '' | null | undefined

export interface UntilOptions {
  /** @default 10000 */
  readonly timeoutMs?: number
  /** What was waited for, or a function that says what was seen instead; ends up in the failure. */
  readonly message?: string | (() => string)
}

/**
 * Resolves with the condition's value once it is truthy, asking every 20 ms. A condition that throws counts as not
 * true yet; its last error is the cause of the failure when the time is over. While the machine stands still, no time
 * is over: what is waited for stood still, too.
 */
export async function until<T>(
  condition: () => T | Falsy | Promise<T | Falsy>,
  options: UntilOptions = {},
): Promise<Awaited<T>> {
  const timeoutMs = options.timeoutMs ?? 10_000
  let deadline = performance.now() + timeoutMs
  let lastError: unknown
  for (;;) {
    try {
      lastError = undefined
      const value = await condition()
      if (value) return value
    } catch (error) {
      lastError = error
    }
    if (performance.now() >= deadline) break
    const asleep = performance.now()
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    const late = performance.now() - asleep - POLL_MS
    if (late > LATE_MS) deadline += late
  }
  const message =
    typeof options.message === 'function' ? options.message() : (options.message ?? 'the condition')
  throw new Error(`Waited ${timeoutMs} ms in vain for: ${message}`, { cause: lastError })
}
