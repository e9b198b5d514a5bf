/** Notices when Redis is back: once for all connections of a process, whatever each of them had said before. */
import type { Redis } from 'ioredis'

export interface Outage {
  /** Counts this connection in, which is ready now. */
  watch(redis: Redis): void
}

/** @param onBack called when the last connection that was lost is ready again, with how long that took */
export function createOutage(onBack: (awayMs: number) => void): Outage {
  const lost = new Set<Redis>()
  let since = 0

  return {
    watch(redis) {
      redis.on('close', () => {
        if (lost.size === 0) since = performance.now()
        lost.add(redis)
      })
      // Closed in order, and not to come back.
      redis.on('end', () => void lost.delete(redis))
      redis.on('ready', () => {
        if (lost.delete(redis) && lost.size === 0) onBack(Math.round(performance.now() - since))
      })
    },
  }
}
