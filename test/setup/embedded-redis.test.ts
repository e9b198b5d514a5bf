import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type EmbeddedRedis, startEmbeddedRedis } from '../../src/setup/embedded-redis.ts'
import { identityOf } from '../../src/setup/identity.ts'
import type { RedisBinary } from '../../src/setup/redis-process.ts'
import { findRedisServer } from '../../src/setup/redis-server.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
let binary: RedisBinary
let dir: string
const running: EmbeddedRedis[] = []
beforeEach(async () => {
  scratch = await createScratch()
  dir = join(scratch.dir, 'data/redis')
  const toolsDir = join(import.meta.dirname, '../../data/tools')
  binary = await findRedisServer({ toolsDir, searchPath: process.env['PATH'] ?? '', say: () => undefined })
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((redis) => redis.stop()))
  await scratch.check()
})

async function start(said: string[] = []): Promise<EmbeddedRedis> {
  const redis = await startEmbeddedRedis({ binary, dir, say: (line) => said.push(line) })
  running.push(redis)
  return redis
}

async function ask<T>(redis: EmbeddedRedis, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redis.url)
  try {
    return await question(client)
  } finally {
    client.disconnect()
  }
}

it('loses nothing that was acknowledged and evicts nothing', async () => {
  const redis = await start()
  const config = (name: string): Promise<unknown> => ask(redis, (client) => client.config('GET', name))
  expect(await config('appendonly')).toEqual(['appendonly', 'yes'])
  expect(await config('appendfsync')).toEqual(['appendfsync', 'always'])
  expect(await config('maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
  expect(await config('save')).toEqual(['save', ''])
})

it('keeps the data over a stop and over a kill -9, and knows its first start', async () => {
  const first = await start()
  expect(first.firstStart).toBe(true)
  await ask(first, (client) => client.set('a', '1'))
  await first.stop()
  const second = await start()
  expect(second.firstStart).toBe(false)
  expect(await ask(second, (client) => client.get('a'))).toBe('1')
  await ask(second, (client) => client.set('a', '2'))
  process.kill(second.pid, 'SIGKILL')
  await second.exited
  await second.stop()
  expect(await ask(await start(), (client) => client.get('a'))).toBe('2')
})

it('records the server while it runs and only then', async () => {
  const redis = await start()
  const record: unknown = JSON.parse(await readFile(join(dir, 'redis.json'), 'utf8'))
  expect(record).toEqual({ ...(await identityOf(redis.pid)), port: redis.port })
  await Promise.all([redis.stop(), redis.stop()])
  await expect(readFile(join(dir, 'redis.json'))).rejects.toThrow('ENOENT')
  expect(await readFile(join(dir, 'owner.json.1'), 'utf8')).toBe('released')
})

it('refuses a directory that a live process has', async () => {
  await start()
  await expect(startEmbeddedRedis({ binary, dir })).rejects.toMatchObject({
    code: 'setup_failed',
    message: expect.stringContaining(`in use by another Drover (pid ${process.pid})`),
  })
})

it('stops the server that a dead Drover left on the same data', async () => {
  const old = await start()
  await ask(old, (client) => client.set('a', '1'))
  await writeFile(join(dir, 'owner.json.1'), '{"pid":999999999,"start_time":"1"}')
  const said: string[] = []
  const fresh = await start(said)
  await old.exited
  expect(said).toEqual([expect.stringContaining(`pid ${old.pid}`)])
  expect(await ask(fresh, (client) => client.get('a'))).toBe('1')
})

it('leaves a process alone that only has the pid of an earlier server', async () => {
  const bystander = execa('sleep', ['60'], { reject: false, env: scratch.env })
  const first = await start()
  await first.stop()
  await writeFile(join(dir, 'redis.json'), JSON.stringify({ pid: bystander.pid, start_time: '1', port: 1 }))
  await start()
  expect(await identityOf(bystander.pid ?? 0)).not.toBeNull()
  bystander.kill('SIGKILL')
  await bystander
})

it('gives the directory up when the server does not start', async () => {
  const broken = { ...binary, file: '/no/redis' }
  await expect(startEmbeddedRedis({ binary: broken, dir })).rejects.toMatchObject({ code: 'setup_failed' })
  await expect(start()).resolves.toMatchObject({ firstStart: true })
})
