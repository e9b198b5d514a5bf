/** How far the ledger is behind the stream. */
import type { Redis } from 'ioredis'
import { readBacklog, type Backlog } from '../queue/backlog.ts'
import type { Keys } from '../queue/keys.ts'
import { timeOf } from './stream-id.ts'

export interface Lag extends Backlog {
  /** The oldest entry that is not recorded; null where everything is. */
  readonly oldest: { readonly id: string; readonly ts: string } | null
  /** Its age by Redis' clock, in milliseconds; 0 where everything is recorded. */
  readonly lagMs: number
}

/**
 * Reads it from Redis, whichever board records.
 *
 * @param position the ledger's own, since in a quarantine nothing is announced
 */
export async function readLag(
  redis: Redis,
  keys: Pick<Keys, 'events' | 'kept'>,
  position: string,
): Promise<Lag> {
  const [[oldest], [seconds, micros], backlog] = await Promise.all([
    redis.xrange(keys.events, `(${position}`, '+', 'COUNT', 1),
    redis.time(),
    readBacklog(redis, keys),
  ])
  // What is counted is told by the recorder, the position is the ledger's own word.
  if (oldest === undefined) return { ...backlog, unrecorded: 0, oldest: null, lagMs: 0 }
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
  const at = timeOf(oldest[0])
  return {
    ...backlog,
    unrecorded: Math.max(1, backlog.unrecorded),
    oldest: { id: oldest[0], ts: new Date(at).toISOString() },
    lagMs: Math.max(0, nowMs - at),
  }
}
