/**
 * Locks by name, over all pods and boards of a namespace: for steps on files that two of them must not take at once. A
 * holder that dies lets go after a while, and one that takes longer than that has lost it: what is done under a lock is
 * bounded in time, and may be repeated.
 */
import type { Redis } from 'ioredis'
import { DroverError } from '../core/errors.ts'
import { sleep } from '../core/clock.ts'
import { newId, sha256 } from '../core/ids.ts'
import type { Keys } from './keys.ts'

/** Milliseconds; renewed while the work goes on. */
const TTL_MS = 30_000
const LOOK_AGAIN_MS = 50
/** Longer than a dead holder keeps it. */
const PATIENCE_MS = 2 * TTL_MS

const RENEW = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`
const RELEASE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

/**
 * Does `work` while nobody else has the lock.
 *
 * @throws DroverError `redis_unavailable` where the lock is not free in time; what `work` throws
 */
export type WithLock = <T>(name: string, work: () => Promise<T>) => Promise<T>

/** @param patienceMs how long a lock is waited for. @default a minute */
export function createLocks(redis: Redis, keys: Pick<Keys, 'lock'>, patienceMs = PATIENCE_MS): WithLock {
  return async (name, work) => {
    const key = keys.lock(sha256(name).slice(0, 32))
    const token = newId()
    const until = performance.now() + patienceMs
    while ((await redis.set(key, token, 'PX', TTL_MS, 'NX')) === null) {
      if (performance.now() > until) {
        throw new DroverError(
          'redis_unavailable',
          `Somebody else is busy with ${name}. Try again in a moment.`,
        )
      }
      await sleep(LOOK_AGAIN_MS)
    }
    const renewal = setInterval(
      () => void redis.eval(RENEW, 1, key, token, TTL_MS).catch(() => {}),
      TTL_MS / 3,
    )
    try {
      return await work()
    } finally {
      clearInterval(renewal)
      await redis.eval(RELEASE, 1, key, token).catch(() => {})
    }
  }
}
