/** Takes from the stream what is recorded and old enough (`stream-cut.ts`); never before the commit. */
import type { Redis } from 'ioredis'
import type { Clock } from '../core/clock.ts'
import type { Keys } from '../queue/keys.ts'
import type { StreamCut } from './stream-cut.ts'

/** Trimming goes on in the background of recording; once a second keeps each cut small. */
const TRIM_EVERY_MS = 1000

export interface TrimmingParts {
  readonly redis: Redis
  readonly keys: Pick<Keys, 'events'>
  readonly cut: StreamCut
  readonly clock: Pick<Clock, 'monotonic'>
  /** So many entries are gone. */
  readonly onTrimmed: (entries: number) => void
  /** Redis did not do it; the next commit tries again. */
  readonly onError: (error: unknown) => void
}

/** To be told of each commit: the id of its last entry, and how many it had. */
export function createTrimming(parts: TrimmingParts): (lastId: string, entries: number) => void {
  const { redis, keys, cut, clock } = parts
  let trimmedAt = Number.NEGATIVE_INFINITY
  return (lastId, entries) => {
    cut.recorded(lastId, entries)
    const minId = cut.minId()
    if (minId === null || clock.monotonic() - trimmedAt < TRIM_EVERY_MS) return
    trimmedAt = clock.monotonic()
    redis.xtrim(keys.events, 'MINID', minId).then(parts.onTrimmed).catch(parts.onError)
  }
}
