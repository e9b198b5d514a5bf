import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { mayBeDone } from '../../src/queue/connection.ts'
import { startRedis } from '../support/redis.ts'

test('a command without an answer may be done; one that was refused or never sent is not', async () => {
  const server = await startRedis()
  const redis = new Redis(server.url, { commandTimeout: 50, enableOfflineQueue: false, lazyConnect: true })
  redis.on('error', () => {})
  await redis.connect()
  const failure = async (work: Promise<unknown>): Promise<unknown> =>
    await work.then(
      () => null,
      (error: unknown) => error,
    )
  expect(mayBeDone(await failure(redis.call('nonsense')))).toBe(false)
  expect(mayBeDone(await failure(redis.blpop('nothing', 1)))).toBe(true)
  await server.stop()
  expect(mayBeDone(await failure(redis.get('x')))).toBe(false)
})
