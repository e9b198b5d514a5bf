/**
 * Locks by name, over all pods and boards of a namespace: for steps on the files of a worktree that two of them must not
 * take at once. A holder that dies lets go after a while, and one that takes longer than that has lost it: what is done
 * under a lock is bounded in time, and may be repeated.
 */
import type { Redis } from 'ioredis'
import { DroverError, messageOf } from '../core/errors.ts'
import { sleep } from '../core/clock.ts'
import { newId, sha256 } from '../core/ids.ts'
import type { Keys } from './keys.ts'

/** Milliseconds; renewed while the work goes on. */
const TTL_MS = 30_000
const LOOK_AGAIN_MS = 50

/** The holder's own token again is a repeat of the attempt whose answer was lost. */
const ACQUIRE = `local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`
/** One that Redis has no more (the renewals were late, or it was emptied) and nobody else has is taken again. */
const RENEW = `local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 'taken' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 'held' or 'was free'`
const RELEASE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

/**
 * Does `work` while nobody else has the lock.
 *
 * @throws DroverError `worktree_refused` with `retry_after_seconds`: somebody else has it all the time; what Redis or
 *   `work` throws
 */
export type WithLock = <T>(name: string, work: () => Promise<T>) => Promise<T>

export interface LocksOptions {
  /** How long a lock is waited for. @default twice as long as a dead holder keeps it */
  readonly patienceMs?: number
  /** Told, once per time that it is held, that it cannot be renewed or that somebody else may have had it meanwhile. */
  readonly onTrouble: (error: Error) => void
  /** How long a dead holder keeps it. @default 30000 */
  readonly ttlMs?: number
}

export function createLocks(redis: Redis, keys: Pick<Keys, 'lock'>, options: LocksOptions): WithLock {
  const { ttlMs = TTL_MS, patienceMs = 2 * ttlMs, onTrouble } = options
  return async (name, work) => {
    const key = keys.lock(sha256(name).slice(0, 32))
    const token = newId()
    const until = performance.now() + patienceMs
    while ((await redis.eval(ACQUIRE, 1, key, token, ttlMs)) !== 1) {
      if (performance.now() > until) throw busy(name, ttlMs)
      await sleep(LOOK_AGAIN_MS)
    }
    let said = false
    const say = (what: string): void => {
      if (!said) onTrouble(new Error(`The lock of ${name} ${what}. What is done under it goes on.`))
      said = true
    }
    const renew = async (): Promise<void> => {
      const found = await redis.eval(RENEW, 1, key, token, ttlMs)
      if (found === 'taken') say('is somebody else’s by now')
      else if (found === 'was free')
        say('was lost, and is held again: somebody else may have had it meanwhile')
    }
    const renewal = setInterval(
      () => void renew().catch((error: unknown) => say(`cannot be renewed (${messageOf(error)})`)),
      ttlMs / 3,
    )
    try {
      return await work()
    } finally {
      clearInterval(renewal)
      await redis.eval(RELEASE, 1, key, token).catch(() => {})
    }
  }
}

function busy(name: string, ttlMs: number): DroverError {
  return new DroverError('worktree_refused', `Somebody else is busy with ${name}. Try again in a moment.`, {
    retry_after_seconds: Math.ceil(ttlMs / 1000),
  })
}
