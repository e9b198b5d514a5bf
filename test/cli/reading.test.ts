/** What is read over all sessions: agents, events, search, export. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { playSession, says } from '../board/play-session.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openCli, type Cli } from './run-cli.ts'

let redis: TestRedis
let board: TestBoard
let cli: Cli
let id: string
let agentId: string

beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url)
  cli = await openCli(board.url)
  id = await board.spawn({ prompt: 'Find the zebra' })
  const played = await playSession(board, id)
  agentId = played.agent.agentId
  await played.print(says('A zebra\u001B[2J\n```\n# out'), says('x'.repeat(300_000)))
  await played.end()
  await until(async () => (await board.get('/api/v1/search?q=zebra')).body.hits.length === 2)
  await until(async () => (await board.get(`/api/v1/sessions/${id}`)).body.answer !== null)
})
afterAll(async () => {
  await cli.close()
  await board.stop()
  await redis.stop()
})

test('agents list and show', async () => {
  const list = await cli.run(['agents', 'list', '--session-id', id])
  expect(list).toMatchObject({ code: 0, stderr: '' })
  expect(list.stdout).toContain(agentId)
  const { document } = await cli.json(['agents', 'list', '--status', 'failed,killed'])
  expect(document).toMatchObject({ success: true, agents: [], next_cursor: null })
  expect((await cli.run(['agents', 'show', agentId])).stdout).toMatch(/status +completed\nagent +architect-/)
  const unknown = await cli.run(['agents', 'show', `${agentId}9`])
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining(`Did you mean "${agentId}"?`)])
})

test('events list goes over pages', async () => {
  const { stdout, code } = await cli.run(['events', 'list', '--type', 'drover.session', '--session-id', id])
  expect(code).toBe(0)
  expect(stdout).toMatch(/drover\.session\.ended +arch[^]*drover\.session\.accepted +architect\n$/)
  const { document } = await cli.json(['events', 'list', '--type', 'claude', '--limit', '1'])
  expect(document.events).toHaveLength(1)
  expect(document.next_cursor).toBeTypeOf('string')
})

test('sessions search shows the words, and nothing that acts', async () => {
  const { stdout, code } = await cli.run(['sessions', 'search', 'ZEBRA', '--agent-id', agentId])
  expect(code).toBe(0)
  expect(stdout).toContain(id)
  expect(stdout).toContain('A zebra␛[2J ``` # out')
  expect((await cli.run(['sessions', 'search', 'unicorn'])).stdout).toBe('Nothing was found.\n')
  expect((await cli.json(['sessions', 'search', 'find', 'zebra'])).document.hits).toHaveLength(1)
  expect((await cli.run(['sessions', 'search', '(*)'])).code).toBe(2)
})

test('export: every event on a line, in order, as it was published', async () => {
  const { stdout, code } = await cli.run(['sessions', 'export', id])
  expect(code).toBe(0)
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  const page = await board.get(`/api/v1/sessions/${id}/events`)
  expect(events).toEqual(page.body.events)
})

test('export: a transcript in a file, which is replaced when it is whole', async () => {
  const file = join(cli.dir, 'session.md')
  await writeFile(file, 'before')
  const { code, stdout, stderr } = await cli.run([
    'sessions',
    'export',
    id,
    '--format',
    'markdown',
    '--output',
    'session.md',
  ])
  expect([code, stdout, stderr]).toEqual([0, '', `Written to ${file}\n`])
  const text = await readFile(file, 'utf8')
  expect(text).toMatch(/^# Session `[0-9a-f-]{36}`\n\n- Agent type: `architect`\n- Status: `completed`\n/)
  expect(text).toContain('## Prompt  ·')
  expect(text).toContain('````text\nA zebra␛[2J\n```\n# out\n````')
  const written = await cli.json(['sessions', 'export', id, '--format', 'markdown', '--output', 'session.md'])
  expect(written.document).toEqual({
    success: true,
    session_id: id,
    format: 'markdown',
    file,
    bytes: Buffer.byteLength(text),
  })
  const refused = await cli.run(['sessions', 'export', id, '--output', 'none/x'])
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('could not be written')])
  expect((await cli.run(['sessions', 'export', id, '--format', 'pdf'])).code).toBe(2)
  expect((await cli.run(['sessions', 'export', '00000000-0000-4000-8000-000000000000'])).code).toBe(2)
})

test('an answer that is old says so on stderr', async () => {
  const other = new Database(join(board.dataDir, 'orchestrator.db'))
  other.exec('BEGIN IMMEDIATE')
  try {
    await board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'Wait' })
    await until(async () => (await board.get('/api/v1/sessions')).body.stale_seconds >= 5)
    const { code, stderr } = await cli.run(['sessions', 'list'])
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/^The ledger is \d+ s behind: this is as of 20\d\d-/),
    ])
  } finally {
    other.exec('ROLLBACK')
    other.close()
  }
})
