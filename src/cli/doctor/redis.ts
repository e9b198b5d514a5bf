/** Checks of Redis: there, new enough, and set up so that nothing is lost. */
import type { Redis } from 'ioredis'
import type { Config } from '../../config/settings.ts'
import { messageOf } from '../../core/errors.ts'
import { connectRedis, maskRedisUrl } from '../../queue/connection.ts'
import { readLeaseGate } from '../../queue/incarnation.ts'
import { keysOf, type Keys } from '../../queue/keys.ts'
import { createPodDirectory } from '../../queue/pods.ts'
import { atLeast, findProgram, isExecutable, probeVersion } from '../../setup/program.ts'
import { MINIMUM_REDIS } from '../../setup/redis-server.ts'
import { toolsDirOf } from '../stack/tools.ts'
import { findUp } from '../stack/up-file.ts'
import { fail, ok, warn, type Check } from './check.ts'

const CONNECT_TIMEOUT_MS = 3000

/** Of the configured server, else of the one that a running `drover up` brought, else whether there is a program. */
export async function checkRedis(config: Config, searchPath: string): Promise<Check[]> {
  if (config.redis.url !== null) return await checkServer(config, config.redis.url, config.namespace)
  const up = await findUp(config.dataDir)
  if (up !== null) return await checkServer(config, up.redis_url, up.namespace)
  return [await checkProgram(config, searchPath)]
}

async function checkServer(config: Config, url: string, namespace: string): Promise<Check[]> {
  const shown = maskRedisUrl(url)
  let redis: Redis
  try {
    redis = await connectRedis({
      url,
      mode: 'fails',
      name: 'doctor',
      onError: () => {},
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    })
  } catch (error) {
    return [fail('redis', messageOf(error), 'Start that server, or correct REDIS_URL (redis.url).')]
  }
  try {
    return [
      versionCheck(fieldsOf(await redis.info('server')), shown),
      await checkPersistence(redis),
      await checkEviction(redis),
      await checkMemory(redis),
      await checkLeases(redis, keysOf(namespace), config.lease.ttlMs),
      await checkPods(redis, keysOf(namespace)),
    ]
  } catch (error) {
    return [fail('redis', `${shown}: ${messageOf(error)}`, 'See that its user may run INFO and CONFIG GET.')]
  } finally {
    redis.disconnect()
  }
}

/**
 * Pure: is the server new enough, and one without CVE-2025-49844 (anybody who may run scripts, as Drover must, can run
 * code on the server)?
 */
export function versionCheck(server: ReadonlyMap<string, string>, shown: string): Check {
  const valkey = server.get('valkey_version')
  const version = valkey ?? server.get('redis_version') ?? '0'
  const value = `${valkey === undefined ? 'Redis' : 'Valkey'} ${version} at ${shown}`
  if (!atLeast(version, MINIMUM_REDIS)) {
    return fail('redis', value, `Update the server to ${MINIMUM_REDIS} or newer.`)
  }
  const releases = valkey === undefined ? FIXED_REDIS : FIXED_VALKEY
  const fixed =
    releases.find((one) => isSameLine(one, version)) ?? releases.find((one) => atLeast(one, version))
  if (fixed === undefined || atLeast(version, fixed)) return ok('redis', value)
  return warn(
    'redis',
    value,
    `Update it to ${fixed} or newer: with CVE-2025-49844 whoever may run scripts here can run code on the server. ` +
      "A distribution may have mended it under this number: then its package's changelog names the CVE.",
  )
}

function isSameLine(one: string, other: string): boolean {
  return one.split('.').slice(0, 2).join('.') === other.split('.').slice(0, 2).join('.')
}

/** Where CVE-2025-49844 is fixed, by line of releases, ascending; later lines never had it. */
const FIXED_REDIS = ['6.2.20', '7.2.11', '7.4.6', '8.0.4', '8.2.2']
const FIXED_VALKEY = ['7.2.11', '8.0.6', '8.1.4']

async function checkPersistence(redis: Redis): Promise<Check> {
  const name = 'redis persistence'
  const fix =
    'Set "appendonly yes" and "appendfsync always", so that what was accepted survives a crash of Redis.'
  const persistence = fieldsOf(await redis.info('persistence'))
  if (persistence.get('aof_enabled') !== '1') return warn(name, 'no append-only file', fix)
  const fsync = await settingOf(redis, 'appendfsync')
  if (persistence.get('aof_last_write_status') === 'err') {
    return fail(name, 'the append-only file cannot be written', 'See the log of Redis: its disk may be full.')
  }
  if (fsync === 'always') return ok(name, 'append-only file, fsync always')
  return warn(name, `append-only file, fsync ${fsync ?? 'unknown'}`, fix)
}

