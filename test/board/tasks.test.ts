import { expect, test } from 'vitest'
import { sessionIdOfTask } from '../../src/core/ids.ts'
import { until } from '../support/until.ts'
import { WORKSPACE, type Answered } from './open-board.ts'
import { playSession } from './play-session.ts'
import { boardOfFile } from './board-of-file.ts'

const { board } = await boardOfFile()

const task = (task_id: string, more: object = {}) => ({
  task_id,
  agent_type: 'architect',
  prompt: `Do ${task_id}`,
  ...more,
})
const add = (...tasks: object[]): Promise<Answered> => board.post('/api/v1/tasks', { tasks })
const count = async (): Promise<number> => (await board.get('/api/v1/tasks?limit=200')).body.tasks.length

test('adds tasks, gives a session to those that wait for nothing, and the others theirs in turn', async () => {
  const { status, body } = await add(
    task('BUILD-2', { depends_on: ['BUILD-1'], agent_type: 'code_developer' }),
    task('BUILD-1', { priority: 3, priority_number: 12, workspace_dir: '/srv/b' }),
  )
  expect(status).toBe(202)
  expect(body).toMatchObject({ success: true, durability: 'ledger', added: 2 })
  expect(body.tasks).toMatchObject([
    {
      task_id: 'BUILD-2',
      status: 'pending',
      depends_on: ['BUILD-1'],
      workspace_dir: WORKSPACE,
      priority: 1000,
    },
    { task_id: 'BUILD-1', priority: 3, priority_number: 12, workspace_dir: '/srv/b' },
  ])

  const first = sessionIdOfTask(board.namespace, 'BUILD-1', 0)
  const second = sessionIdOfTask(board.namespace, 'BUILD-2', 0)
  await until(async () => (await board.get(`/api/v1/sessions/${first}`)).body.session?.status === 'queued')
  expect((await board.get(`/api/v1/sessions/${second}`)).status).toBe(404)
  expect((await board.get('/api/v1/tasks/BUILD-1')).body.dependents).toEqual(['BUILD-2'])

  await (await playSession(board, first)).end()
  await until(async () => (await board.get(`/api/v1/sessions/${second}`)).status === 200)
  expect((await board.get('/api/v1/tasks/BUILD-1')).body.task.status).toBe('completed')
  const { events } = (await board.get(`/api/v1/sessions/${second}/events`)).body
  expect(events[0].payload.actor).toEqual({ via: 'drover', name: 'ensureJobs' })
  expect((await board.get('/api/v1/tasks?status=completed')).body.tasks[0].task_id).toBe('BUILD-1')
})

test('the same tasks again change nothing; a different one under the same id is a conflict', async () => {
  await add(task('SAME-1'), task('SAME-2', { depends_on: ['SAME-1'] }))
  const again = await add(task('SAME-1'), task('SAME-2', { depends_on: ['SAME-1'] }))
  expect(again).toMatchObject({
    status: 200,
    body: { added: 0, tasks: [{ task_id: 'SAME-1' }, { task_id: 'SAME-2' }] },
  })

  for (const more of [
    { prompt: 'other' },
    { priority: 1 },
    { depends_on: [] },
    { workspace_dir: '/other' },
  ]) {
    const other = await add(task('NEW-1'), task('SAME-2', { depends_on: ['SAME-1'], ...more }))
    expect(other).toMatchObject({ status: 409, body: { error: 'idempotency_conflict', task_id: 'SAME-2' } })
  }
  expect((await board.get('/api/v1/tasks/NEW-1')).status).toBe(404)
})

test('of two that add the same id at the same time, one is told', async () => {
  const answers = await Promise.all([
    add(task('RACE-1', { prompt: 'a' })),
    add(task('RACE-1', { prompt: 'b' })),
  ])
  const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b)
  expect(statuses).toEqual([202, 409])
})

