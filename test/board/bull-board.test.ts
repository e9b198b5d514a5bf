import { createRequire } from 'node:module'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createAgentTypeRegistry } from '../../src/queue/agent-types.ts'
import { assertConcurrency, createQueues, type Queues } from '../../src/queue/jobs.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'

/** Every route that the installed package has. */
const { appRoutes } = createRequire(import.meta.url)('@bull-board/api/dist/routes.js') as {
  appRoutes: { api: { method: string; route: string }[] }
}
const CHANGES = appRoutes.api.filter(({ method }) => method !== 'get')
const ALLOWED = [
  'put /api/queues/pause',
  'put /api/queues/resume',
  'put /api/queues/:queueName/pause',
  'put /api/queues/:queueName/resume',
  'patch /api/queues/:queueName/:jobId/priority',
]
const CLEAN = 'put /api/queues/:queueName/clean/:queueStatus'

let redis: TestRedis
let board: TestBoard
let queues: Queues
let sessionId: string
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url)
  queues = createQueues(board.redis, board.keys, () => {})
  const limit = assertConcurrency(queues.of('architect'), board.redis, 1, () => {})
  await limit.ready
  limit.stop()
})
afterAll(async () => {
  await queues.close()
  await board.stop()
  await redis.stop()
})
beforeEach(async () => {
  sessionId = await board.spawn()
})

async function change(method: string, path: string, body: object = {}): Promise<number> {
  const response = await fetch(`${board.url}/queues${path}`, {
    method: method.toUpperCase(),
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return response.status
}

const fill = (route: string): string =>
  route
    .replace(':queueName', 'architect')
    .replace(':jobId', sessionId)
    .replace(':queueStatus', 'wait')
    .replace(':schedulerId', 'x')

/** Everything that BullMQ keeps of its queues, but its log, and the number that `ensureJobs` counts up by asking again. */
async function queueState(): Promise<Record<string, unknown>> {
  const { redis: db } = board
  const read: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => db.get(key),
    hash: (key) => db.hgetall(key),
    list: (key) => db.lrange(key, 0, -1),
    set: async (key) => (await db.smembers(key)).toSorted(),
    zset: (key) => db.zrange(key, '0', '-1', 'WITHSCORES'),
  }
  const keys = (await db.keys(`${board.keys.queuePrefix}:*`)).filter((key) => !key.endsWith(':id')).toSorted()
  const entries = keys.map(async (key) => [key, await read[await db.type(key)]?.(key)] as const)
  return Object.fromEntries(await Promise.all(entries))
}

test('the package still has the routes that must be refused', () => {
  const routes = CHANGES.map(({ route }) => route).join('\n')
  for (const part of ['concurrency', 'obliterate', 'rate-limit', 'rate-limit/release']) {
    expect(routes).toContain(`/api/queues/:queueName/${part}`)
  }
})

test.each(
  CHANGES.map(({ method, route }) => [method, route] as const).filter(
    ([method, route]) => !ALLOWED.includes(`${method} ${route}`),
  ),
)('refuses %s %s, and nothing has changed', async (method, route) => {
  const before = await queueState()
  const bodies = [
    {},
    { concurrency: 0 },
    { force: true },
    { max: 1, duration: 1000 },
    { name: 'session', data: {}, options: {} },
  ]
  for (const body of bodies) expect(await change(method, fill(route), body)).toBe(403)
  expect(await queueState()).toEqual(before)
})

test('allows to pause and resume queues, to change a priority, and to take finished jobs away', async () => {
  const queue = queues.of('architect')
  expect(await change('put', '/api/queues/architect/pause')).toBe(200)
  expect(await queue.isPaused()).toBe(true)
  expect(await change('put', '/api/queues/architect/resume')).toBe(200)
  expect(await queue.isPaused()).toBe(false)
  expect(await change('put', '/api/queues/pause')).toBe(200)
  expect(await change('put', '/api/queues/resume')).toBe(200)
  expect(await change('patch', `/api/queues/architect/${sessionId}/priority`, { priority: 3 })).toBe(200)
  expect((await queue.getJob(sessionId))?.priority).toBe(3)
  expect(
    await change(
      'put',
      CLEAN.slice(4).replace(':queueName', 'architect').replace(':queueStatus', 'completed'),
    ),
  ).toBe(200)
  expect(await queue.getGlobalConcurrency()).toBe(1)
})

test('shows jobs with a link to their session, and queues without jobs', async () => {
  const { status, body } = await board.get('/queues/api/queues?activeQueue=architect&status=latest')
  expect(status).toBe(200)
  expect(body.queues.map((queue: any) => queue.name)).toEqual(['architect', 'code_developer'])
  const [architect, developer] = body.queues
  expect(architect).toMatchObject({ description: 'For tests', globalConcurrency: 1, allowRetries: false })
  expect(architect.jobs).toContainEqual(
    expect.objectContaining({
      id: sessionId,
      data: { session_id: sessionId, agent_type: 'architect' },
      externalUrl: { displayText: 'Open session', href: `/sessions/${sessionId}` },
    }),
  )
  expect(developer.jobs).toEqual([])
  for (const path of ['metrics', 'workers', 'rate-limit', 'default-job-options', 'job-data-schema']) {
    expect((await board.get(`/queues/api/queues/code_developer/${path}`)).status).toBe(200)
  }
  expect((await board.get('/queues/api/job-schedulers')).status).toBe(200)
  expect((await board.get('/queues/api/redis/stats')).status).toBe(200)
})

test('a job that is not ours stays small', async () => {
  await queues.of('code_developer').add('strange', { session_id: 'x'.repeat(100_000), agent_type: 'y' })
  const { body } = await board.get('/queues/api/queues?activeQueue=code_developer&status=latest')
  expect(body.queues[1].jobs[0].data.length).toBeLessThan(3000)
})

test('a type that a pod announces appears by itself', async () => {
  const registry = createAgentTypeRegistry(board.redis, board.keys)
  const summary = {
    name: 'reviewer',
    description: 'New here',
    model: 'haiku',
    use_cases: [],
    timeout: 1,
    max_instances: 1,
  }
  const shown = async (): Promise<any> =>
    (await board.get('/queues/api/queues')).body.queues.find((queue: any) => queue.name === 'reviewer')
  expect(await shown()).toBeUndefined()
  await registry.announce([summary])
  expect(await until(shown)).toMatchObject({ description: 'New here' })
  await registry.announce([{ ...summary, description: 'Changed' }])
  await until(async () => (await shown()).description === 'Changed')
})

test('its page asks nothing of other sites', async () => {
  const { status, body, headers } = await board.get('/queues/')
  expect(status).toBe(200)
  expect(body).toContain('Drover')
  expect(body).not.toMatch(/https?:\/\//)
  expect(headers.get('content-security-policy')).toContain("default-src 'self'")
  expect((await board.get('/queues')).status).toBe(200)
  expect((await board.get('/queues/queue/architect')).status).toBe(200)
})
