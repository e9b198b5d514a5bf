/** What is not ended as lost although claims of it have failed. */
import { expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { noteFailedClaim } from '../../src/queue/failed-claims.ts'
import { endUnclaimable, UNCLAIMABLE_AFTER_MS } from '../../src/recorder/unclaimable.ts'
import { acceptance, openNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()

test('a session that a claim has come through for is not lost: a moment ago, or in the moment of its end', async () => {
  const space = await openNamespace(server.url)
  const { redis, keys, store } = space
  const session = { sessionId: newSessionId(), agentType: 'architect' }
  await store.accept(acceptance(session.sessionId))
  const state = () => redis.hget(keys.session(session.sessionId), 'state')
  const parts = { redis, keys, log: { error: () => undefined } }
  for (let n = 0; n < 10; n++) await noteFailedClaim(redis, keys, session.sessionId, 'no space left')
  const noted = JSON.parse((await redis.hget(keys.failedClaims, session.sessionId)) ?? '') as { last: number }
  const since = noted.last - 2 * UNCLAIMABLE_AFTER_MS
  const note = (last: number) =>
    redis.hset(keys.failedClaims, session.sessionId, JSON.stringify({ ...noted, since, last }))

  // The claim that followed has lasted for longer than any that fails: it lets the session wait.
  await note(since)
  await endUnclaimable({ ...parts, store })
  expect(await state()).toBe('queued')

  await note(noted.last)
  await redis.set(keys.lease('architect', 0), 'pod:1', 'PX', 60_000)
  const start = { leaseKey: keys.lease('architect', 0), token: 'pod:1', agentIdPrefix: 'architect-20260101-' }
  const change: typeof store.change = async (...args) => {
    await store.start(session, { ...start, set: {}, events: [] })
    return await store.change(...args)
  }
  await endUnclaimable({ ...parts, store: { change } })
  expect(await state()).toBe('starting')
  space.close()
})
