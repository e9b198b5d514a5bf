import { expect, test } from 'vitest'
import { newSessionId, sessionIdOfKey, sessionIdOfTask } from '../../src/core/ids.ts'
import { parseEvent } from '../../src/core/envelope.ts'
import { until } from '../support/until.ts'
import { WORKSPACE, type Answered } from './open-board.ts'
import { failed, PID, playSession } from './play-session.ts'
import { boardOfFile } from './board-of-file.ts'

const { board } = await boardOfFile()

const ask = (body: object, headers: Record<string, string> = {}): Promise<Answered> =>
  board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'Design it', ...body }, headers)
const session = async (id: string): Promise<any> => (await board.get(`/api/v1/sessions/${id}`)).body.session
/** Who asked, as the ledger has it. */
const acceptedEvent = async (id: string): Promise<any> =>
  (await board.get(`/api/v1/sessions/${id}/events?limit=1`)).body.events[0].payload
const addTask = async (task_id: string, more: object = {}): Promise<void> => {
  const { status, body } = await board.post('/api/v1/tasks', {
    tasks: [{ task_id, agent_type: 'architect', prompt: `Do ${task_id}`, ...more }],
  })
  expect({ status, body }).toMatchObject({ status: 202, body: { durability: 'ledger' } })
}

test('accepts a session, and answers when the ledger has it', async () => {
  const { status, body } = await ask({ orchestrator_id: 'ci-7', priority: 5, timeout_seconds: 30 })

  expect(status).toBe(202)
  expect(body).toMatchObject({
    success: true,
    agent_type: 'architect',
    task_id: null,
    status: 'queued',
    durability: 'ledger',
    queue_position: 1,
    waiting_for: [],
    timeout_seconds: 30,
    repeated: false,
  })
  expect(await session(body.session_id)).toMatchObject({
    session_id: body.session_id,
    status: 'queued',
    task_description: 'Design it',
    workspace_dir: WORKSPACE,
    orchestrator_id: 'ci-7',
    priority: 5,
    timeout_seconds: 30,
  })
})

test('records through which door it came', async () => {
  const byHttp = await ask({})
  const byCli = await ask({}, { 'user-agent': 'drover-cli/1.0.0' })
  expect((await acceptedEvent(byHttp.body.session_id)).actor).toEqual({ via: 'http', name: null })
  expect((await acceptedEvent(byCli.body.session_id)).actor).toEqual({ via: 'cli', name: null })
})

test('says all that is wrong with a request at once, and accepts nothing', async () => {
  const before = (await board.get('/api/v1/sessions')).body.sessions.length
  const { status, body } = await ask({
    agent_type: 'Architect',
    prompt: ' ',
    workspace_dir: 'here',
    priority: 0,
    wait: 'forever',
    worktre: true,
  })

  expect(status).toBe(400)
  expect(body.error).toBe('invalid_request')
  expect(body.issues.map((issue: any) => issue.path).toSorted()).toEqual([
    'agent_type',
    'priority',
    'prompt',
    'wait',
    'workspace_dir',
    'worktre',
  ])
  expect((await board.get('/api/v1/sessions')).body.sessions).toHaveLength(before)
})

test.each([
  ['no prompt', { prompt: undefined }, 400, 'invalid_request', /prompt: is required/],
  ['an unknown type', { agent_type: 'architekt' }, 404, 'agent_type_not_found', /Did you mean "architect"\?/],
  ['an unknown task', { task_id: 'NOPE-1' }, 404, 'task_not_found', /NOPE-1/],
  ['an unknown dependency', { depends_on: ['NOPE-2'] }, 404, 'task_not_found', /NOPE-2/],
])('refuses %s', async (_what, body, status, error, message) => {
  const answer = await ask(body)
  expect({ status: answer.status, error: answer.body.error }).toEqual({ status, error })
  expect(answer.body.success).toBe(false)
  expect(answer.body.message).toMatch(message)
})

