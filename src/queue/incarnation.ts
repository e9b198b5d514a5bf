/**
 * Which life of which Redis this is, and whether leases may be given in it.
 *
 * A Redis that was restarted, failed over or emptied may have forgotten leases whose holders still run, epochs that
 * were given out, sessions that have ended. So leases are given only while the key `seeded` names the server's own
 * `run_id`: only the recorder writes it there, after it has written back what the ledger knows. A restart or a failover
 * changes the `run_id`, a flush or a wipe takes the key away: all the same case.
 *
 *     unseeded ─▶ quarantine noted (by whoever sees it first) ─▶ ledger caught up, hashes written back: `restored`
 *        ─▶ one lease time is over, pods have sent the rest again, it is recorded ─▶ `seeded`
 *
 * A quarantine is named by `<run_id> <Redis time of its start>`; another loss on the way begins another one, and
 * every step names the one it means. So each step may be repeated, and a process may die between any two.
 *
 * INFO may be called by a script (its flags are `loading stale`, not `noscript`, in Redis 6.2 to 8 and Valkey); of the
 * ACL categories it is `@dangerous`, yet BullMQ needs it too. It takes a script 4 µs longer (measured, Redis 7.0).
 */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'
import { runIdOf } from './run-id.ts'

/**
 * Lua: `run_id()`, `now_ms()`, `is_restored(seeded key, restored key, seen)`: is what the ledger knows written back,
 * and did it say `seen` (where one is named) when it was? And `note(quarantine key, run_id)`: the quarantine's name,
 * noted where nobody has.
 */
export const INCARNATION = `
local function run_id() return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') end
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function is_restored(seeded, restored, seen)
  local run, life = run_id(), redis.call('MGET', seeded, restored)
  if seen and seen ~= (life[2] or '') then return false end
  return life[1] == run or string.sub(life[2] or '', 1, #run + 1) == run .. ' '
end
local function note(key, run)
  local noted = redis.call('GET', key)
  if noted and string.sub(noted, 1, #run + 1) == run .. ' ' then return noted end
  noted = run .. ' ' .. string.format('%.0f', now_ms())
  redis.call('SET', key, noted)
  return noted
end
`

/**
 * KEYS  1 seeded · 2 quarantine · 3 recorded-before · 4 events · 5 vouched
 * ARGV  1 how far the ledger is: a stream id
 *
 * Ids of an empty or older stream go on above the ledger's: a server with a slower clock would otherwise give ids that
 * a wait for the ledger takes for recorded. An entry that is added and deleted leaves nothing but that.
 */
const LOOK_SCRIPT = `${INCARNATION}
local function less(a, b)
  local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_n) < tonumber(b_n)
end
local function last_id()
  if redis.call('EXISTS', KEYS[4]) == 0 then return '0-0' end
  local facts = redis.call('XINFO', 'STREAM', KEYS[4])
  for i = 1, #facts, 2 do if facts[i] == 'last-generated-id' then return facts[i + 1] end end
end
local function raise(to)
  if not less(last_id(), to) then return end
  redis.call('XADD', KEYS[4], to, 'event', '')
  redis.call('XDEL', KEYS[4], to)
end

local run, seeded = run_id(), redis.call('GET', KEYS[1])
if seeded == run then return {'seeded', run, last_id()} end
local vouched = redis.call('GET', KEYS[5]) or ''
vouched = string.sub(vouched, 1, #run + 1) == run .. ' ' and string.sub(vouched, #run + 2) or ''
if vouched == 'intact' and seeded and not less(last_id(), ARGV[1]) then
  redis.call('SET', KEYS[1], run)
  redis.call('DEL', KEYS[2], KEYS[3])
  return {'seeded', run, last_id()}
end
local noted = note(KEYS[2], run)
-- From here on the data is what it is without proof, also for the server's next life.
redis.call('DEL', KEYS[1])
local before = redis.call('GET', KEYS[3])
if not before or string.sub(before, 1, #noted + 1) ~= noted .. ' ' then
  before = noted .. ' ' .. ARGV[1]
  redis.call('SET', KEYS[3], before)
  raise(ARGV[1])
end
local newest = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)[1]
return {'quarantine', noted, string.sub(before, #noted + 2), newest and newest[1] or '0-0', vouched}
`

