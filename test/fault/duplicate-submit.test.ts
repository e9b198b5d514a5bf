/** F22: the same request comes twice, and a hundred times at once. One session, one run, whoever asks and when. */
import { Queue } from 'bullmq'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProducer, type Producer, type SpawnOptions } from '../../src/index.ts'
import { createHttpClient } from '../../src/producer/http-client.ts'
import { fakePrompt } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { startsOf } from './rig/starts.ts'

/** Shared evenly by the doors. */
const PARALLEL = 51
const SCRIPT = { lines: 2, text: 'once' }

let field: Field
let second: Producer
let queue: Queue

beforeAll(async () => {
  field = await openField({ pods: 2 })
  second = createProducer({ redisUrl: redisUrl(), namespace: field.namespace })
  queue = new Queue('architect', { connection: field.redis, prefix: field.keys.queuePrefix })
}, 60_000)
afterAll(async () => {
  await queue.close()
  await second.close()
  await field.close()
})

const redisUrl = (): string => `redis://127.0.0.1:${field.redis.options.port}`

const request = (idempotencyKey: string, prompt = fakePrompt(SCRIPT)): SpawnOptions => ({
  agentType: 'architect',
  prompt,
  workspaceDir: field.workspace,
  idempotencyKey,
})

/** Its one run, seen from outside: one accepted event, one agent, one job at most. */
async function expectOneRun(sessionId: string): Promise<void> {
  expect(await field.ended(sessionId)).toMatchObject({ status: 'completed', restarts: 0, result: 'once' })
  const types = field.ledger.events(sessionId).map((event) => event.type)
  expect(types.filter((type) => type === 'drover.session.accepted')).toHaveLength(1)
  expect(types.filter((type) => type === 'drover.agent.spawned')).toHaveLength(1)
  expect(startsOf(field, sessionId)).toHaveLength(1)
}

/** As BullMQ does by itself when there are many finished ones. */
async function forgetJob(sessionId: string): Promise<void> {
  const removed = async (): Promise<boolean> => (await queue.remove(sessionId)) === 1
  await until(removed, { message: `the job of ${sessionId} to be finished and removed` })
}

test('F22 the same key twice is the same session', async () => {
  const id = await field.spawn(SCRIPT, { idempotencyKey: 'twice' })
  const again = await second.spawn(request('twice'))
  expect(again).toMatchObject({ success: true, sessionId: id, repeated: true })
  await expectOneRun(id)
})

test(`F22 ${PARALLEL} at once over two producers and the board are one session`, async () => {
  const board = createHttpClient({ url: String(field.board().ready['url']) })
  const { agentType, prompt, workspaceDir } = request('crowd')
  const doors = [
    () => field.producer.spawn(request('crowd')).then(({ sessionId }) => sessionId),
    () => second.spawn(request('crowd')).then(({ sessionId }) => sessionId),
    () =>
      board
        .accept({ agent_type: agentType, prompt, workspace_dir: workspaceDir }, { idempotencyKey: 'crowd' })
        .then((answer) => answer.session_id),
  ]
  const rounds = Array.from({ length: PARALLEL / doors.length }, () => doors).flat()
  const ids = new Set(await Promise.all(rounds.map((spawn) => spawn())))
  expect(ids.size).toBe(1)
  const id = await field.spawn(SCRIPT, { idempotencyKey: 'crowd' })
  expect(ids).toEqual(new Set([id]))
  await expectOneRun(id)
})

test('F22 the same key after the end answers with what was, also when the job is gone', async () => {
  const id = await field.spawn(SCRIPT, { idempotencyKey: 'late' })
  await field.ended(id)
  await forgetJob(id)
  expect(await second.spawn(request('late'))).toMatchObject({ sessionId: id, status: 'completed' })
  const waited = await second.spawn({ ...request('late'), wait: 'completed' })
  expect(waited).toMatchObject({ sessionId: id, success: true, output: 'once' })
  await expectOneRun(id)
})

test('F22 the same key with another request is a conflict, and changes nothing', async () => {
  const id = await field.spawn(SCRIPT, { idempotencyKey: 'changed' })
  const conflict = { code: 'idempotency_conflict', details: { session_id: id } }
  await expect(second.spawn(request('changed', 'Something else.'))).rejects.toMatchObject(conflict)
  await field.ended(id)
  await forgetJob(id)
  await expect(second.spawn(request('changed', 'Something else.'))).rejects.toMatchObject(conflict)
  await expectOneRun(id)
})

test('F22 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ sessions: 4, agents: 4 })
})
