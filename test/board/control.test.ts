import { expect, test } from 'vitest'
import { createSessionRequests } from '../../src/queue/session-requests.ts'
import { until } from '../support/until.ts'
import type { Answered } from './open-board.ts'
import { failed, playSession, type PlayedAgent } from './play-session.ts'
import { boardOfFile } from './board-of-file.ts'

const { board } = await boardOfFile()

const kill = (id: string, body: object = {}): Promise<Answered> =>
  board.post(`/api/v1/sessions/${id}/kill`, body)
const restart = (id: string, body: object = {}): Promise<Answered> =>
  board.post(`/api/v1/sessions/${id}/restart`, body)
const session = async (id: string): Promise<any> => (await board.get(`/api/v1/sessions/${id}`)).body.session

/** A session that has ended, recorded. */
async function endedSession(
  more: Parameters<PlayedAgent['end']>[0],
  body: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const id = await board.spawn(body)
  await (await playSession(board, id)).end(more)
  await until(async () => (await session(id)).completed_at !== null)
  return id
}

/** What a pod does with a kill: it ends the agent, then the session. */
async function obeyKill(id: string, agent: PlayedAgent): Promise<void> {
  const requests = createSessionRequests(board.redis, board.keys)
  await until(async () => (await requests.read(id)).cancel !== null)
  await agent.end({ status: 'cancelled', failure_reason: 'cancelled', message: 'Cancelled.', output: null })
}

test('kills a queued session; the ledger has it when it is answered', async () => {
  const id = await board.spawn()
  const { status, body } = await kill(id, { reason: 'not needed' })
  expect(status).toBe(200)
  expect(body).toEqual({
    success: true,
    agent_id: null,
    session_id: id,
    action: 'graceful_kill',
    pid: null,
    kill_signal: null,
    task_id: null,
    killed_at: expect.any(String) as string,
    grace_period_seconds: 10,
    killed_gracefully: true,
    processes_killed: 0,
  })
  expect(await session(id)).toMatchObject({
    status: 'cancelled',
    failure_reason: 'cancelled',
    error_message: 'Cancelled: not needed.',
  })
  expect((await kill(id)).body).toEqual(body)
})

test('a killed session takes its task with it', async () => {
  const added = await board.post('/api/v1/tasks', {
    tasks: [{ task_id: 'KILL-1', agent_type: 'architect', prompt: 'Do it' }],
  })
  expect(added.status).toBe(202)
  const id = await until(async () => (await board.get('/api/v1/tasks/KILL-1')).body.task.session_id as string)
  expect((await kill(id)).body).toMatchObject({ success: true, task_id: 'KILL-1' })
  expect((await board.get('/api/v1/tasks/KILL-1')).body.task).toMatchObject({ status: 'cancelled' })
})

test('kills by the id of a living agent; a pod does it, and the actor is recorded', async () => {
  const id = await board.spawn()
  const agent = await playSession(board, id)
  await until(async () => (await board.get(`/api/v1/agents/${agent.agent.agentId}`)).status === 200)
  const obeying = obeyKill(id, agent)
  const { status, body } = await kill(agent.agent.agentId, { grace_seconds: 5, force: true })
  await obeying
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { agent_id: agent.agent.agentId, session_id: id, action: 'force_kill', grace_period_seconds: 0 },
  })
  const { events } = (await board.get(`/api/v1/sessions/${id}/events?limit=1000`)).body
  expect(events.find((event: any) => event.type === 'drover.session.cancel_requested').payload).toEqual({
    actor: { via: 'http', name: null },
    reason: 'drover kill',
    grace_seconds: 5,
    force: true,
  })
  // The agent is gone, and its session too.
  expect((await kill(agent.agent.agentId)).body).toMatchObject({ success: true, session_id: id })
})

test('refuses what cannot be killed with what is known', async () => {
  const done = await endedSession({})
  expect(await kill(done)).toMatchObject({
    status: 409,
    body: { error: 'session_ended', session_id: done, status: 'completed' },
  })
  const near = `${done.slice(0, -1)}${done.endsWith('0') ? '1' : '0'}`
  expect(await kill(near)).toMatchObject({ status: 404, body: { error: 'session_not_found' } })
  expect((await kill(near)).body.message).toContain(`Did you mean "${done}"?`)
  expect(await kill('architect-20260101-999')).toMatchObject({
    status: 404,
    body: { error: 'agent_not_found' },
  })
  const bad = await kill(done, { grace_seconds: -1, force: 'yes', gracefully: true })
  expect(bad.status).toBe(400)
  expect(bad.body.issues.map((issue: any) => issue.path).toSorted()).toEqual([
    'force',
    'grace_seconds',
    'gracefully',
  ])
})

test('an agent that was followed by another is no longer to be killed', async () => {
  const id = await board.spawn()
  const first = await playSession(board, id)
  await board.store.change(first.agent, { to: 'restarting', events: [] })
  const second = await playSession(board, id)
  expect(await kill(first.agent.agentId)).toMatchObject({
    status: 500,
    body: { error: 'process_not_found', session_id: id, agent_id: first.agent.agentId },
  })
  await second.end()
})

