/** What a session has asked for in its life: the count of the accept script, for what is no session yet. */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/**
 * KEYS  1 the session's hash
 * ARGV  1 how many more · 2 how many there may be
 */
const COUNT_SCRIPT = `
-- One that Redis does not have (it ended long ago, or is not written back yet) counts nothing.
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
if tonumber(redis.call('HGET', KEYS[1], 'children') or '0') + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'children', ARGV[1])
return 1`

/**
 * Counts `count` children more for the session, all or none; false where that would be more than `maxChildren`. Whoever
 * dies before they are there has counted them all the same: fewer may be asked for then, never more.
 */
export type CountChildren = (sessionId: string, count: number, maxChildren: number) => Promise<boolean>

export function createCountChildren(redis: Redis, keys: Pick<Keys, 'session'>): CountChildren {
  return async (sessionId, count, maxChildren) =>
    (await redis.eval(COUNT_SCRIPT, 1, keys.session(sessionId), count, maxChildren)) === 1
}
