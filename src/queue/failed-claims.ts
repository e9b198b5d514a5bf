/**
 * Sessions whose last claim threw: a fault of ours, of a machine, or of what the hash holds. Kept by the pods, read by
 * the recorder's process, which ends those that nobody can claim (`recorder/unclaimable.ts`). A claim that does not
 * throw takes the entry away, so it counts claims in a row; a pod that dies between the claim and saying so leaves it
 * one too low or one too old, and the next claim puts that right.
 */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/** What is noted of a session. */
export interface FailedClaims {
  /** In a row. */
  readonly count: number
  /** Of the first one, in milliseconds of Redis' clock. */
  readonly since: number
  /** Of the last one. */
  readonly last: number
  /** What the last one said. */
  readonly message: string
}

/** KEYS 1 failed claims · ARGV 1 session id · 2 message */
const NOTE_SCRIPT = `local known = redis.call('HGET', KEYS[1], ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local noted = known and cjson.decode(known) or { count = 0, since = now }
noted.count = noted.count + 1
noted.last = now
noted.message = ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(noted))`

/** Of a message. */
const MESSAGE_LIMIT = 1000

export async function noteFailedClaim(
  redis: Redis,
  keys: Pick<Keys, 'failedClaims'>,
  sessionId: string,
  message: string,
): Promise<void> {
  await redis.eval(NOTE_SCRIPT, 1, keys.failedClaims, sessionId, message.slice(0, MESSAGE_LIMIT))
}

export async function forgetFailedClaims(
  redis: Redis,
  keys: Pick<Keys, 'failedClaims'>,
  sessionId: string,
): Promise<void> {
  await redis.hdel(keys.failedClaims, sessionId)
}

/** What is noted of failed claims, by session id. */
export async function readFailedClaims(
  redis: Redis,
  keys: Pick<Keys, 'failedClaims'>,
): Promise<ReadonlyMap<string, FailedClaims>> {
  const noted = Object.entries(await redis.hgetall(keys.failedClaims))
  return new Map(noted.map(([id, text]) => [id, JSON.parse(text) as FailedClaims]))
}
