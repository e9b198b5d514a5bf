import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { readSessionToken, type SessionToken } from '../../src/queue/session-token.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
beforeEach(async () => {
  space = await openNamespace(server.url)
})
afterEach(() => {
  space.close()
})

const id = newSessionId()
const read = async (): Promise<SessionToken | null> => await readSessionToken(space.redis, space.keys, id)
const have = async (hash: Record<string, string>): Promise<void> =>
  void (await space.redis.hset(space.keys.session(id), hash))

test('is there while the session has not ended', async () => {
  await have({ state: 'running', token_hash: 'abc', tools: 'check_inbox,send_message' })
  expect(await read()).toEqual({ hash: 'abc', tools: ['check_inbox', 'send_message'] })
  await have({ state: 'completed' })
  expect(await read()).toBeNull()
})

test('is nobody’s where there is no such session, and none was given', async () => {
  expect(await read()).toBeNull()
  await have({ state: 'running' })
  expect(await read()).toBeNull()
})

test('is to be asked for again while Redis has lost something: it may be there when that is written back', async () => {
  await space.redis.del(space.keys.seeded)
  await expect(read()).rejects.toMatchObject({ code: 'redis_unavailable' })
  await have({ state: 'running' })
  await expect(read()).rejects.toMatchObject({ code: 'redis_unavailable' })
  await have({ token_hash: 'abc' })
  expect(await read()).toMatchObject({ hash: 'abc' })
  await have({ state: 'failed' })
  expect(await read()).toBeNull()
})
