/** Writing back what was said to sessions and Redis has lost; it may run twice, and beside the pods. */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/**
 * A message that is not known is known again, and kept where no agent has it. One that is known stays as it is: it
 * is as new as the ledger, or newer. What waits is counted anew: the session's hash may have been lost without it. A
 * session that is not there, or has ended, gets none.
 *
 * KEYS  1 session hash · 2 what is said to it
 * ARGV  per message: id, what a repeat is told by, what is kept of it ('' = nothing, an agent has it), the agent that
 *       has taken it up ('' = none)
 */
const RESTORE_SCRIPT = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'completed' or state == 'failed' or state == 'cancelled' then return 0 end
local written = 0
for i = 1, #ARGV, 4 do
  if redis.call('HSETNX', KEYS[2], 'k:' .. ARGV[i], ARGV[i + 1]) == 1 then
    written = written + 1
    if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[2], 'm:' .. ARGV[i], ARGV[i + 2]) end
    if ARGV[i + 3] ~= '' then redis.call('HSET', KEYS[2], 'd:' .. ARGV[i], ARGV[i + 3]) end
  end
end
local inbox, bytes = 0, 0
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 2) == 'm:' then
    inbox = inbox + 1
    bytes = bytes + redis.call('HSTRLEN', KEYS[2], field)
  end
end
redis.call('HSET', KEYS[1], 'inbox', inbox, 'inbox_bytes', bytes)
if written > 0 then redis.call('HINCRBY', KEYS[1], 'talk', 1) end
return written
`

/** What was said to a session, in the fields of `talk-script.ts`. */
export interface RestoredTalk {
  readonly sessionId: string
  readonly messages: readonly {
    readonly messageId: string
    readonly known: string
    readonly kept: string
    readonly startedBy: string
  }[]
}

/** Answers how many messages Redis did not know. */
export async function restoreTalk(
  redis: Redis,
  keys: Pick<Keys, 'session' | 'talk'>,
  { sessionId, messages }: RestoredTalk,
): Promise<number> {
  const fields = messages.flatMap(({ messageId, known, kept, startedBy }) => [
    messageId,
    known,
    kept,
    startedBy,
  ])
  return (await redis.eval(
    RESTORE_SCRIPT,
    2,
    keys.session(sessionId),
    keys.talk(sessionId),
    ...fields,
  )) as number
}