test.each([
  ['an id twice', [task('T-1'), task('T-2'), task('T-1')], 400, 'invalid_request', /tasks\.2\.task_id/],
  ['an id of digits', [task('123')], 400, 'invalid_request', /tasks\.0\.task_id/],
  ['an unknown type', [task('T-1', { agent_type: 'architec' })], 404, 'agent_type_not_found', /"architect"/],
  [
    'an unknown task',
    [task('TASK-31-1'), task('T-2', { depends_on: ['TASK-31-2'] })],
    404,
    'task_not_found',
    /Did you mean "TASK-31-1"/,
  ],
  [
    'a circle',
    [task('A', { depends_on: ['C'] }), task('B', { depends_on: ['A'] }), task('C', { depends_on: ['B'] })],
    409,
    'dependency_cycle',
    /A → C → B → A/,
  ],
  ['itself', [task('A', { depends_on: ['A'] })], 409, 'dependency_cycle', /A → A/],
  ['nothing', [], 400, 'invalid_request', /tasks/],
  ['an unknown member', [task('T-1', { dependson: [] })], 400, 'invalid_request', /tasks\.0\.dependson/],
])('refuses %s, and adds nothing', async (_what, tasks, status, error, message) => {
  const before = await count()
  const answer = await add(...tasks)
  expect({ status: answer.status, error: answer.body.error }).toEqual({ status, error })
  expect(answer.body.message).toMatch(message)
  expect(await count()).toBe(before)
})

test('all that is wrong with tasks is said at once, each with its place', async () => {
  await add(task('THERE-1'))
  const before = await count()
  const { status, body } = await add(
    task('W-1', { agent_type: 'architec', depends_on: ['W-2', 'NOWHERE'] }),
    task('W-2', { depends_on: ['W-1'] }),
    task('W-3'),
    task('W-3', { template: 'none' }),
    task('THERE-1', { prompt: 'another one' }),
  )
  expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_request' })
  expect(body.issues.map(({ path }: { path: string }) => path)).toEqual([
    'tasks.3.task_id',
    'tasks.0.agent_type',
    'tasks.0.depends_on.1',
    'tasks.0.depends_on',
    'tasks.3.template',
    'tasks.4',
  ])
  for (const { path, message } of body.issues)
    expect(body.message).toContain(`${path}: ${message.replace(/\.$/, '')}`)
  expect(await count()).toBe(before)
})

test('the longest id is found again', async () => {
  const id = `L${'-'.repeat(126)}1`
  await add(task(id))
  expect((await board.get(`/api/v1/tasks/${id}`)).body.task.task_id).toBe(id)
})

test('an unknown task is said so, with what may have been meant', async () => {
  await add(task('LOGIN-1'))
  expect((await board.get('/api/v1/tasks/LOGIN-2')).body).toMatchObject({
    error: 'task_not_found',
    message: expect.stringContaining('Did you mean "LOGIN-1"?'),
  })
})

test('who asks for a task that Drover has dispatched gets its session; what that does not do is a conflict', async () => {
  await add(task('MEET-1'))
  const spawn = (more: object): Promise<Answered> =>
    board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'MEET-1', ...more })
  // At once: the task may have its session already, or be given it in this moment.
  const met = await spawn({ orchestrator_id: 'orch-20251026-001', timeout_seconds: 60, auto_restart: true })
  expect(met.body).toMatchObject({ success: true, task_id: 'MEET-1', status: 'queued', timeout_seconds: 60 })
  expect(met.body.session_id).toBe(sessionIdOfTask(board.namespace, 'MEET-1', 0))

  await add(task('MEET-2'))
  await until(async () => (await board.get('/api/v1/tasks/MEET-2')).body.task.status === 'spawned')
  const other = (more: object): Promise<Answered> =>
    board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'MEET-2', ...more })
  expect(await other({ orchestrator_id: 'orch-1' })).toMatchObject({ status: 200, body: { repeated: true } })
  for (const more of [{ timeout_seconds: 61 }, { auto_restart: false }, { prompt: 'Other' }])
    expect((await other(more)).body).toMatchObject({ error: 'idempotency_conflict' })
})
