/** Prompts of templates, over HTTP and straight at Redis. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProducer, type Producer } from '../../src/index.ts'
import { sessionIdOfTask } from '../../src/core/ids.ts'
import { createAgentTypeRegistry } from '../../src/queue/agent-types.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, WORKSPACE, type Answered, type TestBoard } from './open-board.ts'
import { playSession } from './play-session.ts'

let redis: TestRedis
let board: TestBoard
let producer: Producer
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url, {
    templates: {
      fix: 'Fix {{ issue }} in {{ workspace_dir }}.{% if task %} Note: {{ task }}{% endif %}',
      plan: '{{ agent_type }} plans {{ task_id }}, priority {{ priority_number }}: {{ task }}',
    },
  })
  producer = createProducer({ redisUrl: redis.url, namespace: board.namespace })
})
afterAll(async () => {
  await producer.close()
  await board.stop()
  await redis.stop()
})

const spawn = (body: object, key?: string): Promise<Answered> =>
  board.post(
    '/api/v1/sessions',
    { agent_type: 'architect', ...body },
    key === undefined ? {} : { 'idempotency-key': key },
  )
const accepted = async (id: string): Promise<any> =>
  (await board.get(`/api/v1/sessions/${id}/events`)).body.events[0].payload
const issues = (answer: Answered): string[] =>
  answer.body.issues.map(({ path, message }: any) => `${path} ${message}`)

test('the prompt is made where the request is accepted, and recorded with what it was made of', async () => {
  const { body } = await spawn({
    template: 'fix',
    vars: { issue: '$(rm -rf /) {{ x }}' },
    prompt: 'Be quick',
  })
  const prompt = `Fix $(rm -rf /) {{ x }} in ${WORKSPACE}. Note: Be quick`
  const vars = { issue: '$(rm -rf /) {{ x }}', task: 'Be quick' }
  expect((await accepted(body.session_id)).request).toMatchObject({ prompt, template: 'fix', vars })
  const { session } = (await board.get(`/api/v1/sessions/${body.session_id}`)).body
  expect(session).toMatchObject({ task_description: prompt, template: 'fix', vars })
})

test.each([
  [
    { template: 'fixx', vars: { issue: 'x' } },
    ['template architect has no template "fixx". Did you mean "fix"?'],
  ],
  [
    { template: 'fix', vars: { isue: 'x', workspace_dir: '/other', priority_number: 3 } },
    [
      'vars.isue is no variable of the template fix; did you mean "issue"?',
      `vars.workspace_dir is ${WORKSPACE} here: leave it out`,
      'vars.priority_number is no variable of the template fix (it has: issue, workspace_dir, task)',
      'vars.issue is required by the template fix',
    ],
  ],
  [
    { template: 'plan' },
    [
      'vars.task_id is required by the template plan',
      'vars.priority_number is required by the template plan',
      'prompt is required: it is {{task}} of the template plan',
    ],
  ],
  [
    { template: 'fix', vars: { issue: 'x', task: 'a' }, prompt: 'b' },
    ['vars.task is the prompt, which is given too: keep one of them'],
  ],
  [
    { template: 'Fix!', vars: { 'Issue-1': 'x', b: [] } },
    [
      'template must be the name of a template, such as "bug_fix"',
      'vars.Issue-1 has a name that must be a name such as "issue" (a-z, 0-9 and _, at most 64)',
      'vars.b must be text or a number',
    ],
  ],
  [{ prompt: 'x', vars: { a: 1 } }, ['vars are of a template: name one in "template"']],
])('all that is wrong with %j is said at once', async (body, problems) => {
  const answer = await spawn(body)
  expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
  expect(issues(answer).toSorted()).toEqual(problems.toSorted())
})

test('a repeated key is the same request, also when the template has changed since', async () => {
  const first = await spawn({ template: 'fix', vars: { issue: 'it' } }, 'k')
  const types = createAgentTypeRegistry(board.redis, board.keys)
  const architect = await types.current('architect')
  const [fix, plan] = architect.templates ?? []
  if (fix === undefined || plan === undefined) throw new Error('no templates')
  await types.announce([{ ...architect, templates: [{ ...fix, text: 'Repair {{ issue }}' }, plan] }])
  const again = await spawn({ template: 'fix', vars: { issue: 'it' } }, 'k')
  expect(again).toMatchObject({ status: 200, body: { session_id: first.body.session_id, repeated: true } })
  const other = await spawn({ template: 'fix', vars: { issue: 'another' } }, 'k')
  expect(other).toMatchObject({ status: 409, body: { error: 'idempotency_conflict' } })
  const fresh = await spawn({ template: 'fix', vars: { issue: 'it' } })
  expect((await accepted(fresh.body.session_id)).request.prompt).toBe('Repair it')
  await types.announce([architect])
})

test('of tasks: rendered when they are added, and given to the session of each run', async () => {
  const task = {
    task_id: 'P-1',
    agent_type: 'architect',
    template: 'plan',
    prompt: 'Mind the gap',
    priority_number: 31,
  }
  const added = await board.post('/api/v1/tasks', { tasks: [task] })
  const prompt = 'architect plans P-1, priority 31: Mind the gap'
  expect(added.body.tasks[0]).toMatchObject({
    prompt,
    template: 'plan',
    vars: { task: 'Mind the gap' },
    priority: 31,
  })
  expect((await board.post('/api/v1/tasks', { tasks: [task] })).body.added).toBe(0)
  const changed = await board.post('/api/v1/tasks', { tasks: [{ ...task, prompt: 'Mind the step' }] })
  expect(changed.body.error).toBe('idempotency_conflict')

  const id = sessionIdOfTask(board.namespace, 'P-1', 0)
  await until(async () => (await board.get(`/api/v1/sessions/${id}`)).status === 200)
  expect((await accepted(id)).request).toMatchObject({ prompt, template: 'plan', priority: 31 })
  await board.post('/api/v1/tasks/P-1/cancel', {})
  await board.post('/api/v1/tasks/P-1/retry', {})
  const next = sessionIdOfTask(board.namespace, 'P-1', 1)
  await until(async () => (await board.get(`/api/v1/sessions/${next}`)).status === 200)
  expect((await accepted(next)).request).toMatchObject({ prompt, template: 'plan' })
})

test('of a file of tasks, all problems are said at once and nothing is added', async () => {
  const answer = await board.post('/api/v1/tasks', {
    tasks: [
      { task_id: 'X-1', agent_type: 'architect', template: 'fix' },
      { task_id: 'X-2', agent_type: 'architect', prompt: 'x', vars: { a: 'b' } },
      { task_id: 'X-3', agent_type: 'code_developer', template: 'nope', prompt: 'x' },
      { task_id: 'X-4', agent_type: 'architect', prompt: 'fine' },
    ],
  })
  expect(issues(answer)).toEqual([
    'tasks.0.vars.issue is required by the template fix',
    'tasks.1.vars are of a template: name one in "template"',
    expect.stringContaining('tasks.2.template code_developer has no template "nope".'),
  ])
  expect((await board.get('/api/v1/tasks?q=X-')).body.tasks).toEqual([])
})

test("a session with a task takes its task's prompt as {{task}}", async () => {
  await board.post('/api/v1/tasks', {
    tasks: [
      { task_id: 'Q-0', agent_type: 'architect', prompt: 'First' },
      { task_id: 'Q-1', agent_type: 'architect', prompt: 'Own', priority_number: 5, depends_on: ['Q-0'] },
    ],
  })
  const { body } = await spawn({ task_id: 'Q-1', template: 'plan' })
  expect((await accepted(body.session_id)).request.prompt).toBe('architect plans Q-1, priority 5: Own')
  expect((await board.get('/api/v1/tasks/Q-1')).body.task).toMatchObject({ prompt: 'Own', template: null })
})

test('straight at Redis it is the same', async () => {
  const session = await producer.spawn({
    agentType: 'architect',
    workspaceDir: WORKSPACE,
    template: 'fix',
    vars: { issue: 'camelCase' },
  })
  await until(async () => (await board.get(`/api/v1/sessions/${session.sessionId}`)).status === 200)
  expect((await accepted(session.sessionId)).request).toMatchObject({
    prompt: `Fix camelCase in ${WORKSPACE}.`,
    vars: { issue: 'camelCase' },
  })
  await expect(
    producer.spawn({ agentType: 'architect', workspaceDir: WORKSPACE, template: 'fix' }),
  ).rejects.toMatchObject({ code: 'invalid_request' })
})

test('the roadmap: titles by import, status by its tasks', async () => {
  const priorities = [
    { priority_number: 90, title: 'Greetings', status: 'done' },
    { priority_number: 91, title: 'Farewells', status: 'idea' },
  ]
  const task = { task_id: 'M-1', agent_type: 'code_developer', prompt: 'x', priority_number: 90 }
  await board.post('/api/v1/tasks', { tasks: [task], priorities })
  const { DatabaseSync } = await import('node:sqlite')
  const db = new DatabaseSync(`${board.dataDir}/orchestrator.db`, { readOnly: true })
  const timeline = (): unknown[] =>
    db
      .prepare(
        `SELECT p.priority_number, p.title, p.roadmap_status, r.status, p.tasks
         FROM priority_timeline AS p JOIN roadmap_priority AS r USING (priority_number)`,
      )
      .all()
      .map((row) => Object.values(row))
  const id = sessionIdOfTask(board.namespace, 'M-1', 0)
  await until(async () => (await board.get(`/api/v1/sessions/${id}`)).status === 200)
  expect(timeline()).toEqual([
    [90, 'Greetings', 'in_progress', 'in_progress', 1],
    [91, 'Farewells', 'idea', 'idea', 0],
  ])
  await (await playSession(board, id)).end()
  await until(async () => (await board.get('/api/v1/tasks/M-1')).body.task.status === 'completed')
  expect(timeline()[0]).toEqual([90, 'Greetings', 'completed', 'completed', 1])
  db.close()
})