test('kill --stalled: those without a beat or whose pod says so, and no others', async () => {
  const play = async (agentType: string) => {
    const id = await board.spawn({ agent_type: agentType })
    const agent = await playSession(board, id)
    const { agentId } = agent.agent
    await until(async () => (await board.get(`/api/v1/agents/${agentId}`)).body.agent?.status === 'running')
    return { id, agent, hash: board.keys.session(id) }
  }
  const silent = await play('architect')
  await board.redis.hset(silent.hash, { beat_at: Date.now() - 120_000, health: 'healthy' })
  await board.redis.del(board.keys.lease('architect', 0))
  const healthy = await play('code_developer')
  await board.redis.hset(healthy.hash, { beat_at: Date.now(), health: 'healthy' })

  const obeying = obeyKill(silent.id, silent.agent)
  const { status, body } = await board.post('/api/v1/agents/kill-stalled', {})
  await obeying
  expect({ status, body }).toMatchObject({
    status: 200,
    body: {
      success: true,
      action: 'kill_stalled',
      agents_killed: 1,
      killed_agents: [{ agent_id: silent.agent.agent.agentId, session_id: silent.id }],
      not_killed: [],
    },
  })
  expect((await session(healthy.id)).status).toBe('running')
  await healthy.agent.end()
})

test('restarts an ended session as a new one that says so, once', async () => {
  const old = await endedSession(failed('crashed', 'It crashed.'), { timeout_seconds: 77 })
  const { status, body } = await restart(old)
  expect(status).toBe(202)
  expect(body).toMatchObject({
    success: true,
    action: 'restart',
    session_id: expect.not.stringContaining(old) as string,
    restart_of: old,
    task_id: null,
    retry_count: 1,
    backoff_seconds: 0,
    max_retries: 3,
  })
  expect(await session(body.session_id)).toMatchObject({
    restart_of: old,
    status: 'queued',
    task_description: 'Design it',
    timeout_seconds: 77,
  })
  expect((await restart(old)).body).toMatchObject({ session_id: body.session_id, restart_of: old })

  await (await playSession(board, body.session_id)).end(failed('crashed', 'Again.'))
  expect(await restart(old)).toMatchObject({
    status: 409,
    body: { error: 'session_ended', session_id: body.session_id },
  })
  const third = await restart(body.session_id)
  expect(third.body).toMatchObject({ restart_of: body.session_id, retry_count: 2 })
  await kill(third.body.session_id)
})

test('also a session that Redis has forgotten', async () => {
  const old = await endedSession(failed('timeout', 'Too long.'))
  await board.redis.del(board.keys.session(old))
  const { status, body } = await restart(old)
  expect({ status, body }).toMatchObject({ status: 202, body: { restart_of: old } })
  expect((await kill(old)).body).toMatchObject({ error: 'session_ended', status: 'failed' })
  await kill(body.session_id)
})

test('a task begins its next run with the restart', async () => {
  await board.post('/api/v1/tasks', {
    tasks: [{ task_id: 'AGAIN-1', agent_type: 'architect', prompt: 'Do it' }],
  })
  const task = async (): Promise<any> => (await board.get('/api/v1/tasks/AGAIN-1')).body.task
  const old = await until(async () => (await task()).session_id as string)
  await (await playSession(board, old)).end(failed('stalled', 'It stood still.'))
  await until(async () => (await task()).status === 'failed')

  const { body } = await restart(old)
  expect(body).toMatchObject({ success: true, task_id: 'AGAIN-1', restart_of: old })
  expect(await task()).toMatchObject({ status: 'spawned', session_id: body.session_id, run: 1 })
  expect((await restart(old)).body).toMatchObject({ session_id: body.session_id })
  await (await playSession(board, body.session_id)).end()
  await until(async () => (await task()).status === 'completed')
})

test('refuses what a restart does not mend, unless it is forced', async () => {
  const old = await endedSession(failed('auth_error', 'No credentials.'))
  expect(await restart(old)).toMatchObject({
    status: 409,
    body: { error: 'non_retryable_error', failure_reason: 'auth_error' },
  })
  const { status, body } = await restart(old, { force: true })
  expect({ status, body }).toMatchObject({ status: 202, body: { restart_of: old } })
  await kill(body.session_id)
  const done = await endedSession({})
  expect((await restart(done)).body).toMatchObject({ error: 'session_ended', status: 'completed' })
})

test('restart of what waits in its queue says so', async () => {
  const id = await board.spawn()
  const { status, body } = await restart(id)
  expect({ status, body }).toMatchObject({ status: 200, body: { session_id: id, restart_of: null } })
  expect(body.message).toContain('waits for its turn')
  await kill(id)
})

test('restart --all-failed: what may be mended is restarted once, the rest is listed with the reason', async () => {
  const since = new Date().toISOString()
  const crashed = await endedSession(failed('crashed', 'It crashed.'))
  const refused = await endedSession(failed('refused', 'No.'))
  let worn = await endedSession(failed('stalled', 'It stood still.'))
  for (let n = 0; n < 3; n++) {
    worn = (await restart(worn)).body.session_id as string
    await (await playSession(board, worn)).end(failed('stalled', 'Again.'))
    await until(async () => (await session(worn)).completed_at !== null)
  }
  await endedSession({})

  const { status, body } = await board.post('/api/v1/sessions/restart-failed', { since })
  expect(status).toBe(200)
  expect(body).toMatchObject({ success: true, action: 'restart_all_failed', agents_restarted: 1 })
  expect(body.restarted.map((one: any) => one.restart_of)).toEqual([crashed])
  const reasons = new Map(body.skipped.map((one: any) => [one.session_id, one.error]))
  expect(reasons).toEqual(
    new Map([
      [refused, 'non_retryable_error'],
      [worn, 'max_retries_exceeded'],
    ]),
  )
  // Those that were restarted are left alone the second time.
  const again = await board.post('/api/v1/sessions/restart-failed', { since })
  expect(again.body).toMatchObject({ agents_restarted: 0 })
  expect(again.body.skipped).toHaveLength(2)
  // By its id a person may go on.
  expect((await restart(worn)).body).toMatchObject({ success: true, retry_count: 4 })
})

test('a time that is none is refused', async () => {
  const { status, body } = await board.post('/api/v1/sessions/restart-failed', { since: 'yesterday-ish' })
  expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_request' })
})
