import { afterEach, beforeEach, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'

let redis: TestRedis
let board: TestBoard
beforeEach(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  await board.stop()
  await redis.stop()
})

test('says why no session starts and how long that takes, takes requests meanwhile, and repairs what Redis lost', async () => {
  board = await openBoard(redis.url, { leaseTtlMs: 3000, seeded: false })
  const leases = async (): Promise<Record<string, unknown>> => {
    const { status, body } = await board.get('/readyz')
    expect(status).toBe(200)
    return body.checks.leases as Record<string, unknown>
  }
  const waiting = await until(async () => {
    const check = await leases()
    return check.status === 'waiting' && check.seconds_left !== null && check
  })
  expect(waiting.message).toContain('no session starts')
  expect(waiting.seconds_left).toBeLessThanOrEqual(3)
  const sessionId = await board.spawn()
  await until(async () => (await leases()).status === 'ok')

  await board.redis.flushall()
  expect((await leases()).status).toBe('waiting')
  await until(async () => (await leases()).restored === true)
  expect(await board.store.read(sessionId)).toMatchObject({
    state: 'queued',
    request: { prompt: 'Design it' },
  })
  await until(async () => (await leases()).status === 'ok')
  // Its job and the agent types are there again, so that it starts and others can be asked for.
  await until(() => board.redis.exists(`${board.keys.queuePrefix}:architect:${sessionId}`))
  await until(async () => (await board.redis.hlen(board.keys.agentTypes)) === 2)
  // One loss is said once, with what was written back, though it took the recorder's own lease too.
  const said = board.log.filter((line) => String(line['msg']).startsWith('Redis is new, or was restarted'))
  expect(new Set(said.map((line) => line['quarantine'])).size).toBe(said.length)
  const restored = board.log.filter((line) => String(line['msg']).startsWith('Redis is restored'))
  expect(restored.at(-1)).toMatchObject({ sessions: 1 })
}, 30_000)

test('a request that Redis loses before it is recorded is accepted again, as the same session', async () => {
  board = await openBoard(redis.url, { leaseTtlMs: 1000 })
  const { redis: client, keys } = board
  await board.spawn()
  // As if the recorder were frozen: another one holds its lease, and this one is told so.
  await client.set(keys.recorderLease, 'somebody else')
  await until(async () => !(await board.get('/readyz')).body.checks.recorder.recording)
  const before = await client.xlen(keys.events)
  const answering = board.spawn()
  await until(async () => (await client.xlen(keys.events)) > before)
  await client.flushall()
  const sessionId = await answering
  expect((await board.get(`/api/v1/sessions/${sessionId}`)).body.session.status).toBe('queued')
  expect(await board.store.read(sessionId)).not.toBeNull()
}, 30_000)
