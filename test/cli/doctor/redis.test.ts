/** Against real servers that are set up wrongly. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Check } from '../../../src/cli/doctor/check.ts'
import { checkRedis, versionCheck } from '../../../src/cli/doctor/redis.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { keysOf } from '../../../src/queue/keys.ts'
import { createPodDirectory } from '../../../src/queue/pods.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { seedRedis } from '../../support/seed.ts'

let dir: string
let server: TestRedis
let redis: Redis
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-doctor-'))
  server = await startRedis({ aof: 'always' })
  redis = new Redis(server.url)
})
afterEach(async () => {
  redis.disconnect()
  await server.stop()
  await rm(dir, { recursive: true, force: true })
})

async function checks(): Promise<Map<string, Check>> {
  const env = { REDIS_URL: server.url, DROVER_NAMESPACE: 'doc' }
  const found = await checkRedis(loadConfig({ cwd: dir, env }).config, '')
  for (const { status, fix } of found) expect(fix === null).toBe(status === 'ok')
  return new Map(found.map((check) => [check.name, check]))
}

test('a server as Drover wants it', async () => {
  await seedRedis(redis, keysOf('doc'))
  const found = await checks()
  expect([...found.keys()]).toEqual([
    'redis',
    'redis persistence',
    'redis eviction',
    'redis memory',
    'leases',
    'pods',
  ])
  expect([...found.values()].filter(({ status }) => status === 'fail')).toEqual([])
  expect(found.get('redis persistence')).toMatchObject({ status: 'ok' })
  expect(found.get('redis memory')?.value).toMatch(/ MB used, no limit$/)
  expect(found.get('leases')).toMatchObject({ status: 'ok', value: 'are given' })
  expect(found.get('pods')?.value).toMatch(/^none runs/)
})

test('one that evicts fails; one that keeps nothing, or not always, is a warning', async () => {
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
  await redis.config('SET', 'appendfsync', 'everysec')
  let found = await checks()
  expect(found.get('redis eviction')).toMatchObject({ status: 'fail', value: 'allkeys-lru' })
  expect(found.get('redis eviction')?.fix).toContain('noeviction')
  expect(found.get('redis persistence')).toMatchObject({
    status: 'warn',
    value: expect.stringContaining('everysec') as string,
  })
  await redis.config('SET', 'appendonly', 'no')
  found = await checks()
  expect(found.get('redis persistence')).toMatchObject({ status: 'warn', value: 'no append-only file' })
})

test('one that is full fails, and one that is getting full is a warning', async () => {
  const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  await redis.config('SET', 'maxmemory', String(Math.round(used * 1.2)))
  expect((await checks()).get('redis memory')).toMatchObject({ status: 'warn' })
  await redis.config('SET', 'maxmemory', '1')
  expect((await checks()).get('redis memory')).toMatchObject({ status: 'fail' })
})

test('one that nobody has written back to gives no lease', async () => {
  const leases = (await checks()).get('leases')
  expect(leases).toMatchObject({ status: 'warn', fix: expect.stringContaining('drover board') as string })
})

test('pods are shown, and it is a warning where none of them claims', async () => {
  const pods = createPodDirectory(redis, keysOf('doc'))
  const fields = {
    host: 'h',
    pid: 7,
    running: 2,
    tier: 'cgroup',
    state: 'draining',
    why: 'It was told to stop.',
  }
  await pods.write('a', 'i', fields, 60_000)
  expect((await checks()).get('pods')).toMatchObject({
    status: 'warn',
    value: 'a: draining, 2 running, tier cgroup, pid 7 on h. It was told to stop.',
  })
  await pods.write('b', 'i', { ...fields, state: 'ready', why: '' }, 60_000)
  expect((await checks()).get('pods')?.status).toBe('ok')
})

describe('the version', () => {
  const status = (name: 'redis' | 'valkey', version: string): string =>
    versionCheck(new Map([[`${name}_version`, version]]), 'redis://h').status

  test.each([
    ['6.0.16', 'fail'],
    ['6.2.19', 'warn'],
    ['6.2.20', 'ok'],
    ['7.0.15', 'warn'],
    ['7.2.10', 'warn'],
    ['7.2.11', 'ok'],
    ['7.4.5', 'warn'],
    ['7.4.6', 'ok'],
    ['8.0.3', 'warn'],
    ['8.0.4', 'ok'],
    ['8.2.1', 'warn'],
    ['8.2.2', 'ok'],
    ['8.4.0', 'ok'],
  ])('Redis %s: %s', (version, expected) => expect(status('redis', version)).toBe(expected))

  test.each([
    ['8.1.3', 'warn'],
    ['8.1.4', 'ok'],
    ['9.0.0', 'ok'],
  ])('Valkey %s: %s', (version, expected) => expect(status('valkey', version)).toBe(expected))

  test('names the release to take', () => {
    expect(versionCheck(new Map([['redis_version', '7.0.15']]), 'redis://h').fix).toContain('7.2.11 or newer')
  })
})
