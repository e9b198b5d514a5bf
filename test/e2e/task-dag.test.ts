/** A real board, a real pod and real processes: tasks of 20 types run in the order of their dependencies. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { createRandom } from '../fault/rig/random.ts'
import { fakePrompt, isTreeAlive, readWitness, violations } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { orderViolations, randomDag } from '../support/task-dag.ts'
import { until } from '../support/until.ts'

const TYPES = Array.from({ length: 20 }, (_, index) => `type_${String(index).padStart(2, '0')}`)
/** `npm run bench -- dag` runs 1,000. */
const TASKS = 40

let redis: TestRedis
let house: PodHouse
let board: TestBoard
beforeAll(async () => {
  redis = await startRedis()
  house = await openHouse({ redisUrl: redis.url, types: TYPES })
  board = await openBoard(redis.url, { namespace: house.keys.namespace, types: TYPES, seeded: false })
  await house.startPod({ DROVER_MAX_SESSIONS: '6' })
})
afterAll(async () => {
  await board.stop()
  await house.close()
  await redis.stop()
})

const rows = async (): Promise<any[]> => (await board.get('/api/v1/tasks?limit=200')).body.tasks

test('a random graph of tasks runs in its order; what a failed one stands in the way of does not, until it is retried', async () => {
  const dag = randomDag(TASKS, TYPES, createRandom(20_261_130))
  const extra = [
    { task_id: 'F-0', agent_type: TYPES[0], depends_on: ['T-0'] },
    { task_id: 'F-1', agent_type: TYPES[1], depends_on: ['F-0'] },
    { task_id: 'F-2', agent_type: TYPES[2], depends_on: ['F-1', 'T-1'] },
  ]
  const prompts = new Map([['F-0', fakePrompt({ result: 'error', exit_code: 1 })]])
  const tasks = [...dag, ...extra].map((task) => ({
    ...task,
    prompt: prompts.get(task.task_id) ?? fakePrompt({}),
    workspace_dir: house.workspace,
  }))
  expect((await board.post('/api/v1/tasks', { tasks })).status).toBe(202)
  const open = ({ status }: any): boolean => ['pending', 'spawned', 'running'].includes(status)
  await until(async () => !(await rows()).some(open), { timeoutMs: 60_000, message: 'all tasks to end' })

  const ended = await rows()
  const statuses = new Map(ended.map(({ task_id, status }) => [task_id, status]))
  expect(extra.map(({ task_id }) => statuses.get(task_id))).toEqual(['failed', 'blocked', 'blocked'])
  expect(dag.filter(({ task_id }) => statuses.get(task_id) !== 'completed')).toEqual([])
  const sessionOf = new Map<string, string>(ended.map(({ task_id, session_id }) => [task_id, session_id]))
  expect(orderViolations(dag, sessionOf, readWitness(house.witness))).toEqual([])
  expect(violations(house.witness)).toEqual([])

  // The ledger says the same: no agent of a task was started before the sessions that it waits for had ended.
  const { DatabaseSync } = await import('node:sqlite')
  const db = new DatabaseSync(`${board.dataDir}/orchestrator.db`, { readOnly: true })
  const early = db
    .prepare(
      `SELECT d.task_id, d.depends_on FROM task_dependency AS d
       JOIN agent_lifecycle AS a ON a.task_id = d.task_id
       JOIN agent_sessions AS s ON s.task_id = d.depends_on
       WHERE a.spawned_at < s.completed_at`,
    )
    .all()
  db.close()
  expect(early).toEqual([])

  // It fails again: what it blocks is blocked again, by another run of it.
  expect((await board.post('/api/v1/tasks/F-0/retry', {})).status).toBe(202)
  await until(async () => (await board.get('/api/v1/tasks/F-0')).body.task.status === 'failed')
  await until(async () => (await board.get('/api/v1/tasks/F-2')).body.task.status === 'blocked')
  expect((await board.get('/api/v1/tasks/F-0')).body.task.run).toBe(1)
}, 90_000)

test('a task that runs is cancelled with its process, and one that waits for it never runs', async () => {
  const tasks = [
    { task_id: 'K-0', agent_type: TYPES[3], prompt: fakePrompt({ silence_ms: 60_000, ignore_term: true }) },
    { task_id: 'K-1', agent_type: TYPES[4], prompt: fakePrompt({}), depends_on: ['K-0'] },
  ].map((task) => ({ ...task, workspace_dir: house.workspace }))
  await board.post('/api/v1/tasks', { tasks })
  const task = async (id: string): Promise<any> => (await board.get(`/api/v1/tasks/${id}`)).body.task
  await until(async () => (await task('K-0')).status === 'running')
  const [first, second] = await Promise.all([
    board.post('/api/v1/tasks/K-0/cancel', { grace_seconds: 0.2 }),
    board.post('/api/v1/tasks/K-0/cancel', { grace_seconds: 0.2 }),
  ])
  expect(first).toMatchObject({ status: 200, body: { status: 'cancelled', dependents: ['K-1'] } })
  expect(second.body).toEqual(first.body)
  expect(isTreeAlive(house.witness, first.body.agent_id)).toBe(false)
  await until(async () => (await task('K-1')).status === 'blocked')
  expect(await task('K-1')).toMatchObject({ session_id: null })
})
