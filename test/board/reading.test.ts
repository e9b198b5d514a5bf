/** Reading over all sessions: events, search, filters, and how old an answer is. */
import Database from 'better-sqlite3'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'
import { playSession, says } from './play-session.ts'

let redis: TestRedis
let board: TestBoard
let sessionId: string
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url)
  sessionId = await board.spawn({ prompt: 'Find the zebra' })
  const played = await playSession(board, sessionId)
  await played.print(says('A zebra, at 1.0 m/s.'), says('Nothing else.'))
  await played.end()
  await until(
    async () => (await board.get(`/api/v1/sessions/${sessionId}`)).body.session.status === 'completed',
  )
})
afterAll(async () => {
  await board.stop()
  await redis.stop()
})

test('events of all sessions, as they were published, a page at a time', async () => {
  const first = await board.get(`/api/v1/events?session_id=${sessionId}&limit=3`)
  expect(first).toMatchObject({ status: 200, body: { success: true, stale_seconds: 0 } })
  expect(first.body.events.map((event: any) => event.type)).toEqual([
    'drover.session.ended',
    'drover.agent.closed',
    'drover.agent.exited',
  ])
  const next = await board.get(`/api/v1/events?session_id=${sessionId}&cursor=${first.body.next_cursor}`)
  expect(next.body.events.at(-1)).toMatchObject({ type: 'drover.session.accepted', seq: 1 })
  expect(next.body.next_cursor).toBeNull()
  const lines = await board.get(`/api/v1/events?type=claude&since=2020-01-01`)
  expect(lines.body.events).toHaveLength(2)
})

test('search finds what was said, a moment after it was recorded', async () => {
  const found = await until(async () => {
    const { body } = await board.get('/api/v1/search?q=ZEBRA')
    return body.hits.length === 2 && body
  })
  expect(found).toMatchObject({ success: true, next_cursor: null, pending_events: 0, stale_seconds: 0 })
  expect(found.hits[0]).toMatchObject({
    session_id: sessionId,
    type: 'claude.assistant',
    snippet: 'A zebra, at 1.0 m/s.',
    matches: [[2, 7]],
  })
  expect(found.hits[1]).toMatchObject({ type: 'drover.session.accepted', agent_id: null })
})

test.each([
  ['/api/v1/search', 'q'],
  ['/api/v1/search?q=%22%28', 'q'],
  ['/api/v1/search?q=a&q=b', 'q'],
  ['/api/v1/events?type=%25', 'type'],
  ['/api/v1/events?limit=0', 'limit'],
  ['/api/v1/events?until=x', 'until'],
  ['/api/v1/events?q=x', 'q'],
  ['/api/v1/sessions?status=queued,odd', 'status'],
  ['/api/v1/sessions?pod_id=x', 'pod_id'],
  ['/api/v1/agents?created_by=x', 'created_by'],
])('refuses %s', async (path, wrong) => {
  const { status, body } = await board.get(path)
  expect([status, body.error, body.issues[0].path]).toEqual([400, 'invalid_request', wrong])
})

test('all that is wrong with a list is said at once', async () => {
  const { body } = await board.get(
    '/api/v1/sessions?status=runing&since=x&limit=999&cursor=x&failure_reason=timout&odd=1',
  )
  expect(body.issues.map((issue: any) => issue.path).toSorted()).toEqual([
    'cursor',
    'failure_reason',
    'limit',
    'odd',
    'since',
    'status',
  ])
  expect(body.message).toContain('did you mean "running"?')
  expect(body.message).toContain('did you mean "timeout"?')
})

test('lists take several states, a range of times, and what they know beside', async () => {
  const open = await board.spawn({ orchestrator_id: 'nightly' })
  const idsOf = async (query: string): Promise<string[]> =>
    (await board.get(`/api/v1/sessions?${query}`)).body.sessions.map((row: any) => row.session_id)
  expect(await idsOf('status=queued,completed')).toEqual([open, sessionId])
  expect(await idsOf('orchestrator_id=nightly')).toEqual([open])
  expect(await idsOf('until=2020-01-01')).toEqual([])
  expect(await idsOf('failure_reason=timeout')).toEqual([])
  const agents = await board.get(`/api/v1/agents?session_id=${sessionId}&pod_id=pod-1`)
  expect(agents.body.agents).toHaveLength(1)
  expect((await board.get('/api/v1/agents?pod_id=pod-2')).body.agents).toEqual([])
})

test('while the file is locked the answers go on, and say how old they are', async () => {
  const before = (await board.get('/api/v1/sessions')).body
  expect(Date.now() - Date.parse(before.as_of)).toBeLessThan(5000)
  const other = new Database(join(board.dataDir, 'orchestrator.db'))
  other.exec('BEGIN IMMEDIATE')
  try {
    const { body } = await board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'Wait' })
    expect(body.durability).toBe('redis')
    const stale = await until(async () => {
      const answer = (await board.get('/api/v1/sessions?limit=200')).body
      return answer.stale_seconds >= 2 && answer
    })
    expect(stale.sessions.map((row: any) => row.session_id)).not.toContain(body.session_id)
    // Until just before the one that is not in it.
    expect(Math.abs(Date.parse(stale.as_of) - Date.parse(body.created_at))).toBeLessThan(1000)
    for (const path of [
      'agents',
      'tasks',
      'cost',
      'events',
      'search?q=zebra',
      'worktrees',
      `sessions/${sessionId}`,
      `sessions/${sessionId}/events`,
    ])
      expect((await board.get(`/api/v1/${path}`)).body).toMatchObject({
        success: true,
        as_of: stale.as_of,
        stale_seconds: expect.any(Number),
      })
  } finally {
    other.exec('ROLLBACK')
    other.close()
  }
  await until(async () => (await board.get('/api/v1/sessions')).body.stale_seconds === 0)
})
