/**
 * The promise's outcome, or null as soon as `signal` aborts. Nothing of it stays with the signal: a listener that is left
 * on one that lives as long as its process keeps what it was made of, for each call.
 */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const give = (): void => resolve(null)
    if (signal.aborted) give()
    signal.addEventListener('abort', give, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give))
  })
}
