/** The beats of live agents, as the pulses of their pods last wrote them. */
import type { Redis } from 'ioredis'
import type { Beat } from '../core/health.ts'
import type { SessionState } from '../core/state.ts'
import type { Keys } from './keys.ts'
import { runIdOf } from './run-id.ts'

/** A session's live side; `beat.at` is null before the first beat. */
export interface SessionBeat {
  readonly state: SessionState
  readonly agentId: string | null
  readonly beat: Omit<Beat, 'at'> & { readonly at: number | null }
  /** Of the agent's whole process tree; null before the guard's second look, and where there is no /proc. */
  readonly cpuPercent: number | null
  readonly memoryMb: number | null
}

/** What is known of live sessions at one moment. */
export interface Beats {
  /** Redis' clock, by which the beats are stamped too. */
  readonly now: number
  /** Sessions that Redis does not have are missing. */
  readonly ofSession: ReadonlyMap<string, SessionBeat>
}

const FIELDS = [
  'state',
  'agent_id',
  'beat_at',
  'health',
  'process_state',
  'cpu_percent',
  'memory_mb',
  'lease_key',
  'lease_token',
] as const

interface Read {
  readonly sessionId: string
  readonly hash: Readonly<Partial<Record<(typeof FIELDS)[number], string>>>
}

/** In two round trips, however many there are. */
export async function readBeats(redis: Redis, keys: Keys, sessionIds: readonly string[]): Promise<Beats> {
  const [time, read] = await Promise.all([redis.time(), readHashes(redis, keys, sessionIds)])
  const lost = await lostLeases(redis, keys, read)
  return {
    now: Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000),
    ofSession: new Map(read.map(({ sessionId, hash }) => [sessionId, beatOf(hash, lost.has(sessionId))])),
  }
}

async function readHashes(redis: Redis, keys: Keys, sessionIds: readonly string[]): Promise<Read[]> {
  const pipeline = redis.pipeline()
  for (const id of sessionIds) pipeline.hmget(keys.session(id), ...FIELDS)
  const answers = (await pipeline.exec()) ?? []
  return answers.flatMap(([error, values], index) => {
    if (error !== null) throw error
    const sessionId = sessionIds[index]
    const named = FIELDS.map((name, at) => [name, (values as (string | null)[])[at] || undefined] as const)
    const hash: Read['hash'] = Object.fromEntries(named)
    return sessionId === undefined || hash.state === undefined ? [] : [{ sessionId, hash }]
  })
}

/** As `hasLostLease` has it, of many: none where Redis may have forgotten leases. */
async function lostLeases(redis: Redis, keys: Keys, read: readonly Read[]): Promise<ReadonlySet<string>> {
  const holders = read.filter(({ hash }) => hash.lease_key !== undefined)
  if (holders.length === 0) return new Set()
  const names = holders.map(({ hash }) => hash.lease_key ?? '')
  const [runId, [seeded, ...tokens]] = await Promise.all([runIdOf(redis), redis.mget(keys.seeded, ...names)])
  if (seeded !== runId) return new Set()
  const lost = holders.filter(({ hash }, index) => tokens[index] !== hash.lease_token)
  return new Set(lost.map(({ sessionId }) => sessionId))
}

function beatOf(hash: Read['hash'], leaseLost: boolean): SessionBeat {
  const number = (text: string | undefined): number | null => (text === undefined ? null : Number(text))
  return {
    state: hash.state as SessionState,
    agentId: hash.agent_id ?? null,
    beat: {
      at: number(hash.beat_at),
      health: hash.health ?? null,
      processState: hash.process_state ?? null,
      leaseLost,
    },
    cpuPercent: number(hash.cpu_percent),
    memoryMb: number(hash.memory_mb),
  }
}
