/** Something to wait on that remembers a ring that came before the wait. */
export interface Bell {
  ring(): void
  /** Resolves at the next ring, after `timeoutMs`, or when `signal` aborts; at once where it rang since the last wait. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<void>
}

/** A bell that one waiter at a time can wait for. */
export function createBell(): Bell {
  let rung = false
  let wake: (() => void) | null = null

  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(timeoutMs, signal) {
      if (!rung && !signal?.aborted) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            clearTimeout(timer)
            signal?.removeEventListener('abort', done)
            wake = null
            resolve()
          }
          const timer = setTimeout(done, timeoutMs)
          signal?.addEventListener('abort', done, { once: true })
          wake = done
        })
      }
      rung = false
    },
  }
}
