import { describe, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { createProducer } from '../../src/index.ts'
import { createHttpClient } from '../../src/producer/http-client.ts'
import { until } from '../support/until.ts'
import { WORKSPACE, type Answered } from './open-board.ts'
import { boardOfFile } from './board-of-file.ts'

const { redis, board } = await boardOfFile()

const BODY = { agent_type: 'architect', prompt: 'Design it' }
const ask = (headers: Record<string, string>): Promise<Answered> =>
  board.post('/api/v1/sessions', BODY, headers)
const childOf = async (parent: string): Promise<string> =>
  (await ask({ 'drover-session': parent })).body.session_id
const show = async (id: string): Promise<any> => (await board.get(`/api/v1/sessions/${id}`)).body
const ids = (sessions: { session_id: string }[]): string[] => sessions.map(({ session_id }) => session_id)

describe('a session that an agent asks for', () => {
  test('is a child of the session of that agent, and of its tree', async () => {
    const root = await board.spawn()
    const child = await childOf(root)
    const grandchild = await childOf(child)

    expect((await show(child)).session).toMatchObject({ created_by: root })
    const { children, tree } = await show(root)
    expect(ids(children)).toEqual([child])
    expect(children[0]).toMatchObject({ agent_type: 'architect', status: 'queued', created_by: root })
    expect(tree).toMatchObject({ root_session_id: root, sessions: 3, cost_usd: 0, estimated: false })
    expect(ids(tree.members)).toEqual([root, child, grandchild])
    expect((await show(grandchild)).tree).toEqual(tree)

    const { body } = await board.get('/api/v1/cost?by=tree')
    expect(body.rows).toContainEqual(expect.objectContaining({ key: root, sessions: 3 }))
  })

  test('stays where it was first, when it is asked for again', async () => {
    const [one, two] = [await board.spawn(), await board.spawn()]
    const headers = { 'idempotency-key': 'one-parent' }
    const first = await ask({ ...headers, 'drover-session': one })
    const again = await ask({ ...headers, 'drover-session': two })
    expect(again).toMatchObject({ status: 200, body: { session_id: first.body.session_id } })
    expect((await show(first.body.session_id)).session.created_by).toBe(one)
  })

  test.each(['me', '', newSessionId().toUpperCase()])(
    'is refused with a parent that is no id: "%s"',
    async (id) => {
      const { status, body } = await ask({ 'drover-session': id })
      expect({ status, body }).toMatchObject({
        status: 400,
        body: { error: 'invalid_request', issues: [{ path: 'Drover-Session' }] },
      })
    },
  )

  test('is refused with a parent that nobody knows', async () => {
    const { status, body } = await ask({ 'drover-session': newSessionId() })
    expect({ status, body }).toMatchObject({ status: 400, body: { issues: [{ path: 'Drover-Session' }] } })
    expect(body.message).toContain('--created-by none')
  })
})

test('the TypeScript clients name the parent', async () => {
  const root = await board.spawn()
  const client = createHttpClient({ url: board.url })
  const { session_id: byHttp } = await client.spawn(BODY, { createdBy: root })
  const producer = createProducer({ redisUrl: redis.url, namespace: board.namespace })
  try {
    const spawn = (createdBy: string) =>
      producer.spawn({ agentType: 'architect', prompt: 'x', workspaceDir: WORKSPACE, createdBy })
    await expect(spawn('me')).rejects.toMatchObject({ code: 'invalid_request' })
    const { sessionId: byRedis } = await spawn(root)
    const { children } = await until(async () => {
      const document = await show(root)
      return document.children.length === 2 ? document : null
    })
    expect(ids(children)).toEqual([byHttp, byRedis])
  } finally {
    await producer.close()
  }
})

test('what an agent asks for beside sessions is recorded as its own', async () => {
  const agent = await board.spawn()
  const client = createHttpClient({ url: board.url, userAgent: 'drover-cli/0', asSession: agent })
  const victim = await board.spawn()
  await client.kill(victim)
  const { session_id: again } = await client.restart(victim)
  await client.addTasks([
    { task_id: 'TASK-OF-AGENT', agent_type: 'architect', prompt: 'x', workspace_dir: WORKSPACE },
  ])

  const by = { via: 'cli', name: agent }
  const actorIn = async (id: string, type: string): Promise<unknown> => {
    const { events } = (await board.get(`/api/v1/sessions/${id}/events`)).body
    return events.find((event: { type: string }) => event.type === type)?.payload.actor
  }
  expect(await actorIn(victim, 'drover.session.cancel_requested')).toEqual(by)
  expect(await actorIn(again, 'drover.session.accepted')).toEqual(by)
  const { events } = (await board.get('/api/v1/events?type=drover.task.pending')).body
  expect(events[0].payload).toMatchObject({ task_id: 'TASK-OF-AGENT', actor: by })

  const refused = await board.post(`/api/v1/sessions/${again}/kill`, {}, { 'drover-session': 'me' })
  expect(refused).toMatchObject({ status: 400, body: { issues: [{ path: 'Drover-Session' }] } })
})

test('children are counted in one step: of many asked for at once so many are accepted as may be, and none is half there', async () => {
  const root = await board.spawn()
  const answers = await Promise.all(
    Array.from({ length: 15 }, (_, index) =>
      ask({ 'drover-session': root, 'idempotency-key': `${root}-${index}` }),
    ),
  )
  const refused = answers.filter(({ status }) => status === 409)
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(10)
  expect(refused).toHaveLength(5)
  expect(refused[0]?.body).toMatchObject({ error: 'lineage_limit', limit: 'max_children', max_children: 10 })
  // What was accepted is answered again; what was refused stays refused.
  expect((await ask({ 'drover-session': root, 'idempotency-key': `${root}-0` })).status).toBe(
    answers[0]?.status === 202 ? 200 : 409,
  )
  expect((await show(root)).children).toHaveLength(10)
})

describe('a task that an agent adds', () => {
  const task = (task_id: string) => ({ task_id, agent_type: 'architect', prompt: 'x' })
  const add = (parent: string, ...names: string[]): Promise<Answered> =>
    board.post('/api/v1/tasks', { tasks: names.map(task) }, { 'drover-session': parent })
  const sessionOf = async (taskId: string): Promise<string> =>
    await until(async () => (await board.get(`/api/v1/tasks/${taskId}`)).body.task.session_id)

  test('gets a session of its tree, whoever asks for that', async () => {
    const root = await board.spawn()
    expect((await add(root, 'T-TREE')).body.tasks[0]).toMatchObject({ created_by: root })
    const session = await sessionOf('T-TREE')
    expect((await show(session)).session.created_by).toBe(root)
    const asked = await board.post('/api/v1/sessions', { agent_type: 'architect', task_id: 'T-TREE' })
    expect(asked.body.session_id).toBe(session)
    const { children, tree } = await show(root)
    expect(ids(children)).toEqual([session])
    expect(tree).toMatchObject({ root_session_id: root, sessions: 2 })
  })

  test('counts as a session that it asks for: all of a file or none, again after it was dispatched', async () => {
    const root = await board.spawn()
    const names = (count: number, from: string): string[] =>
      Array.from({ length: count }, (_, index) => `${from}-${index}`)
    for (let count = 0; count < 4; count++) await childOf(root)
    expect((await add(root, ...names(4, 'T-FIRST'))).status).toBe(202)
    const tooMany = await add(root, ...names(3, 'T-MORE'))
    expect(tooMany).toMatchObject({
      status: 409,
      body: { error: 'lineage_limit', limit: 'max_children', session_id: root },
    })
    expect((await board.get('/api/v1/tasks/T-MORE-0')).status).toBe(404)
    await Promise.all(names(4, 'T-FIRST').map(sessionOf))
    // Those that are there already are no more.
    expect((await add(root, ...names(4, 'T-FIRST'), ...names(2, 'T-LAST'))).body.added).toBe(2)
    expect((await ask({ 'drover-session': root })).body.error).toBe('lineage_limit')
  })

  test('is one child, also when it is added twice before the ledger has it', async () => {
    const root = await board.spawn()
    const names = Array.from({ length: 6 }, (_, index) => `T-TWICE-${index}`)
    const answers = await Promise.all([add(root, ...names), add(root, ...names)])
    expect(answers.map(({ body }) => body.error)).toEqual([undefined, undefined])
    for (let count = 0; count < 4; count++) await childOf(root)
    expect((await ask({ 'drover-session': root })).body.error).toBe('lineage_limit')
  })

  test('may not be too deep', async () => {
    const third = await childOf(await childOf(await childOf(await board.spawn())))
    expect(await add(third, 'T-DEEP')).toMatchObject({
      status: 409,
      body: { error: 'lineage_limit', limit: 'max_depth' },
    })
  })

  test('is nobody’s child where the session is of another Drover', async () => {
    const { status, body } = await add(newSessionId(), 'T-OTHER')
    expect({ status, body }).toMatchObject({ status: 202, body: { tasks: [{ created_by: null }] } })
  })
})