test.each([
  ['no JSON', '{"agent_type":', 'application/json', /could not be read/],
  ['no body', '', 'application/json', /empty body/],
  ['a form', 'agent_type=architect', 'application/x-www-form-urlencoded', /Content-Type: application\/json/],
  ['an array', '[]', 'application/json', /must be a JSON object/],
  ['a prototype', '{"__proto__":{"agent_type":"architect"}}', 'application/json', /could not be read/],
])('refuses %s with a sentence', async (_what, body, type, message) => {
  const response = await fetch(`${board.url}/api/v1/sessions`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({
    success: false,
    error: 'invalid_request',
    message: expect.stringMatching(message),
  })
})

test('takes a prompt of 10 MB however it is written, and refuses a longer one by a sentence', async () => {
  // A control character is six bytes in JSON.
  const longest = '\u0001'.repeat(10 * 1024 * 1024)
  expect((await ask({ prompt: longest })).status).toBe(202)

  const longer = await ask({ prompt: 'x'.repeat(11 * 1024 * 1024) })
  expect(longer.status).toBe(400)
  expect(longer.body.issues).toEqual([{ path: 'prompt', message: expect.stringContaining('at most 10 MB') }])
})

test('the same idempotency key is the same session; another request under it is a conflict', async () => {
  const key = { 'idempotency-key': 'nightly 2026-11-20' }
  const first = await ask({}, key)
  // Nulls say nothing: the request is the same.
  const again = await ask({ task_id: null, timeout_seconds: null }, key)
  expect(first.status).toBe(202)
  expect(again.status).toBe(200)
  expect(again.body).toMatchObject({
    session_id: first.body.session_id,
    repeated: true,
    timeout_seconds: 60,
    created_at: first.body.created_at,
  })
  expect(first.body.session_id).toBe(sessionIdOfKey(board.namespace, 'nightly 2026-11-20'))

  const other = await ask({ prompt: 'Something else' }, key)
  expect(other.status).toBe(409)
  expect(other.body).toMatchObject({ error: 'idempotency_conflict', session_id: first.body.session_id })
})

test('a repeat is answered from the ledger when Redis has long forgotten the session', async () => {
  const key = { 'idempotency-key': 'old' }
  const { body } = await ask({}, key)
  const played = await playSession(board, body.session_id)
  await played.end()
  await until(async () => (await session(body.session_id)).status === 'completed')
  await board.redis.del(board.keys.session(body.session_id))

  const again = await ask({}, key)
  expect(again).toMatchObject({
    status: 200,
    body: { status: 'completed', repeated: true, durability: 'ledger' },
  })
  // It did not begin anew.
  expect(await board.redis.exists(board.keys.session(body.session_id))).toBe(0)
  expect((await ask({ prompt: 'other' }, key)).body.error).toBe('idempotency_conflict')
  const waited = await ask({ wait: 'completed' }, key)
  expect(waited).toMatchObject({ status: 200, body: { success: true, output: 'The spec is written.' } })
})

test.each(['', ' ', 'a\tb', 'ä', 'x'.repeat(201)])('refuses the idempotency key %j', async (key) => {
  const answer = await ask({}, { 'idempotency-key': Buffer.from(key).toString('latin1') })
  expect(answer.status).toBe(400)
  expect(answer.body.issues[0].path).toBe('Idempotency-Key')
})

test('wait: started answers when the agent runs', async () => {
  const answering = ask({ wait: 'started', timeout_seconds: 90 }, { 'idempotency-key': 'started' })
  const id = sessionIdOfKey(board.namespace, 'started')
  await until(async () => (await session(id)) !== undefined)
  const { agent, end } = await playSession(board, id)

  const { status, body } = await answering
  expect(status).toBe(200)
  expect(body).toMatchObject({
    success: true,
    agent_id: agent.agentId,
    session_id: id,
    agent_type: 'architect',
    task_id: null,
    status: 'running',
    pid: PID,
    timeout_seconds: 90,
  })
  expect(Date.parse(body.expected_completion) - Date.parse(body.started_at)).toBe(90_000)
  await end()
})

test('wait: completed answers the whole result, also of a session that failed', async () => {
  const answering = ask({ wait: 'completed' }, { 'idempotency-key': 'failing' })
  const id = sessionIdOfKey(board.namespace, 'failing')
  await until(async () => (await session(id)) !== undefined)
  const played = await playSession(board, id)
  await played.end(failed('api_error', 'The API answered 500.'))

  expect(await answering).toMatchObject({
    status: 200,
    body: {
      success: false,
      error: 'session_failed',
      failure_reason: 'api_error',
      message: 'The API answered 500.',
      status: 'failed',
      session_id: id,
      cost: 0,
      usage: { input_tokens: 0 },
      timeout_seconds: 60,
    },
  })
})

test.each([
  ['spawn_failed', 500],
  ['startup_timeout', 504],
] as const)(
  'wait: started answers %s where no agent ever ran, with the end of stderr',
  async (reason, status) => {
    const answering = ask({ wait: 'started' }, { 'idempotency-key': reason })
    const id = sessionIdOfKey(board.namespace, reason)
    await until(async () => (await session(id)) !== undefined)
    const played = await playSession(board, id, { confirm: false })
    await played.end(failed(reason, 'It did not start.'))

    expect(await answering).toMatchObject({
      status,
      body: {
        success: false,
        error: reason,
        message: 'It did not start.',
        session_id: id,
        agent_id: played.agent.agentId,
        stderr: 'error: no such option',
      },
    })
  },
)

test('a client that goes away ends its wait and not the session', async () => {
  const gone = new AbortController()
  const waiting = fetch(`${board.url}/api/v1/sessions`, {
    method: 'POST',
    signal: gone.signal,
    headers: { 'content-type': 'application/json', 'idempotency-key': 'gone' },
    body: JSON.stringify({ agent_type: 'architect', prompt: 'Design it', wait: 'completed' }),
  })
  const id = sessionIdOfKey(board.namespace, 'gone')
  await until(async () => (await session(id)) !== undefined)
  gone.abort()
  await expect(waiting).rejects.toThrow(/aborted/)

  expect((await session(id)).status).toBe('queued')
  await (await playSession(board, id)).end()
  await until(async () => (await session(id)).status === 'completed')
})

test('a session of a task takes from it what the request leaves out', async () => {
  // It waits, so that nobody else gives it its session.
  await addTask('FIRST-1')
  await addTask('SECOND-1', {
    depends_on: ['FIRST-1'],
    prompt: 'The second',
    priority: 7,
    workspace_dir: '/srv/b',
  })
  const { status, body } = await ask({ task_id: 'SECOND-1', prompt: undefined })

  expect(status).toBe(202)
  expect(body).toMatchObject({
    task_id: 'SECOND-1',
    status: 'queued',
    waiting_for: ['FIRST-1'],
    queue_position: 0,
    session_id: sessionIdOfTask(board.namespace, 'SECOND-1', 0),
  })
  expect(await session(body.session_id)).toMatchObject({
    task_description: 'The second',
    priority: 7,
    workspace_dir: '/srv/b',
    waiting_for: ['FIRST-1'],
  })
  expect(await ask({ task_id: 'SECOND-1', prompt: undefined })).toMatchObject({
    status: 200,
    body: { repeated: true, session_id: body.session_id },
  })
  // It has no job before the other one is completed.
  const job = `${board.keys.queuePrefix}:architect:${body.session_id}`
  expect(await board.redis.exists(job)).toBe(0)

  await (await playSession(board, sessionIdOfTask(board.namespace, 'FIRST-1', 0))).end()
  await until(async () => (await board.redis.exists(job)) === 1)
  expect((await board.get('/api/v1/tasks/SECOND-1')).body.task).toMatchObject({
    status: 'spawned',
    waiting_for: [],
  })
})

test('a task has one type and one session at a time, and no second one once it runs', async () => {
  await addTask('ONCE-0')
  await addTask('ONCE-1', { depends_on: ['ONCE-0'] })
  const wrongType = await ask({ task_id: 'ONCE-1', agent_type: 'code_developer' })
  expect(wrongType.body).toMatchObject({ error: 'invalid_request', issues: [{ path: 'agent_type' }] })

  const key = { 'idempotency-key': 'once' }
  const { body } = await ask({ task_id: 'ONCE-1', timeout_seconds: 33 }, key)
  const other = await ask({ task_id: 'ONCE-1', timeout_seconds: 44 })
  expect(other).toMatchObject({
    status: 409,
    body: { error: 'idempotency_conflict', session_id: body.session_id },
  })

  await (await playSession(board, sessionIdOfTask(board.namespace, 'ONCE-0', 0))).end()
  const played = await playSession(board, body.session_id)
  await until(async () => (await board.get('/api/v1/tasks/ONCE-1')).body.task.status === 'running')
  const tooLate = await ask({ task_id: 'ONCE-1', timeout_seconds: 33 })
  expect(tooLate).toMatchObject({
    status: 409,
    body: {
      error: 'task_not_ready',
      status: 'running',
      message: expect.stringContaining('ONCE-1 is running'),
    },
  })
  // But whoever lost the answer gets it again.
  expect(await ask({ task_id: 'ONCE-1', timeout_seconds: 33 }, key)).toMatchObject({
    status: 200,
    body: { repeated: true, session_id: body.session_id, status: 'running' },
  })
  await played.end()
})

test('dependencies without a task make one', async () => {
  await addTask('BASE-1')
  const key = { 'idempotency-key': 'minted' }
  const { status, body } = await ask({ depends_on: ['BASE-1'], timeout_seconds: 12 }, key)
  expect(status).toBe(202)
  expect(body.task_id).toMatch(/^task-[0-9a-f]{12}$/)
  expect(body).toMatchObject({ waiting_for: ['BASE-1'], queue_position: 0, timeout_seconds: 12 })

  const { task } = (await board.get(`/api/v1/tasks/${body.task_id}`)).body
  expect(task).toMatchObject({
    agent_type: 'architect',
    prompt: 'Design it',
    status: 'pending',
    depends_on: ['BASE-1'],
    session_id: body.session_id,
  })
  expect((await ask({ depends_on: ['BASE-1'], timeout_seconds: 12 }, key)).body).toMatchObject({
    repeated: true,
    task_id: body.task_id,
  })
  expect((await ask({ depends_on: ['BASE-1'] })).body.task_id).not.toBe(body.task_id)
  // The key is taken, also for a request without dependencies.
  expect((await ask({}, key)).body.error).toBe('idempotency_conflict')

  const refused = await ask({ depends_on: ['BASE-1'], on_busy: 'fail' })
  expect(refused).toMatchObject({
    status: 409,
    body: { error: 'dependencies_incomplete', waiting_for: ['BASE-1'], task_id: null },
  })
})

test('a dependency that fails ends what waits for it, and says why', async () => {
  await addTask('DOOMED-1')
  const answering = ask({ depends_on: ['DOOMED-1'], wait: 'completed' }, { 'idempotency-key': 'doomed' })
  await until(async () =>
    (await board.get('/api/v1/tasks?q=task-')).body.tasks.some((t: any) => t.depends_on[0] === 'DOOMED-1'),
  )
  const played = await playSession(board, sessionIdOfTask(board.namespace, 'DOOMED-1', 0))
  await played.end(failed('agent_error', 'No.'))

  const { body } = await answering
  expect(body).toMatchObject({
    success: false,
    status: 'failed',
    message: expect.stringContaining('DOOMED-1'),
  })
  expect((await board.get(`/api/v1/tasks/${body.task_id}`)).body.task.status).toBe('blocked')
  // Also those that wait in turn.
  const further = await ask({ depends_on: [body.task_id], wait: 'completed' })
  expect(further.body.message).toContain(body.task_id)
})

test('a dependency that closes a circle is refused, with the way around', async () => {
  await addTask('RING-0')
  await addTask('RING-1', { depends_on: ['RING-0'] })
  await addTask('RING-2', { depends_on: ['RING-1'] })
  const answer = await ask({ task_id: 'RING-1', depends_on: ['RING-2'] })
  expect(answer).toMatchObject({
    status: 409,
    body: { error: 'dependency_cycle', cycle: ['RING-1', 'RING-2', 'RING-1'] },
  })
  expect((await ask({ task_id: 'RING-1', depends_on: ['RING-1'] })).body.cycle).toEqual(['RING-1', 'RING-1'])
})

test('on_busy: fail is refused while another session of the type is there', async () => {
  await ask({ agent_type: 'code_developer' })
  const refused = await ask({ agent_type: 'code_developer', on_busy: 'fail' })
  expect(refused).toMatchObject({
    status: 409,
    body: { error: 'singleton_violation', agent_type: 'code_developer' },
  })
})

test('lists are pages, newest first, and can be narrowed', async () => {
  const ids: string[] = []
  for (let n = 0; n < 5; n++) ids.push(await board.spawn({ prompt: `needle ${n}` }))
  // What is searched follows the ledger by a moment.
  await until(async () => (await board.get('/api/v1/sessions?q=needle')).body.sessions.length === 5)
  const seen: string[] = []
  let cursor = ''
  do {
    const { body } = await board.get(`/api/v1/sessions?q=needle&limit=2${cursor && `&cursor=${cursor}`}`)
    expect(body.sessions.length).toBeLessThanOrEqual(2)
    seen.push(...body.sessions.map((row: any) => row.session_id))
    cursor = body.next_cursor ?? ''
  } while (cursor !== '')
  expect(seen).toEqual(ids.toReversed())

  const queued = await board.get('/api/v1/sessions?status=queued&agent_type=architect&limit=200')
  expect(new Set(queued.body.sessions.map((row: any) => `${row.status} ${row.agent_type}`))).toEqual(
    new Set(['queued architect']),
  )
})

test.each([
  ['limit=0', 'limit'],
  ['limit=201', 'limit'],
  ['limit=', 'limit'],
  ['limit=1&limit=2', 'limit'],
  ['status=done', 'status'],
  ['cursor=abc', 'cursor'],
  ['since=yesterday', 'since'],
  ['typ=architect', 'typ'],
])('refuses the query %s', async (query, path) => {
  const answer = await board.get(`/api/v1/sessions?${query}`)
  expect(answer.status).toBe(400)
  expect(answer.body.issues[0].path).toBe(path)
})

test('a session that is not there is said so, with what may have been meant', async () => {
  const id = await board.spawn()
  const { agent, end } = await playSession(board, id)
  await until(async () => (await board.get(`/api/v1/sessions/${id}`)).body.agents.length === 1)

  const nearly = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`
  expect(await board.get(`/api/v1/sessions/${nearly}`)).toMatchObject({
    status: 404,
    body: { error: 'session_not_found', message: expect.stringContaining(`Did you mean "${id}"?`) },
  })
  const agentInstead = await board.get(`/api/v1/sessions/${agent.agentId}`)
  expect(agentInstead.body.message).toContain(`an agent of the session ${id}`)
  expect((await board.get(`/api/v1/sessions/${newSessionId()}/events`)).status).toBe(404)
  await end()
})

test('shows a session with its agents, and an agent', async () => {
  const id = await board.spawn()
  const { agent, end } = await playSession(board, id)
  await end()
  await until(async () => (await session(id)).status === 'completed')

  const { body } = await board.get(`/api/v1/sessions/${id}`)
  expect(body.session).toMatchObject({
    agent_id: agent.agentId,
    pid: PID,
    result: 'The spec is written.',
    success: true,
  })
  expect(body.agents).toMatchObject([
    { agent_id: agent.agentId, status: 'completed', exit_code: 0, pod_id: 'pod-1' },
  ])
  expect((await board.get(`/api/v1/agents/${agent.agentId}`)).body.agent.session_id).toBe(id)
  expect((await board.get('/api/v1/agents?status=completed')).body.agents[0].agent_id).toBe(agent.agentId)
  expect((await board.get('/api/v1/agents/architect-20260101-999')).body.error).toBe('agent_not_found')
})

test('agent types say how busy they are; cost is grouped', async () => {
  const { body } = await board.get('/api/v1/agent-types')
  expect(body.agent_types.map((type: any) => type.name)).toEqual(['architect', 'code_developer'])
  const one = (await board.get('/api/v1/agent-types/code_developer')).body.agent_type
  expect(one).toMatchObject({ name: 'code_developer', model: 'opus', timeout: 60, active: 0 })
  expect(one.waiting).toBeGreaterThan(0)
  expect((await board.get('/api/v1/agent-types/code_develper')).body).toMatchObject({
    error: 'agent_type_not_found',
    message: expect.stringContaining('"code_developer"'),
  })

  const cost = (await board.get('/api/v1/cost?by=agent_type')).body
  expect(cost).toMatchObject({ success: true, by: 'agent_type', total: { cost_usd: 0 } })
  expect((await board.get('/api/v1/cost?by=colour')).body.issues[0].path).toBe('by')
})

test('what was accepted by another door a moment ago is waited for', async () => {
  const id = newSessionId()
  const request = { agent_type: 'architect', prompt: 'Direct', workspace_dir: '/work' }
  await board.store.accept({
    sessionId: id,
    request,
    digest: 'd',
    createdAt: new Date().toISOString(),
    createdBy: null,
    priority: 1000,
    timeoutSeconds: 60,
    accepted: {
      digest: 'd',
      idempotency_key: null,
      created_by: null,
      restart_of: null,
      actor: { via: 'typescript', name: null },
    },
    events: [],
  })
  expect((await board.get(`/api/v1/sessions/${id}`)).body.session.status).toBe('queued')
  const { events } = (await board.get(`/api/v1/sessions/${id}/events`)).body
  expect(parseEvent(JSON.stringify(events[0])).type).toBe('drover.session.accepted')
})
