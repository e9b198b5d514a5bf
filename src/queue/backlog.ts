/**
 * How much of the event stream nobody has recorded yet, in two commands that cost nothing: the stream's length less
 * what is recorded and only kept for other readers (`kept`, counted by the recorder). Exact while a recorder is idle
 * or gone; while it works, off by the batch that it writes.
 */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/** Lua: `unrecorded(events key, kept key)`. */
export const UNRECORDED = `
local function unrecorded(events, kept)
  return math.max(0, redis.call('XLEN', events) - tonumber(redis.call('GET', kept) or '0'))
end
`

export interface Backlog {
  /** Entries on the stream, recorded ones included. */
  readonly length: number
  /** Entries that are not recorded. */
  readonly unrecorded: number
}

export async function readBacklog(redis: Redis, keys: Pick<Keys, 'events' | 'kept'>): Promise<Backlog> {
  const [length, kept] = await Promise.all([redis.xlen(keys.events), redis.get(keys.kept)])
  return { length, unrecorded: Math.max(0, length - Number(kept ?? 0)) }
}
