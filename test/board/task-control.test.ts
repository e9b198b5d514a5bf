import { describe, expect, test } from 'vitest'
import { sessionIdOfTask } from '../../src/core/ids.ts'
import { until } from '../support/until.ts'
import type { Answered } from './open-board.ts'
import { failed, playSession } from './play-session.ts'
import { boardOfFile } from './board-of-file.ts'

const { board } = await boardOfFile()

const task = (task_id: string, depends_on: string[] = [], more: object = {}) => ({
  task_id,
  agent_type: 'architect',
  prompt: `Do ${task_id}`,
  depends_on,
  ...more,
})
const add = async (...tasks: object[]): Promise<void> => {
  expect((await board.post('/api/v1/tasks', { tasks })).status).toBe(202)
}
const ask = (id: string, what: string, body: object = {}): Promise<Answered> =>
  board.post(`/api/v1/tasks/${id}/${what}`, body)
const show = async (id: string): Promise<any> => (await board.get(`/api/v1/tasks/${id}`)).body.task
const becomes = (id: string, status: string): Promise<unknown> =>
  until(async () => (await show(id)).status === status, {
    message: () => `${id} to become ${status}`,
  })
const runOf = (id: string, run = 0): string => sessionIdOfTask(board.namespace, id, run)
const session = async (id: string): Promise<any> => (await board.get(`/api/v1/sessions/${id}`)).body.session

describe('cancel', () => {
  test('of a task that waits for another: no session of it can begin, and what waits for it is blocked', async () => {
    await add(task('W-1'), task('W-2', ['W-1']), task('W-3', ['W-2']))
    const { status, body } = await ask('W-2', 'cancel', { reason: 'not needed' })
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { success: true, action: 'cancel', status: 'cancelled', session_id: null, dependents: ['W-3'] },
    })
    await becomes('W-3', 'blocked')
    expect(await show('W-2')).toMatchObject({ status: 'cancelled', error_message: 'Cancelled: not needed.' })

    // Asked again it answers the same.
    expect((await ask('W-2', 'cancel')).body).toEqual(body)

    // Its dependency is completed all the same, and whoever would accept the session is refused.
    await (await playSession(board, await queued('W-1'))).end()
    await becomes('W-1', 'completed')
    const spawned = await board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'W-2' })
    expect(spawned).toMatchObject({ status: 409, body: { error: 'task_not_ready' } })
    expect(await board.store.read(runOf('W-2'))).toBe(null)
    expect(await board.store.readEnded(runOf('W-2'))).toMatchObject({ status: 'cancelled' })
  })

  test('of a task in its queue: the session ends in the call', async () => {
    await add(task('Q-1'))
    const id = await queued('Q-1')
    const { body } = await ask('Q-1', 'cancel')
    expect(body).toMatchObject({ status: 'cancelled', session_id: id, agent_id: null })
    expect((await session(id)).status).toBe('cancelled')
  })

  test('of one whose session waits', async () => {
    await add(task('S-1'), task('S-2', ['S-1']))
    const spawned = await board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'S-2' })
    expect((await ask('S-2', 'cancel')).body).toMatchObject({ session_id: spawned.body.session_id })
    expect((await session(spawned.body.session_id)).status).toBe('cancelled')
  })

  test('of one that runs: the answer waits for the end of its session', async () => {
    await add(task('R-1'))
    const played = await playSession(board, await queued('R-1'))
    await becomes('R-1', 'running')
    const asked = ask('R-1', 'cancel')
    await until(async () => (await board.store.read(runOf('R-1')))?.cancel !== null)
    await played.end({ status: 'cancelled', failure_reason: 'cancelled', message: 'Cancelled.' })
    expect((await asked).body).toMatchObject({ status: 'cancelled', agent_id: played.agent.agentId })
    expect(await show('R-1')).toMatchObject({ status: 'cancelled' })
  })

  test('of one that completes meanwhile: the success stands', async () => {
    await add(task('C-1'))
    const played = await playSession(board, await queued('C-1'))
    const asked = ask('C-1', 'cancel')
    await until(async () => (await board.store.read(runOf('C-1')))?.cancel !== null)
    await played.end()
    expect(await asked).toMatchObject({
      status: 409,
      body: { error: 'task_not_ready', status: 'completed' },
    })
    expect((await ask('C-1', 'cancel')).body.error).toBe('task_not_ready')
  })

  test('of a blocked one, with and without a session that waited', async () => {
    await add(task('B-1'), task('B-2', ['B-1']), task('B-3', ['B-1']))
    await board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'B-3' })
    await ask('B-1', 'cancel')
    for (const id of ['B-2', 'B-3']) {
      await becomes(id, 'blocked')
      expect((await ask(id, 'cancel')).body).toMatchObject({ status: 'cancelled', durability: 'ledger' })
      expect((await show(id)).status).toBe('cancelled')
    }
  })

  test('of one that is being dispatched: whoever is first, there is one end and nothing starts after it', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `X-${index}`)
    // Cancelled while ensureJobs gives them their sessions.
    const adding = board.post('/api/v1/tasks', { tasks: ids.map((id) => task(id)) })
    await until(async () => (await board.get(`/api/v1/tasks/${ids[0]}`)).status === 200)
    const answers = await Promise.all(ids.flatMap((id) => [ask(id, 'cancel'), ask(id, 'cancel')]))
    expect(new Set(answers.map(({ body }) => body.status))).toEqual(new Set(['cancelled']))
    await adding
    for (const id of ids) {
      const record = await board.store.read(runOf(id))
      expect(record === null || record.state === 'cancelled').toBe(true)
    }
    const { body } = await board.get('/api/v1/events?type=drover.agent&limit=200')
    expect(body.events.filter(({ session_id }: any) => ids.some((id) => runOf(id) === session_id))).toEqual(
      [],
    )
  })
})