/**
 * KEYS  1 quarantine · 2 restored
 * ARGV  1 the quarantine · 2 what `restored` is to say
 */
const RESTORED_SCRIPT = `${INCARNATION}
if redis.call('GET', KEYS[1]) ~= ARGV[1] or string.sub(ARGV[1], 1, #run_id() + 1) ~= run_id() .. ' ' then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('PUBLISH', KEYS[2], ARGV[2])
return 1
`

/**
 * KEYS  1 seeded · 2 quarantine · 3 recorded-before · 4 the recorder's lease
 * ARGV  1 the quarantine · 2 token of the recorder's lease · 3 how long the quarantine lasts at least, in ms
 */
const SEED_SCRIPT = `${INCARNATION}
local run = run_id()
if redis.call('GET', KEYS[2]) ~= ARGV[1] or string.sub(ARGV[1], 1, #run + 1) ~= run .. ' ' then return 'changed' end
if redis.call('GET', KEYS[4]) ~= ARGV[2] then return 'changed' end
if now_ms() - tonumber(string.sub(ARGV[1], #run + 2)) < tonumber(ARGV[3]) then return 'early' end
redis.call('SET', KEYS[1], run)
redis.call('DEL', KEYS[2], KEYS[3])
return 'seeded'
`

/**
 * KEYS  1 vouched · 2 the recorder's lease
 * ARGV  1 new or intact
 *
 * Nobody can have the recorder's lease of a server that nobody but the caller knows: what is there is a dead one's.
 */
const VOUCH_SCRIPT = `${INCARNATION}
redis.call('SET', KEYS[1], run_id() .. ' ' .. ARGV[1])
return redis.call('DEL', KEYS[2])
`

/** A life of Redis in which no lease is given yet. */
export interface Quarantine {
  /** `<run_id> <Redis time of its start in ms>`: another loss has another one. */
  readonly id: string
  readonly runId: string
  /** Redis' time in milliseconds. */
  readonly since: number
  /** How far the ledger was before: everything up to this stream id is recorded, of whichever server it was. */
  readonly recordedBefore: string
  /** The newest entry of the stream; `0-0` where it is empty. */
  readonly newest: string
  /** See `vouch`; null where nobody has said anything. */
  readonly vouched: Vouched | null
}

export type Looked =
  /** `lastId`: the last id that the stream gave out. */
  | { readonly seeded: true; readonly lastId: string }
  | { readonly seeded: false; readonly quarantine: Quarantine }

/**
 * What somebody who is in the position to know says of a server's data, before anybody else knows its address:
 *
 * - `new`: there was none, nobody can hold a lease from before, unless the ledger knows of a living agent.
 * - `intact`: the server was started on the data that its last life ended with, and that life had its AOF on `always`.
 *   So everything that was ever acknowledged is there, the leases of whoever may still be alive included, and what was
 *   true of the data (`seeded`) still is. The ledger's position is compared all the same: an old copy shows by it.
 */
export type Vouched = 'new' | 'intact'

type LookKeys = Pick<Keys, 'seeded' | 'quarantine' | 'recordedBefore' | 'events' | 'vouched'>

/**
 * Looks whether this life of Redis is seeded, and notes its quarantine where it is not. For the recorder alone.
 *
 * @param recorded up to where the ledger has everything that was acknowledged before this life
 */
export async function lookAtIncarnation(redis: Redis, keys: LookKeys, recorded: string): Promise<Looked> {
  const names = [keys.seeded, keys.quarantine, keys.recordedBefore, keys.events, keys.vouched]
  const answer = (await redis.eval(LOOK_SCRIPT, names.length, ...names, recorded)) as string[]
  const [found, id = '', recordedBefore = '', newest = '', vouched = ''] = answer
  if (found === 'seeded') return { seeded: true, lastId: recordedBefore }
  const [runId = '', since = ''] = id.split(' ')
  return {
    seeded: false,
    quarantine: {
      id,
      runId,
      since: Number(since),
      recordedBefore,
      newest,
      vouched: vouched === 'new' || vouched === 'intact' ? vouched : null,
    },
  }
}

