/** What a session has asked for in its life: the count of the accept script, for what is no session yet. */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/**
 * KEYS  1 the session's hash
 * ARGV  1 how many children there may be · then the ids of tasks
 *
 * Its fields `task:<id>`: the ledger, which knows the tasks that are there, may be behind when one is added again.
 */
const COUNT_SCRIPT = `
-- One that Redis does not have (it ended long ago, or is not written back yet) counts nothing.
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
local fresh = {}
for i = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[1], 'task:' .. ARGV[i]) == 0 then fresh[#fresh + 1] = 'task:' .. ARGV[i] end
end
if tonumber(redis.call('HGET', KEYS[1], 'children') or '0') + #fresh > tonumber(ARGV[1]) then return 0 end
for _, field in ipairs(fresh) do redis.call('HSET', KEYS[1], field, '1') end
redis.call('HINCRBY', KEYS[1], 'children', #fresh)
return 1`

/**
 * Counts these tasks as children of the session, all or none and each once; false where they would be more than
 * `maxChildren`. Whoever dies before they are there has counted them all the same.
 */
export type CountChildren = (
  sessionId: string,
  taskIds: readonly string[],
  maxChildren: number,
) => Promise<boolean>

export function createCountChildren(redis: Redis, keys: Pick<Keys, 'session'>): CountChildren {
  return async (sessionId, taskIds, maxChildren) =>
    (await redis.eval(COUNT_SCRIPT, 1, keys.session(sessionId), maxChildren, ...taskIds)) === 1
}
