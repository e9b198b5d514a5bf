import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLocks } from '../../src/queue/lock.ts'
import { sha256 } from '../../src/core/ids.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'
import { until } from '../support/until.ts'

const server = await redisOfFile()
let space: TestNamespace
let said: string[]
beforeEach(async () => {
  space = await openNamespace(server.url)
  said = []
})
afterEach(() => space.close())

const locks = (ttlMs: number, patienceMs?: number) =>
  createLocks(space.redis, space.keys, {
    ttlMs,
    ...(patienceMs === undefined ? {} : { patienceMs }),
    onTrouble: (error) => void said.push(error.message),
  })
const keyOf = (name: string): string => space.keys.lock(sha256(name).slice(0, 32))

test('who finds it held is told that, and not that Redis is away; a dead holder keeps it no longer than its time', async () => {
  await locks(60_000)('a', async () => {
    await expect(locks(60_000, 10)('a', async () => 'never')).rejects.toMatchObject({
      code: 'worktree_refused',
      details: { retry_after_seconds: 60 },
    })
    expect(await locks(60_000)('b', async () => 'another')).toBe('another')
  })
  await space.redis.set(keyOf('a'), 'of the dead', 'PX', 100)
  expect(await locks(60_000)('a', async () => 'mine')).toBe('mine')
  expect(await space.redis.exists(keyOf('a'))).toBe(0)
  expect(said).toEqual([])
})

test('the same attempt again, after its answer was lost, is no other holder', async () => {
  // What a client does with a command that was in flight when its connection broke.
  const twice = new Proxy(space.redis, {
    get: (redis, name) =>
      name !== 'eval'
        ? Reflect.get(redis, name)
        : async (...args: Parameters<typeof redis.eval>) => {
            await redis.eval(...args)
            return await redis.eval(...args)
          },
  })
  const locked = createLocks(twice, space.keys, { patienceMs: 10, onTrouble: () => {} })
  expect(await locked('a', async () => 'mine')).toBe('mine')
})

test('one that Redis has lost is taken again, and one that is somebody else’s is left; both are said once', async () => {
  await locks(90)('a', async () => {
    await space.redis.del(keyOf('a'))
    await until(() => said.length === 1)
    expect(await space.redis.exists(keyOf('a'))).toBe(1)
  })
  expect(said).toEqual([expect.stringContaining('was lost, and is held again')])
  await locks(90)('a', async () => {
    await space.redis.set(keyOf('a'), 'another')
    await until(() => said.length === 2)
  })
  expect(said[1]).toContain('is somebody else’s by now')
  expect(await space.redis.get(keyOf('a'))).toBe('another')
})

test('a renewal that fails is said', async () => {
  await locks(90)('a', async () => {
    space.redis.disconnect()
    await until(() => said.length === 1)
  })
  expect(said[0]).toContain('cannot be renewed')
})
