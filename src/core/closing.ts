/** What is to be closed, in order. */
export interface Closing {
  add(close: () => unknown): void
  /**
   * Closes everything, the last first, each after the one before it. One that fails holds up none; the first failure is
   * thrown at the end. Safe to call twice.
   */
  run(): Promise<void>
}

/** A list of what is to be closed, empty at first. */
export function createClosing(): Closing {
  const steps: (() => unknown)[] = []
  let running: Promise<void> | null = null

  async function closeAll(): Promise<void> {
    const errors: unknown[] = []
    for (const close of steps.toReversed()) {
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  return {
    add: (close) => void steps.push(close),
    run: () => (running ??= closeAll()),
  }
}