/** In this life of Redis everything that the ledger knows is written back: a session without a hash is not open. */
export async function isSeeded(redis: Redis, keys: Pick<Keys, 'seeded'>): Promise<boolean> {
  const [runId, seeded] = await Promise.all([runIdOf(redis), redis.get(keys.seeded)])
  return seeded === runId
}

/** Tells the pods that they may send the rest again; false where Redis has another life since. */
export async function sayRestored(
  redis: Redis,
  keys: Pick<Keys, 'quarantine' | 'restored'>,
  quarantine: Quarantine,
): Promise<boolean> {
  const text = restoredText(quarantine)
  return (await redis.eval(RESTORED_SCRIPT, 2, keys.quarantine, keys.restored, quarantine.id, text)) === 1
}

/** What `restored` says in this quarantine, and a pod's `resent` after it. */
export function restoredText({ runId, recordedBefore, since }: Quarantine): string {
  return `${runId} ${recordedBefore} ${since}`
}

/**
 * Ends the quarantine: leases are given from now on. `early`: it has not lasted `minimumMs` by Redis' clock.
 * `changed`: Redis has another life since, or another recorder is at work.
 */
export async function seed(
  redis: Redis,
  keys: Pick<Keys, 'seeded' | 'quarantine' | 'recordedBefore' | 'recorderLease'>,
  quarantine: Quarantine,
  recorderToken: string,
  minimumMs: number,
): Promise<'seeded' | 'early' | 'changed'> {
  const names = [keys.seeded, keys.quarantine, keys.recordedBefore, keys.recorderLease]
  const answer = await redis.eval(
    SEED_SCRIPT,
    names.length,
    ...names,
    quarantine.id,
    recorderToken,
    minimumMs,
  )
  return answer as 'seeded' | 'early' | 'changed'
}

/** Says what is known of the server's data (or of a namespace that was just made). Valid for this life of it. */
export async function vouch(
  redis: Redis,
  keys: Pick<Keys, 'vouched' | 'recorderLease'>,
  vouched: Vouched,
): Promise<void> {
  await redis.eval(VOUCH_SCRIPT, 2, keys.vouched, keys.recorderLease, vouched)
}

/** Is what the ledger knows written back in this life of Redis? Before, what is not there may only be lost. */
export async function isRestored(redis: Redis, keys: Pick<Keys, 'seeded' | 'restored'>): Promise<boolean> {
  const runId = await runIdOf(redis)
  const [seeded, restored] = await redis.mget(keys.seeded, keys.restored)
  return seeded === runId || restored?.startsWith(`${runId} `) === true
}

/** Why no lease is given; null where leases are given. */
export interface LeaseGate {
  /** Is what the ledger knows written back? */
  readonly restored: boolean
  /** Milliseconds that the quarantine still lasts at least; null where nobody has noticed it yet. */
  readonly leftMs: number | null
}

/** For people who ask why nothing starts. Changes nothing. */
export async function readLeaseGate(
  redis: Redis,
  keys: Pick<Keys, 'seeded' | 'quarantine' | 'restored'>,
  ttlMs: number,
): Promise<LeaseGate | null> {
  const [runId, [seeded, noted, restored], [seconds, micros]] = await Promise.all([
    runIdOf(redis),
    redis.mget(keys.seeded, keys.quarantine, keys.restored),
    redis.time(),
  ])
  if (seeded === runId) return null
  const [notedRun, since] = noted?.split(' ') ?? []
  const ours = notedRun === runId
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
  const [restoredRun, , restoredSince] = restored?.split(' ') ?? []
  return {
    restored: ours && restoredRun === runId && restoredSince === since,
    leftMs: ours ? Math.max(0, Number(since) + ttlMs - nowMs) : null,
  }
}
