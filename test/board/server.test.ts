import { createServer } from 'node:http'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createBoard } from '../../src/board/server.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, specsOf, type TestBoard } from './open-board.ts'
import { playSession } from './play-session.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const redis = await redisOfFile()
let dataDir: string
let opened: TestBoard[] = []
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'drover-board-'))
})
afterEach(async () => {
  await Promise.all(opened.map((board) => board.stop()))
  opened = []
  await rm(dataDir, { recursive: true, force: true })
})

async function open(...args: Parameters<typeof openBoard>): Promise<TestBoard> {
  const board = await openBoard(...args)
  opened.push(board)
  return board
}

/** The parts of a board that is expected not to start. */
function parts(host: string, port: number, redisUrl = redis.url) {
  const log = createLogger({ level: 'silent', name: 'board' })
  const config = {
    ...loadConfig({ cwd: dataDir, env: {} }).config,
    namespace: 'refused',
    dataDir,
    board: { host, port, tokens: [], allowedHosts: [] },
    workspace: { roots: ['/'] },
  }
  return { config, specs: specsOf(['architect']), redisUrl, log }
}

/** Connections of boards to this Redis. */
async function boardConnections({ redis }: TestBoard): Promise<number> {
  return String(await redis.call('CLIENT', 'LIST')).match(/name=drover-board/g)?.length ?? 0
}

const LIMIT = { timeoutMs: 20_000 }

test('says who it is, and that it is ready', async () => {
  const board = await open(redis.url)

  const health = await board.get('/healthz')
  expect(health.status).toBe(200)
  expect(health.body).toMatchObject({
    service: 'drover',
    status: 'ok',
    namespace: board.namespace,
    pid: process.pid,
    data_dir: board.dataDir,
  })
  expect(health.body.version).toMatch(/^\d+\.\d+\.\d+/)

  const ready = await until(async () => {
    const answer = await board.get('/readyz')
    return answer.body.checks.recorder.recording === true && answer
  })
  expect(ready.status).toBe(200)
  expect(ready.body.checks).toMatchObject({
    redis: { status: 'ok' },
    ledger: { status: 'ok' },
    recorder: { status: 'ok', lag_ms: 0 },
  })
})

test('listens on localhost too', async () => {
  const board = await createBoard({
    ...parts('localhost', 0),
    config: { ...parts('localhost', 0).config, namespace: 'local' },
  })
  try {
    expect(board.url).toBe(`http://localhost:${board.port}`)
    expect((await fetch(`${board.url}/healthz`)).status).toBe(200)
  } finally {
    await board.stop()
  }
})

test('a port that another board has is refused with its name, and nothing is left open', async () => {
  const board = await open(redis.url)
  const { port } = board.board

  await expect(createBoard(parts('127.0.0.1', port))).rejects.toMatchObject({
    code: 'port_in_use',
    exitCode: 3,
    details: { port, holder: { pid: process.pid, namespace: board.namespace } },
    message: expect.stringContaining(`Port ${port}`),
  })
  await until(async () => (await boardConnections(board)) === 3)
  // The same directory can be used at once: the ledger was closed.
  await open(redis.url, { dataDir })
})

test('a port that another program has is refused without a guess who it is', async () => {
  const other = createServer((_request, response) => response.end('hello'))
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  try {
    await expect(createBoard(parts('127.0.0.1', port))).rejects.toMatchObject({
      code: 'port_in_use',
      details: { holder: null },
      message: expect.stringContaining('another program'),
    })
  } finally {
    other.close()
  }
})

test.each(['0.0.0.0', '::', '192.168.1.10', 'example.org'])('refuses to listen on %s', async (host) => {
  await expect(createBoard(parts(host, 0))).rejects.toMatchObject({
    code: 'invalid_request',
    exitCode: 2,
    message: expect.stringContaining('127.0.0.1'),
  })
  expect(await readdir(dataDir)).toEqual([])
})

test('without Redis nothing starts, and the sentence names it without its password', async () => {
  const failure = createBoard(parts('127.0.0.1', 0, 'redis://:secret@127.0.0.1:1'))
  await expect(failure).rejects.toMatchObject({ code: 'redis_unavailable', exitCode: 3 })
  await expect(failure).rejects.not.toThrow(/secret/)
  expect(await readdir(dataDir)).toEqual([])
})

test('a ledger that is no database is named, and left as it is', async () => {
  await writeFile(
    join(dataDir, 'orchestrator.db'),
    'not a database, but long enough to look like something else',
  )
  await expect(createBoard(parts('127.0.0.1', 0))).rejects.toMatchObject({
    code: 'ledger_unavailable',
    message: expect.stringContaining('orchestrator.db'),
  })
})

