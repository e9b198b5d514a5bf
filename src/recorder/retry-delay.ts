/** How long the recorder waits before it tries something once more: milliseconds. */
export const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5000

/** Twice as long each time. @param attempt how often it has failed, from 1 */
export function retryDelay(attempt: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10))
}
