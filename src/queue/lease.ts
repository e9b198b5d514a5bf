/**
 * The lease of an agent type: the singleton. Whoever holds it may run an agent of that type; a type with
 * `max_instances` n has n of them, one a slot.
 *
 * Taken here, renewed by the session script together with the session's beat, given back here. A holder that dies
 * or is cut off loses it by time; it trusts its lease for less time than Redis keeps it (`trustedUntil`), counted
 * from the *start* of the attempt, so that a slow answer never stretches it.
 *
 * None is given in a life of Redis that the recorder has not confirmed (`incarnation.ts`): a lease that Redis forgot
 * may still be trusted by its holder. A renewal is not a new lease: it needs its holder's own token in Redis.
 *
 * Dying before the script leaves nothing, after it a lease that ends by time. A repeat, also after a lost answer, is
 * the same attempt by its token.
 */
import type { Redis } from 'ioredis'
import { sleep, type Clock } from '../core/clock.ts'
import { newId } from '../core/ids.ts'
import { INCARNATION } from './incarnation.ts'
import type { Keys } from './keys.ts'
import { runIdOf } from './run-id.ts'

/**
 * KEYS  1 seeded · 2 quarantine · then the slots
 * ARGV  1 token · 2 ttl
 * Answers the slot's number from 1, 0 where all are taken, -1 in a quarantine.
 *
 * All slots in one call, so that of eight holders and three slots none is passed over while another is asked. INFO is
 * asked only when a slot is free: 10 µs of Redis’ time then, 4 µs while a job waits for a holder (measured, 3 slots).
 */
const ACQUIRE_SCRIPT = `${INCARNATION}
local free, own = 0, 0
for i = 3, #KEYS do
  local holder = redis.call('GET', KEYS[i])
  if holder == ARGV[1] then own = i end
  if not holder and free == 0 then free = i end
end
local slot = own > 0 and own or free
if slot == 0 then return 0 end
local run = run_id()
if redis.call('GET', KEYS[1]) ~= run then
  note(KEYS[2], run)
  return -1
end
redis.call('SET', KEYS[slot], ARGV[1], 'PX', ARGV[2])
return slot - 2`
const RELEASE_SCRIPT = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`
/** How often a waiting job asks again; it waits only after a holder that did not give its lease back. */
const RETRY_MS = 250
/** A quarantine lasts a whole lease; asking more often would shorten nothing that is felt. */
const QUARANTINE_RETRY_MS = 1000
/** How often a wait for the recorder is said. */
const SAY_EVERY_MS = 10_000

export interface LeaseTimes {
  readonly ttlMs: number
  readonly renewMs: number
  readonly marginMs: number
}

export interface Lease {
  readonly key: string
  readonly token: string
  /** Until when the holder may trust the first acquisition: monotonic milliseconds. */
  readonly trustedUntil: number
  release(): Promise<void>
}

export interface Leases {
  /** Waits for a slot; null when `signal` aborted first. */
  acquire(agentType: string, slots: number, signal: AbortSignal): Promise<Lease | null>
  /** For how many milliseconds that token still has that lease, if it is not renewed; 0: it has it no more. */
  leftMs(lease: Pick<Lease, 'key' | 'token'>): Promise<number>
}

interface AcquiringRedis extends Redis {
  droverAcquire(keyCount: number, ...args: (string | number)[]): Promise<number>
}

/** @param onWait told every 10 s what all waits of this pod wait for, while Redis is in quarantine */
export function createLeases(
  redis: Redis,
  keys: Keys,
  times: LeaseTimes,
  holder: string,
  clock: Clock,
  onWait: (error: Error) => void = () => {},
): Leases {
  redis.defineCommand('droverAcquire', { lua: ACQUIRE_SCRIPT })
  const acquiring = redis as AcquiringRedis
  let saidAt = Number.NEGATIVE_INFINITY

  async function attempt(agentType: string, slots: number, token: string): Promise<Lease | Refusal> {
    const names = Array.from({ length: slots }, (_, slot) => keys.lease(agentType, slot))
    const attemptStart = clock.monotonic()
    const slot = await acquiring.droverAcquire(
      2 + slots,
      keys.seeded,
      keys.quarantine,
      ...names,
      token,
      times.ttlMs,
    )
    const key = names[slot - 1]
    if (key === undefined) return slot === 0 ? 'taken' : 'quarantine'
    return {
      key,
      token,
      trustedUntil: attemptStart + times.ttlMs - times.marginMs,
      release: async () => void (await redis.eval(RELEASE_SCRIPT, 1, key, token)),
    }
  }

  function say(agentType: string): void {
    if (clock.monotonic() - saidAt < SAY_EVERY_MS) return
    saidAt = clock.monotonic()
    onWait(new Error(quarantineMessage(agentType, times.ttlMs)))
  }

  return {
    async leftMs({ key, token }) {
      const [holder, left] = await Promise.all([redis.get(key), redis.pttl(key)])
      return holder === token ? Math.max(left, 0) : 0
    },

    async acquire(agentType, slots, signal) {
      const token = `${holder}:${newId()}`
      let waitMs = RETRY_MS
      while (!signal.aborted) {
        const answer = await attempt(agentType, slots, token)
        if (typeof answer === 'object') return answer
        if (answer === 'quarantine') say(agentType)
        waitMs = answer === 'taken' ? RETRY_MS : Math.min(waitMs * 2, QUARANTINE_RETRY_MS)
        await sleep(waitMs, signal)
      }
      return null
    },
  }
}

type Refusal = 'taken' | 'quarantine'

function quarantineMessage(agentType: string, ttlMs: number): string {
  return (
    `${agentType} waits: Redis was restarted, failed over or emptied, and no recorder has confirmed yet that nothing ` +
    `of before still runs. A recorder does that ${Math.ceil(ttlMs / 1000)} s after it noticed. Is a \`drover board\` ` +
    'running for this namespace? Its /readyz says how long it still takes.'
  )
}

/**
 * Whether a live session has lost its lease: then its worker is gone or cut off, and by its deadline the agent is dead.
 * False where that is not sure: Redis may have forgotten the lease.
 */
export async function hasLostLease(
  redis: Redis,
  keys: Pick<Keys, 'seeded'>,
  lease: Pick<Lease, 'key' | 'token'> | null,
): Promise<boolean> {
  if (lease === null) return false
  const [runId, [seeded, holder]] = await Promise.all([runIdOf(redis), redis.mget(keys.seeded, lease.key)])
  return seeded === runId && holder !== lease.token
}