describe('retry', () => {
  test('of a failed task is another run, and what it blocked waits again', async () => {
    await add(task('F-1'), task('F-2', ['F-1']), task('F-3', ['F-2']), task('F-4', ['F-1']))
    await board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'F-4' })
    await (await playSession(board, await queued('F-1'))).end(failed('agent_error', 'No.'))
    await Promise.all(['F-2', 'F-3', 'F-4'].map((id) => becomes(id, 'blocked')))
    expect(await ask('F-2', 'retry')).toMatchObject({
      status: 409,
      body: { error: 'task_not_ready', message: expect.stringContaining('blocked by F-1') },
    })

    expect(await ask('F-1', 'retry')).toMatchObject({
      status: 202,
      body: { success: true, action: 'retry', run: 1, durability: 'ledger' },
    })
    expect(await show('F-2')).toMatchObject({ status: 'pending', error_message: null })
    expect(await show('F-3')).toMatchObject({ status: 'pending' })
    // Its session had waited, and was ended: the next one has another id.
    expect(await show('F-4')).toMatchObject({ status: 'pending', run: 1, session_id: null })

    await (await playSession(board, await queued('F-1', 1))).end()
    await (await playSession(board, await queued('F-2'))).end()
    await Promise.all([queued('F-3'), queued('F-4', 1)])
    expect(await ask('F-1', 'retry')).toMatchObject({ status: 409, body: { status: 'completed' } })
  })

  test('of a cancelled task, twice at the same time, is one run', async () => {
    await add(task('RR-1'))
    await ask('RR-1', 'cancel')
    const answers = await Promise.all([ask('RR-1', 'retry'), ask('RR-1', 'retry')])
    expect(answers.map(({ body }) => body.run)).toEqual([1, 1])
    await queued('RR-1', 1)
    expect((await ask('RR-1', 'retry')).body.error).toBe('task_not_ready')
    expect((await show('RR-1')).run).toBe(1)
  })
})

