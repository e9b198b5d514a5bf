/** A look at all there is, again and again: one at a time, and never again once it was stopped. */

export interface Passes {
  /** The first one is `everyMs` from now; safe to call twice. */
  start(): void
  /** Resolves when the pass that runs is over; safe to call twice. */
  stop(): Promise<void>
}

/** @param onError told of a pass that failed; the next one comes all the same */
export function createPasses(
  pass: () => Promise<void>,
  everyMs: number,
  onError: (error: unknown) => void,
): Passes {
  let timer: NodeJS.Timeout | null = null
  let passing: Promise<void> | null = null

  function begin(): void {
    passing ??= pass()
      .catch(onError)
      .finally(() => {
        passing = null
      })
  }

  return {
    start() {
      timer ??= setInterval(begin, everyMs)
    },
    async stop() {
      if (timer !== null) clearInterval(timer)
      timer = null
      await passing
    },
  }
}
