/**
 * Whether this ledger is older than what was recorded before: a backup, or a new file, is in its place. What the stream
 * still has is recorded again; of what it has no more nothing tells, where whole sessions are in it. So it is said.
 */
import type { Redis } from 'ioredis'
import type { Keys } from '../queue/keys.ts'
import { compareStreamIds, timeOf } from './stream-id.ts'

/**
 * A sentence where something may be missing; null where the stream has all that follows, or nobody was further. To be
 * asked before a recorder says how far it is, since that is what it is compared with.
 *
 * @param position how far the ledger is
 */
export async function missingBehind(
  redis: Redis,
  keys: Pick<Keys, 'events' | 'recorded'>,
  position: string,
): Promise<string | null> {
  const before = await redis.get(keys.recorded)
  if (before === null || compareStreamIds(before, position) <= 0) return null
  const [first] = await redis.xrange(keys.events, '-', '+', 'COUNT', 1)
  if (first !== undefined && compareStreamIds(first[0], position) <= 0) return null
  const until = first === undefined ? before : first[0]
  return (
    `The ledger is at ${position}, and ${before} was recorded before: a backup or a new file is in its place. ` +
    `The event stream has nothing from before ${new Date(timeOf(until)).toISOString()} any more: what happened until ` +
    'then and is not in this ledger is in the file that was put aside, or lost.'
  )
}
