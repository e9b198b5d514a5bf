/**
 * The pods of a namespace, as each says of itself: a hash per pod that goes by itself when the pod does, and a sorted
 * set of their ids, scored by Redis' clock, to find them. People and boards see it; a restore after a loss of Redis waits
 * for the pods in it. Who may run is not decided by it.
 */
import type { Redis } from 'ioredis'
import type { PodRow, PodState } from '../core/pod-row.ts'
import type { Keys } from './keys.ts'

/** Fields of the hash. */
export type PodFields = Readonly<Record<string, string | number>>

export interface PodDirectory {
  /** Writes the fields beside those that are there; the pod goes after `ttlMs` unless it is written again. */
  write(podId: string, instance: string, fields: PodFields, ttlMs: number): Promise<void>
  /** Takes the pod out, unless another process has taken its id over since. */
  remove(podId: string, instance: string): Promise<void>
  /** The pods that are there, by id. Changes nothing. */
  list(): Promise<readonly PodRow[]>
}

/**
 * KEYS 1 pod, 2 pods · ARGV 1 id, 2 ttl, 3 instance, then fields.
 * Another instance begins with an empty hash. Ids of pods that are long gone are swept by those that are there; one that
 * is only slow puts itself in again.
 */
const WRITE_SCRIPT = `local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
if redis.call('HGET', KEYS[1], 'instance') ~= ARGV[3] then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'instance', ARGV[3], 'beat_ms', now, unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', tonumber(now) - 10 * tonumber(ARGV[2])))
return redis.call('ZADD', KEYS[2], now, ARGV[1])`
const REMOVE_SCRIPT = `if redis.call('HGET', KEYS[1], 'instance') ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])`
/** The directory over a connection. */
export function createPodDirectory(redis: Redis, keys: Pick<Keys, 'pods' | 'pod'>): PodDirectory {
  return {
    async write(podId, instance, fields, ttlMs) {
      const written = Object.entries(fields).flatMap(([name, value]) => [name, String(value)])
      await redis.eval(
        WRITE_SCRIPT,
        2,
        keys.pod(podId),
        keys.pods,
        podId,
        String(ttlMs),
        instance,
        ...written,
      )
    },
    async remove(podId, instance) {
      await redis.eval(REMOVE_SCRIPT, 2, keys.pod(podId), keys.pods, podId, instance)
    },
    async list() {
      const ids = (await redis.zrange(keys.pods, '0', '-1')).toSorted()
      const hashes = await Promise.all(ids.map((id) => redis.hgetall(keys.pod(id))))
      return ids.flatMap((id, index) => {
        const hash = hashes[index] ?? {}
        // Its hash has gone, its id not yet.
        return hash['instance'] === undefined ? [] : [rowOf(id, hash)]
      })
    },
  }
}

function rowOf(podId: string, hash: Readonly<Record<string, string>>): PodRow {
  const text = (field: string): string => hash[field] ?? ''
  const numberOrNull = (field: string): number | null => (text(field) === '' ? null : Number(text(field)))
  return {
    pod_id: podId,
    state: text('state') as PodState,
    why: text('why') || null,
    host: text('host'),
    pid: Number(text('pid')),
    version: text('version'),
    agent_types: text('types').split(',').filter(Boolean),
    tier: text('tier') || null,
    max_sessions: numberOrNull('max_sessions'),
    running: Number(text('running')),
    free_cpu_percent: numberOrNull('free_cpu_percent'),
    free_memory_mb: numberOrNull('free_memory_mb'),
    started_at: text('started_at'),
    beat_at: new Date(Number(text('beat_ms'))).toISOString(),
  }
}
