/** Sessions that would wait for one another: `drover mcp` and `/mcp` as their agents have them, each a session's own. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createProducer } from '../../src/index.ts'
import { openBoard, WORKSPACE, type TestBoard } from '../board/open-board.ts'
import { playSession, type PlayedAgent } from '../board/play-session.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { connectMcp, type Called, type Door, type McpConnection } from './connect-mcp.ts'

let redis: TestRedis
let board: TestBoard
const agents: Agent[] = []
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url, { types: ['alpha', 'beta'] })
})
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.end()
})
afterAll(async () => {
  await board.stop()
  await redis.stop()
})

interface Agent {
  readonly id: string
  readonly mcp: McpConnection
  readonly end: PlayedAgent['end']
}

/** A session that runs, with the orchestrator's server as its agent has it. */
async function runs(sessionId: string, door: Door): Promise<Agent> {
  const played = await playSession(board, sessionId)
  const mcp = await connectMcp(door, board, {
    env: { DROVER_SESSION_ID: sessionId, DROVER_TOOLS: 'spawn_agent,spawn_agent_async,wait_session' },
    headers: { 'drover-session': sessionId },
  })
  let ended = false
  const agent = {
    id: sessionId,
    mcp,
    async end(more = {}) {
      if (ended) return
      ended = true
      await mcp.close()
      await played.end(more)
    },
  }
  agents.push(agent)
  return agent
}

/** An alpha that has asked for a beta without waiting; both run. */
async function pair(): Promise<{ alpha: Agent; beta: Agent }> {
  const alpha = await runs(await board.spawn({ agent_type: 'alpha' }), 'stdio')
  const { document } = await alpha.mcp.call('spawn_agent_async', asked('beta'))
  return { alpha, beta: await runs(document.session_id, 'HTTP') }
}

const asked = (agent_type: string) => ({ agent_type, task: 'Do it', workspace_dir: WORKSPACE })
const waiting = async (): Promise<readonly string[]> => await board.redis.zrange(board.keys.waits, '0', '-1')
const alphas = async (): Promise<any[]> =>
  (await board.get('/api/v1/sessions?agent_type=alpha&status=queued')).body.sessions

function expectRefused({ isError, document }: Called, chain: readonly string[]): void {
  expect({ isError, document }).toMatchObject({ isError: true, document: { error: 'self_deadlock' } })
  expect(document.chain.map(({ session_id }: { session_id: string }) => session_id)).toEqual(chain)
  expect(document.message).toContain('the only slot of alpha is held by sessions that wait')
}

test('who is waited for may not wait for a slot of who waits, until that one waits no more', async () => {
  const { alpha, beta } = await pair()
  const gone = new AbortController()
  const wait = alpha.mcp.call('wait_session', { session_id: beta.id }, gone.signal)
  wait.catch(() => {})
  await until(async () => (await waiting()).length === 1)

  expectRefused(await beta.mcp.call('spawn_agent', asked('alpha')), [alpha.id, beta.id])
  // Nothing was accepted; without waiting it may be asked for.
  expect(await alphas()).toEqual([])
  const { document } = await beta.mcp.call('spawn_agent_async', asked('alpha'))
  expectRefused(await beta.mcp.call('wait_session', { session_id: document.session_id }), [
    alpha.id,
    beta.id,
    document.session_id,
  ])

  gone.abort()
  await until(async () => (await waiting()).length === 0)
  const again = beta.mcp.call('wait_session', { session_id: document.session_id })
  await until(async () => (await waiting()).length === 1)
  await alpha.end()
  const next = await runs(document.session_id, 'HTTP')
  await next.end({ output: 'done' })
  expect((await again).document).toMatchObject({ success: true, output: 'done' })
})

test('who begins to wait later closes the ring, and is the one that is refused', async () => {
  const { alpha, beta } = await pair()
  const spawned = beta.mcp.call('spawn_agent', asked('alpha'))
  const [next] = await until(async () => {
    const found = await alphas()
    return found.length === 1 && (await waiting()).length === 1 ? found : null
  })
  expectRefused(await alpha.mcp.call('wait_session', { session_id: beta.id }), [
    alpha.id,
    beta.id,
    next.session_id,
  ])
  expectRefused(await alpha.mcp.call('wait_session', { session_id: next.session_id }), [
    alpha.id,
    next.session_id,
  ])
  // Over HTTP without MCP, and straight to Redis, the same holds.
  const posted = await board.post(
    '/api/v1/sessions',
    { agent_type: 'alpha', prompt: 'x', wait: 'completed' },
    { 'drover-session': alpha.id },
  )
  expect(posted).toMatchObject({ status: 409, body: { error: 'self_deadlock' } })
  const producer = createProducer({ redisUrl: redis.url, namespace: board.namespace })
  const direct = producer.spawn({
    agentType: 'alpha',
    prompt: 'x',
    workspaceDir: WORKSPACE,
    createdBy: alpha.id,
    wait: 'completed',
  })
  await expect(direct).rejects.toMatchObject({ code: 'self_deadlock' })
  await producer.close()

  await alpha.end()
  const played = await runs(next.session_id, 'HTTP')
  await played.end({ output: 'done' })
  expect((await spawned).document).toMatchObject({ success: true, output: 'done' })
})

test('who runs a task may not wait for what depends on it', async () => {
  const add = async (task_id: string, more: object): Promise<unknown> =>
    await board.post('/api/v1/tasks', { tasks: [{ task_id, prompt: 'x', ...more }] })
  const sessionOf = async (task: string): Promise<string | null> =>
    (await board.get(`/api/v1/tasks/${task}`)).body.task.session_id
  await add('FIRST', { agent_type: 'alpha' })
  await add('BETWEEN', { agent_type: 'alpha', depends_on: ['FIRST'] })
  await add('LAST', { agent_type: 'beta', depends_on: ['BETWEEN'] })
  const alpha = await runs(await until(async () => await sessionOf('FIRST')), 'stdio')
  const ofLast = { ...asked('beta'), task_id: 'LAST' }
  for (const { isError, document } of [
    await alpha.mcp.call('spawn_agent', ofLast),
    await alpha.mcp.call('wait_session', {
      session_id: (await alpha.mcp.call('spawn_agent_async', ofLast)).document.session_id,
    }),
  ]) {
    expect({ isError, document }).toMatchObject({ isError: true, document: { error: 'self_deadlock' } })
    expect(document.message).toContain('the last of them depends on the task of the first')
    expect(document.chain[0]).toMatchObject({ session_id: alpha.id })
  }
})
