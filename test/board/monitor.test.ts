import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { watchHealth } from '../../src/board/health-watch.ts'
import { createMonitor } from '../../src/board/monitor.ts'
import { monitorAnswerSchema } from '../../src/core/monitor.ts'
import { openLedgerReader } from '../../src/ledger/open.ts'
import { readBeats } from '../../src/queue/beats.ts'
import { lostAgentEvents } from '../../src/queue/session-end.ts'
import { until } from '../support/until.ts'
import { failed, PID, playSession, type PlayedAgent } from './play-session.ts'
import { boardOfFile } from './board-of-file.ts'

const { board } = await boardOfFile()

const monitor = async (query = ''): Promise<any> => (await board.get(`/api/v1/monitor${query}`)).body

/** An agent whose pod has written a beat, and which the ledger knows to run. */
async function beating(
  agentType: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<PlayedAgent> {
  const id = await board.spawn({ agent_type: agentType, ...more })
  const played = await playSession(board, id)
  const { agentId, epoch } = played.agent
  const leaseKey = board.keys.lease(agentType, 0)
  await board.redis.hset(board.keys.session(id), { lease_key: leaseKey, lease_token: 'test:1' })
  await board.store.renew(
    { sessionId: id, agentType, epoch },
    {
      leaseKey,
      token: 'test:1',
      ttlMs: 60_000,
      beat: { health: 'healthy', process_state: 'S', cpu_percent: 12.5, memory_mb: 301.2 },
    },
  )
  await until(async () => (await board.get(`/api/v1/agents/${agentId}`)).body.agent?.status === 'running')
  return played
}

test('nothing runs: an answer all the same', async () => {
  expect(await monitor()).toMatchObject({ success: true, agents_checked: 0, agents: [] })
})

test('a running agent with all that is known of it, and after its end by its id alone', async () => {
  await board.post('/api/v1/tasks', {
    tasks: [{ task_id: 'MON-1', agent_type: 'architect', prompt: 'Design it' }],
  })
  const played = await beating('architect', { task_id: 'MON-1' })
  const { agentId, sessionId } = played.agent
  await played.print({
    type: 'assistant',
    message: {
      id: 'm1',
      model: 'claude-opus-5-5',
      usage: { input_tokens: 200, output_tokens: 100 },
      content: [{ type: 'tool_use', id: 't1', name: 'Bash', input: { command: 'npm test' } }],
    },
  })
  await until(async () => (await monitor()).agents[0]?.doing === 'Bash npm test')

  const answer = await monitor()
  expect(monitorAnswerSchema.parse(answer)).toMatchObject({ agents_checked: 1 })
  expect(answer).toEqual({
    success: true,
    agents_checked: 1,
    agents_healthy: 1,
    agents_stalled: 0,
    agents_dead: 0,
    agents: [
      {
        agent_id: agentId,
        agent_type: 'architect',
        task_id: 'MON-1',
        session_id: sessionId,
        status: 'running',
        pid: PID,
        pod_id: 'pod-1',
        process_alive: true,
        cpu_percent: 12.5,
        memory_mb: 301.2,
        seconds_since_heartbeat: expect.any(Number) as number,
        uptime_seconds: expect.any(Number) as number,
        health_status: 'healthy',
        doing: 'Bash npm test',
        num_turns: 0,
        cost_usd: 0.0028,
        cost_estimated: true,
      },
    ],
    timestamp: expect.any(String) as string,
    as_of: expect.any(String) as string,
    stale_seconds: 0,
  })
  expect(answer.agents[0].seconds_since_heartbeat).toBeLessThan(30)

  await played.end()
  await until(async () => (await monitor()).agents_checked === 0)
  expect((await monitor(`?agent_id=${agentId}`)).agents).toMatchObject([
    {
      agent_id: agentId,
      status: 'completed',
      health_status: 'completed',
      process_alive: false,
      memory_mb: null,
    },
  ])
})

test('stalled without a beat, dead without a lease or a process; a failed one says so by its id', async () => {
  const played = await beating('code_developer')
  const { agentId, sessionId } = played.agent
  const hash = board.keys.session(sessionId)
  const health = async (): Promise<unknown[]> => {
    const { agents, agents_healthy, agents_stalled, agents_dead } = await monitor()
    return [agents[0].health_status, agents[0].process_alive, agents_healthy, agents_stalled, agents_dead]
  }
  await board.redis.hset(hash, { beat_at: Date.now() - 61_000 })
  expect(await health()).toEqual(['stalled', true, 0, 1, 0])
  await board.redis.hset(hash, { beat_at: Date.now(), process_state: 'Z' })
  expect(await health()).toEqual(['dead', false, 0, 0, 1])
  await board.redis.hset(hash, { process_state: 'S' })
  expect(await health()).toEqual(['healthy', true, 1, 0, 0])
  await board.redis.del(board.keys.lease('code_developer', 0))
  expect(await health()).toEqual(['dead', false, 0, 0, 1])

  await played.end(failed('crashed', 'It crashed.'))
  await until(async () => (await monitor()).agents_checked === 0)
  expect((await monitor(`?agent_id=${agentId}`)).agents[0].health_status).toBe('failed')
})

test('an agent that is not there, and a wrong query', async () => {
  expect(await board.get('/api/v1/monitor?agent_id=architect-20260101-009')).toMatchObject({
    status: 404,
    body: { error: 'agent_not_found', message: expect.stringContaining('Did you mean') as string },
  })
  expect(await board.get('/api/v1/monitor?agent=x')).toMatchObject({
    status: 400,
    body: { error: 'invalid_request', issues: [{ path: 'agent', message: 'unknown member' }] },
  })
})

test('what no pod can say is recorded, each change of health once', async () => {
  const played = await beating('architect')
  const { agentId, sessionId } = played.agent
  const hash = board.keys.session(sessionId)
  const path = join(board.dataDir, 'orchestrator.db')
  const ledger = openLedgerReader(path)
  const watch = watchHealth({
    monitor: createMonitor({
      ledger,
      beatsOf: (ids) => readBeats(board.redis, board.keys, ids),
      stallTimeoutMs: () => 60_000,
      viaRedis: (work) => work,
    }),
    ledger,
    store: board.store,
    recording: () => true,
    everyMs: 10,
    takeoverMs: 50,
    onError(error) {
      throw error
    },
  })
  const changes = (): string[] => {
    const db = new Database(path, { readonly: true })
    const rows = db
      .prepare<[string], string>(
        `SELECT event_type || ':' || health_status FROM agent_lifecycle_events
         WHERE agent_id = ? AND health_status IS NOT NULL ORDER BY seq`,
      )
      .pluck()
      .all(agentId)
    db.close()
    return rows
  }
  await board.redis.hset(hash, { beat_at: Date.now() - 61_000 })
  await until(() => changes().length === 2)
  await board.redis.hset(hash, { beat_at: Date.now() })
  await until(() => changes().length === 3)
  await board.redis.del(board.keys.lease('architect', 0))
  await until(() => changes().length === 4)
  // Whoever takes it over finds that it was said.
  const record = await board.store.read(sessionId)
  expect(lostAgentEvents(record ?? expect.fail()).map(({ type }) => type)).toEqual([
    'drover.agent.exited',
    'drover.agent.closed',
  ])
  await watch.stop()
  await played.end(failed('worker_lost', 'Lost.'))
  await until(() => changes().length === 5)
  expect(changes()).toEqual([
    'started:healthy',
    'health:stalled',
    'health:healthy',
    'health:dead',
    'exited:failed',
  ])
  ledger.close()
})