describe('more to wait for', () => {
  test('of a pending task', async () => {
    await add(task('D-1'), task('D-2'), task('D-3', ['D-1']))
    const answer = await ask('D-3', 'dependencies', { depends_on: ['D-1', 'D-2'] })
    expect(answer).toMatchObject({
      status: 200,
      body: { added: ['D-2'], depends_on: ['D-1', 'D-2'], waiting_for: ['D-1', 'D-2'], status: 'pending' },
    })
    expect((await ask('D-3', 'dependencies', { depends_on: ['D-2'] })).body).toMatchObject({ added: [] })
    await (await playSession(board, await queued('D-1'))).end()
    await becomes('D-1', 'completed')
    expect(await show('D-3')).toMatchObject({ status: 'pending', waiting_for: ['D-2'] })
    await (await playSession(board, await queued('D-2'))).end()
    await queued('D-3', 1)
  })

  test('of one in its queue: it goes back, and runs later as another session', async () => {
    await add(task('G-1'), task('G-2'))
    const id = await queued('G-2')
    expect((await ask('G-2', 'dependencies', { depends_on: ['G-1'] })).body).toMatchObject({
      status: 'pending',
      durability: 'ledger',
    })
    expect(await session(id)).toMatchObject({ status: 'cancelled' })
    expect(await show('G-2')).toMatchObject({ status: 'pending', run: 1, waiting_for: ['G-1'] })
    await (await playSession(board, await queued('G-1'))).end()
    await queued('G-2', 1)
  })

  test('is refused once it has begun, for a session of its own, and in a circle', async () => {
    await add(task('H-1'), task('H-2', ['H-1']), task('H-3'), task('H-4'))
    const circle = await ask('H-1', 'dependencies', { depends_on: ['H-2'] })
    expect(circle).toMatchObject({
      status: 409,
      body: { error: 'dependency_cycle', message: expect.stringContaining('H-1 → H-2 → H-1') },
    })
    await board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'H-2', prompt: 'Otherwise' })
    const own = await ask('H-2', 'dependencies', { depends_on: ['H-3'] })
    expect(own).toMatchObject({ status: 409, body: { error: 'task_not_ready' } })
    await playSession(board, await queued('H-3'))
    const begun = await ask('H-3', 'dependencies', { depends_on: ['H-4'] })
    expect(begun).toMatchObject({ status: 409, body: { error: 'task_not_ready' } })
    expect(await ask('H-4', 'dependencies', { depends_on: ['H-9'] })).toMatchObject({ status: 404 })
    expect(await ask('H-4', 'dependencies', { depends_on: [] })).toMatchObject({ status: 400 })
  })

  test('of two that would wait for one another, one is told of the circle', async () => {
    await add(task('Z-0'), task('Z-1', ['Z-0']), task('Z-2', ['Z-0']))
    const answers = await Promise.all([
      ask('Z-1', 'dependencies', { depends_on: ['Z-2'] }),
      ask('Z-2', 'dependencies', { depends_on: ['Z-1'] }),
    ])
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409])
    const waiting = (await Promise.all([show('Z-1'), show('Z-2')])).map(({ depends_on }) => depends_on.length)
    expect(waiting.toSorted((a, b) => a - b)).toEqual([1, 2])
  })
})

test('the graph of tasks, whole and around one', async () => {
  await add(task('N-1'), task('N-2', ['N-1']), task('N-3', ['N-1', 'N-2']), task('N-4'))
  const { body } = await board.get('/api/v1/task-graph?task_id=N-2')
  expect(body.nodes.map(({ task_id, level }: any) => [task_id, level])).toEqual([
    ['N-1', 0],
    ['N-2', 1],
    ['N-3', 2],
  ])
  expect(body.edges).toEqual([
    { from: 'N-1', to: 'N-2' },
    { from: 'N-1', to: 'N-3' },
    { from: 'N-2', to: 'N-3' },
  ])
  const two = (await board.get('/api/v1/task-graph?limit=2')).body
  expect(two.nodes).toHaveLength(2)
  expect(two.omitted).toBeGreaterThan(2)
  expect((await board.get('/api/v1/task-graph?task_id=NONE')).status).toBe(404)
})

test('who asked is recorded', async () => {
  await add(task('A-1'), task('A-2'))
  await ask('A-2', 'dependencies', { depends_on: ['A-1'] })
  await ask('A-2', 'cancel')
  await ask('A-2', 'retry')
  const { DatabaseSync } = await import('node:sqlite')
  const db = new DatabaseSync(`${board.dataDir}/orchestrator.db`, { readOnly: true })
  const rows = db.prepare("SELECT action FROM actions WHERE task_id = 'A-2' AND actor_via = 'http'").all()
  db.close()
  expect(rows.map(({ action }) => action)).toEqual([
    'add_task',
    'add_dependencies',
    'cancel_task',
    'retry_task',
  ])
})

/** The session of a task's run, as soon as it is there. */
async function queued(taskId: string, run = 0): Promise<string> {
  const id = runOf(taskId, run)
  await until(async () => (await show(taskId)).session_id === id, {
    message: () => `${taskId} to have the session of run ${run}`,
  })
  return id
}
