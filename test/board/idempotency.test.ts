/** One key, one session: over three boards with one Redis and one ledger, whoever asks, how often and when. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { openBoard, type Answered, type TestBoard } from './open-board.ts'
import { playSession } from './play-session.ts'

const PARALLEL = 100

let redis: TestRedis
let dataDir: string
let boards: readonly [TestBoard, TestBoard, TestBoard]
let queue: Queue
beforeAll(async () => {
  redis = await startRedis()
  dataDir = await mkdtemp(join(tmpdir(), 'drover-boards-'))
  const first = await openBoard(redis.url, { dataDir })
  const more = { dataDir, namespace: first.namespace, seeded: false }
  boards = [first, await openBoard(redis.url, more), await openBoard(redis.url, more)]
  queue = new Queue('architect', { connection: first.redis, prefix: first.keys.queuePrefix })
})
afterAll(async () => {
  await queue.close()
  for (const board of boards) await board.stop()
  await rm(dataDir, { recursive: true, force: true })
  await redis.stop()
})

const ask = (board: number, key: string, more: object = {}): Promise<Answered> =>
  (boards[board % boards.length] ?? boards[0]).post(
    '/api/v1/sessions',
    { agent_type: 'architect', prompt: 'Design it', ...more },
    { 'idempotency-key': key },
  )

/** One acceptance, one row, one job: as the ledger, Redis and BullMQ have it. */
async function expectOne(sessionId: string, jobs = 1): Promise<void> {
  const [board] = boards
  await expect.poll(async () => (await board.get(`/api/v1/sessions/${sessionId}`)).status).toBe(200)
  const { body } = await board.get(`/api/v1/events?session_id=${sessionId}&type=drover.session.accepted`)
  expect(body.events).toHaveLength(1)
  const waiting = await queue.getJobs(['waiting', 'prioritized', 'active', 'delayed'])
  expect(waiting.filter((job) => job.id === sessionId)).toHaveLength(jobs)
}

test('twice in sequence, over two boards', async () => {
  const [first, second] = [await ask(0, 'twice'), await ask(1, 'twice')]
  expect([first.status, second.status]).toEqual([202, 200])
  expect(second.body).toMatchObject({ session_id: first.body.session_id, repeated: true })
  await expectOne(first.body.session_id)
})

test(`${PARALLEL} at once over three boards`, async () => {
  const answers = await Promise.all(Array.from({ length: PARALLEL }, (_, n) => ask(n, 'crowd')))
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1)
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(PARALLEL - 1)
  const ids = [...new Set(answers.map(({ body }) => body.session_id as string))]
  expect(ids).toHaveLength(1)
  await expectOne(String(ids[0]))
})

test('two requests under one key at once: one is the session, the other a conflict, on every board', async () => {
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const prompt = n % 2 === 0 ? 'This' : 'That'
      return { prompt, ...(await ask(n, 'torn', { prompt })) }
    }),
  )
  const won = answers.filter(({ status }) => status < 300)
  expect(new Set(won.map(({ prompt }) => prompt)).size).toBe(1)
  expect(won).toHaveLength(30)
  const [{ body: session } = { body: null }] = won
  const lost = answers.filter(({ status }) => status >= 300)
  expect(lost.every(({ status, body }) => status === 409 && body.error === 'idempotency_conflict')).toBe(true)
  expect(new Set(lost.map(({ body }) => body.session_id))).toEqual(new Set([session.session_id]))
  await expectOne(session.session_id)
})

test('after the end, and when Redis has forgotten it: what was, and no second run', async () => {
  const { body } = await ask(0, 'late')
  const id: string = body.session_id
  await (await playSession(boards[0], id)).end()
  const { redis: direct, keys } = boards[0]
  for (const forget of [[], [keys.session(id)], [keys.session(id), keys.ended(id)]]) {
    if (forget.length > 0) await direct.del(...forget)
    for (const board of [0, 1, 2]) {
      const again = await ask(board, 'late')
      expect(again).toMatchObject({
        status: 200,
        body: { session_id: id, repeated: true, status: 'completed' },
      })
      const changed = await ask(board, 'late', { prompt: 'Something else' })
      expect(changed).toMatchObject({ status: 409, body: { error: 'idempotency_conflict', session_id: id } })
    }
  }
  const rows = await boards[1].get('/api/v1/sessions?status=completed')
  expect(rows.body.sessions).toHaveLength(1)
  expect(await direct.exists(keys.session(id))).toBe(0)
})
