/**
 * One recorder at a time: a lease in Redis keeps a second one waiting. It is a courtesy, not the fence: a recorder
 * that was frozen past its lease is refused by the ledger itself (`recorder_position.epoch`).
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { newId } from '../core/ids.ts'
import { unlessAborted } from '../core/unless-aborted.ts'

const LEASE_MS = 10_000
/** Three attempts fit into a lease. */
const RENEW_MS = 3000
/** A recorder that died is succeeded after its lease; asking more often would gain nothing noticeable. */
const RETRY_MS = 500
/** Stopping does not wait longer for a Redis that is away. */
const RELEASE_MS = 1000

/** The holder's own token again is a repeat of the attempt whose answer was lost. */
const ACQUIRE_SCRIPT = `local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`
const RENEW_SCRIPT = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`
const RELEASE_SCRIPT = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

export interface RecorderLease {
  readonly token: string
  /** Aborts when somebody else has it. */
  readonly lost: AbortSignal
  /** Stops the renewals and gives it back; an error of Redis is swallowed, since the lease ends by itself. */
  release(): Promise<void>
}

/** Waits until the lease is ours; null when `signal` aborted first. Errors of Redis are told and waited out. */
export async function holdRecorderLease(
  redis: Redis,
  key: string,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<RecorderLease | null> {
  const token = newId()
  while (!signal.aborted) {
    try {
      // A connection that waits for Redis would keep us from stopping. What it still sets later ends by itself.
      const answer = await unlessAborted(redis.eval(ACQUIRE_SCRIPT, 1, key, token, LEASE_MS), signal)
      if (answer === 1) return keep(redis, key, token, onError)
    } catch (error) {
      onError(error)
    }
    await sleep(RETRY_MS, signal)
  }
  return null
}

function keep(redis: Redis, key: string, token: string, onError: (error: unknown) => void): RecorderLease {
  const lost = new AbortController()
  const renew = async (): Promise<void> => {
    if ((await redis.eval(RENEW_SCRIPT, 1, key, token, LEASE_MS)) !== 1) lost.abort()
  }
  const timer = setInterval(() => {
    renew().catch(onError)
  }, RENEW_MS)
  return {
    token,
    lost: lost.signal,
    async release() {
      clearInterval(timer)
      const late = new AbortController()
      const released = redis.eval(RELEASE_SCRIPT, 1, key, token).catch(() => {})
      await Promise.race([released, sleep(RELEASE_MS, late.signal)])
      late.abort()
    },
  }
}
