import { afterAll, beforeAll, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { createTidying, type Tidying } from '../../src/queue/tidying.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

let server: TestRedis
let space: TestNamespace
let tidying: Tidying
beforeAll(async () => {
  server = await startRedis()
  space = await openNamespace(server.url)
  tidying = createTidying(space.redis, space.keys)
})
afterAll(async () => {
  space.close()
  await server.stop()
})

test('whoever waits is answered when it is over, at once where there is nothing to tidy, with what was left', async () => {
  const sessionId = newSessionId()
  expect(await tidying.until(sessionId)).toBeNull()
  await tidying.begin(sessionId)
  const order: string[] = []
  const waiting = tidying.until(sessionId).then((problem) => order.push(`answered: ${problem}`))
  order.push('over')
  await tidying.over(sessionId, 'it is in the way')
  await waiting
  expect(order).toEqual(['over', 'answered: it is in the way'])
  await tidying.over(sessionId, null)
  expect(await tidying.until(sessionId)).toBeNull()
})

test('a pod that died in between, or a caller that has gone, keeps nobody waiting', async () => {
  const sessionId = newSessionId()
  await tidying.begin(sessionId)
  expect(await space.redis.pttl(space.keys.tidying(sessionId))).toBeGreaterThan(0)
  const gone = new AbortController()
  const left = tidying.until(sessionId, gone.signal)
  gone.abort()
  expect(await left).toBeNull()
  await space.redis.pexpire(space.keys.tidying(sessionId), 1)
  expect(await tidying.until(sessionId)).toBeNull()
})