test('stops completely, also twice', async () => {
  const board = await open(redis.url)
  const id = await board.spawn()
  const stream = await fetch(`${board.url}/api/v1/sessions/${id}/events`, {
    headers: { accept: 'text/event-stream' },
  })
  const waiting = board.post('/api/v1/sessions', {
    agent_type: 'architect',
    prompt: 'wait',
    wait: 'completed',
  })
  await until(async () => (await board.get('/api/v1/sessions')).body.sessions.length === 2)

  await Promise.all([board.board.stop(), board.board.stop()])

  // Streams end without an end of the session, and a wait is answered with what is true.
  expect(await stream.text()).not.toContain('event: end')
  expect((await waiting).body).toMatchObject({ success: true, status: 'queued', durability: 'ledger' })
  await expect(fetch(`${board.url}/healthz`)).rejects.toThrow(/fetch failed/)
  expect(await boardConnections(board)).toBe(0)
})

test('stops also while Redis is away', async () => {
  const own = await startRedis()
  const board = await open(own.url)
  await until(() => board.board.recording)
  await own.stop()
  await board.board.stop()
  await expect(fetch(`${board.url}/healthz`)).rejects.toThrow(/fetch failed/)
})

test('two boards: one records, both know what is recorded, the other takes over', async () => {
  const first = await open(redis.url, { dataDir })
  await until(() => first.board.recording)
  const second = await open(redis.url, { dataDir, namespace: first.namespace })

  // Accepted through the one that does not record.
  const { status, body } = await second.post('/api/v1/sessions', {
    agent_type: 'architect',
    prompt: 'Design it',
  })
  expect(status).toBe(202)
  expect(body.durability).toBe('ledger')
  expect(second.board.recording).toBe(false)
  expect((await first.get(`/api/v1/sessions/${body.session_id}`)).body.session.status).toBe('queued')

  const waited = second.post('/api/v1/sessions', {
    agent_type: 'code_developer',
    prompt: 'Build it',
    wait: 'started',
  })
  const other = await until(async () => {
    const { sessions } = (await second.get('/api/v1/sessions?agent_type=code_developer')).body
    return sessions[0]
  })
  await first.board.stop()
  await playSession(second, other.session_id)
  expect((await waited).body).toMatchObject({ success: true, status: 'running', pid: 4711 })
  await until(() => second.board.recording, LIMIT)
})

test('Redis away: writes say so, the ledger can be read, and all goes on when it is back', async () => {
  const own = await startRedis({ aof: 'always' })
  const board = await open(own.url, { heartbeatMs: 50 })
  const id = await board.spawn()
  const agent = await playSession(board, id)
  await until(async () => (await board.get(`/api/v1/sessions/${id}`)).body.session.status === 'running')

  process.kill(own.pid, 'SIGKILL')
  const refused = await until(async () => {
    const answer = await board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'Now?' })
    return answer.status === 503 && answer
  })
  expect(refused.body).toMatchObject({ success: false, error: 'redis_unavailable' })
  expect((await board.get('/api/v1/agent-types')).status).toBe(503)
  expect((await board.get('/readyz')).status).toBe(503)
  expect((await board.get('/healthz')).status).toBe(200)
  expect((await board.get('/api/v1/sessions')).body.sessions).toHaveLength(1)
  expect((await board.get(`/api/v1/sessions/${id}/events`)).body.events).not.toHaveLength(0)
  const stream = await fetch(`${board.url}/api/v1/sessions/${id}/events`, {
    headers: { accept: 'text/event-stream' },
  })

  const back = await startRedis({ aof: 'always', port: own.port, dir: own.dir })
  try {
    await until(async () => (await board.get('/readyz')).status === 200, LIMIT)
    const again = await board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'Now?' })
    expect(again.body).toMatchObject({ success: true, durability: 'ledger' })
    // Redis has another life: its hashes are compared with the ledger's first.
    await until(async () => (await board.get('/readyz')).body.checks.leases.status === 'ok', LIMIT)
    await agent.end()
    expect(await stream.text()).toMatch(/drover\.session\.ended.*\n\nevent: end\n/)
    expect(board.log.filter((line) => line['msg'] === 'Redis answers again')).toHaveLength(1)
    // One line per kind and ten seconds, whatever the number of failures.
    expect(board.log.filter((line) => line['level'] === 'warn').length).toBeLessThan(12)
  } finally {
    await board.stop()
    await back.stop()
    await own.stop()
  }
})
