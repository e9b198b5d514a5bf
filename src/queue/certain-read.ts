/** Reading a session where "there is none" is told to somebody: not of one that Redis may only have lost. */
import type { Redis } from 'ioredis'
import { notRestored } from './call-session.ts'
import { isRestored } from './incarnation.ts'
import type { Keys } from './keys.ts'
import type { SessionStore } from './session-store.ts'

/**
 * As `read`; null only where the session is not there for certain. One that is there costs nothing more.
 *
 * @throws DroverError `redis_unavailable` where Redis has lost something that is not written back yet
 */
export function createCertainRead(
  redis: Redis,
  keys: Pick<Keys, 'seeded' | 'restored'>,
  read: SessionStore['read'],
): SessionStore['read'] {
  return async (sessionId) => {
    const record = await read(sessionId)
    if (record !== null) return record
    if (!(await isRestored(redis, keys))) throw notRestored()
    // It may have been written back between the two.
    return await read(sessionId)
  }
}