async function checkEviction(redis: Redis): Promise<Check> {
  const name = 'redis eviction'
  const policy = fieldsOf(await redis.info('memory')).get('maxmemory_policy') ?? 'unknown'
  if (policy === 'noeviction') return ok(name, policy)
  return fail(name, policy, 'Set "maxmemory-policy noeviction": an evicted key is a lost session.')
}

/** Drover deletes what is recorded: a server that fills up has something else in it, or no recorder. */
async function checkMemory(redis: Redis): Promise<Check> {
  const name = 'redis memory'
  const memory = fieldsOf(await redis.info('memory'))
  const [used, limit] = [Number(memory.get('used_memory')), Number(memory.get('maxmemory'))]
  if (limit === 0) return ok(name, `${megabytes(used)} used, no limit`)
  const value = `${megabytes(used)} of ${megabytes(limit)} used`
  const fix = 'Raise maxmemory; see that a board runs: what it has recorded is deleted here.'
  if (used >= limit) return fail(name, value, fix)
  return used >= limit * MEMORY_ALARM ? warn(name, value, fix) : ok(name, value)
}

const MEMORY_ALARM = 0.7

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`
}

/** Nothing starts while what Redis lost is being written back; nobody does that without a board. */
async function checkLeases(redis: Redis, keys: Keys, ttlMs: number): Promise<Check> {
  const name = 'leases'
  const gate = await readLeaseGate(redis, keys, ttlMs)
  if (gate === null) return ok(name, 'are given')
  const why = 'none is given yet: this Redis is new, or was restarted, failed over or emptied'
  if (gate.leftMs === null) {
    return warn(
      name,
      why,
      'Start a board ("drover board" or "drover up"): it writes back what the ledger knows.',
    )
  }
  const left = `${Math.ceil(gate.leftMs / 1000)} s left at least`
  const step = gate.restored ? 'the pods send what is missing' : 'the board writes back what the ledger knows'
  return warn(name, `${why}; ${step}, ${left}`, 'Wait; if it stays so, look at the log of the board.')
}

/** Who would take a session now? */
async function checkPods(redis: Redis, keys: Keys): Promise<Check> {
  const name = 'pods'
  const pods = await createPodDirectory(redis, keys).list()
  if (pods.length === 0) {
    return ok(name, 'none runs; sessions wait until one does ("drover worker" or "drover up")')
  }
  const lines = pods.map(({ pod_id, state, why, running, tier, host, pid }) => {
    const more = [`${running} running`, `tier ${tier ?? 'unknown'}`, `pid ${pid} on ${host}`]
    return `${pod_id}: ${state}, ${more.join(', ')}${why === null ? '' : `. ${why}`}`
  })
  if (pods.some(({ state }) => state === 'ready')) return ok(name, lines.join('\n'))
  return warn(
    name,
    lines.join('\n'),
    'No pod claims sessions now; each says why. Start another one, or wait.',
  )
}

/** null where the user may not ask, as with some managed servers. */
async function settingOf(redis: Redis, name: string): Promise<string | null> {
  try {
    const answer = await redis.config('GET', name)
    return answer[1] ?? null
  } catch {
    return null
  }
}

async function checkProgram(config: Config, searchPath: string): Promise<Check> {
  const candidates = [
    await findProgram('redis-server', searchPath),
    await findProgram('valkey-server', searchPath),
  ].filter((file) => file !== null)
  for (const file of candidates) {
    const probe = await probeVersion(file, {})
    if ('version' in probe && atLeast(probe.version, MINIMUM_REDIS)) {
      return ok('redis', `none configured; "drover up" starts ${file} (${probe.version})`)
    }
  }
  for (const name of ['redis-server', 'valkey-server']) {
    const unpacked = `${toolsDirOf(config)}/redis/usr/bin/${name}`
    if (await isExecutable(unpacked)) return ok('redis', `none configured; "drover up" starts ${unpacked}`)
  }
  const value = `none configured, and no server program of ${MINIMUM_REDIS} or newer on the PATH`
  const fetches = (await findProgram('apt-get', searchPath)) ?? (await findProgram('brew', searchPath))
  if (fetches !== null)
    return warn('redis', value, `"drover up" fetches one with ${fetches}; or set REDIS_URL.`)
  return fail('redis', value, 'Set REDIS_URL; "docker compose up -d redis" starts one.')
}

/** `name:value` lines of INFO. */
function fieldsOf(info: string): Map<string, string> {
  return new Map(
    info.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':')
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]]
    }),
  )
}
