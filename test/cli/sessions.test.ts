import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { failed, playSession, says } from '../board/play-session.ts'
import { sessionIdOfKey } from '../../src/core/ids.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { openCli, type Cli } from './run-cli.ts'

let redis: TestRedis
let board: TestBoard
let cli: Cli
let completed: string
let broken: string

beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url, { types: ['architect', 'code_developer', 'feed'] })
  cli = await openCli(board.url)
  completed = await board.spawn({ prompt: 'Design it\u001B[2J\nwith care', wait: 'accepted' })
  const agent = await playSession(board, completed)
  await agent.print(says('I wrote the spec.'))
  await agent.end()
  broken = await board.spawn({ agent_type: 'code_developer' })
  await (await playSession(board, broken)).end(failed('crashed', 'The CLI crashed.'))
  // Answered once the ledger has it.
  for (const id of [completed, broken]) {
    const { answer } = (await board.get(`/api/v1/sessions/${id}`)).body
    if (answer === null) await board.post('/api/v1/sessions', { agent_type: 'architect', prompt: 'x' })
  }
})
afterAll(async () => {
  await cli.close()
  await board.stop()
  await redis.stop()
})

test('list: a table, newest first, with nothing that acts on a terminal', async () => {
  const { code, stdout } = await cli.run(['sessions', 'list'])
  expect(code).toBe(0)
  const [head, ...rows] = stdout.trim().split('\n')
  expect(head).toMatch(/^session +agent type +status +age +cost +prompt$/)
  const row = rows.find((line) => line.startsWith(completed))
  expect(row).toMatch(/architect +completed +\d+ s +\$0 +Design it␛\[2J$/)
  expect(rows.findIndex((line) => line.startsWith(broken))).toBeLessThan(
    rows.findIndex((line) => line.startsWith(completed)),
  )
})

test('list: filters, limit and cursor', async () => {
  const failedOnes = await cli.json([
    'sessions',
    'list',
    '--status',
    'failed',
    '--agent-type',
    'code_developer',
  ])
  expect(failedOnes.document.sessions.map((row: { session_id: string }) => row.session_id)).toEqual([broken])
  const page = await cli.json(['sessions', 'list', '--limit', '1'])
  expect(page.document.sessions).toHaveLength(1)
  const next = await cli.json(['sessions', 'list', '--limit', '1', '--cursor', page.document.next_cursor])
  expect(next.document.sessions[0].session_id).not.toBe(page.document.sessions[0].session_id)
  const none = await cli.run(['sessions', 'list', '--q', 'no such text'])
  expect(none).toMatchObject({ code: 0, stdout: 'No sessions.\n' })
  const wrong = await cli.run(['sessions', 'list', '--status', 'runing'])
  expect(wrong.code).toBe(2)
  expect(wrong.stderr).toContain('status: must be one of queued, starting')
})

test('show: state, agents, and what was said', async () => {
  const { code, stdout } = await cli.run(['sessions', 'show', completed])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^session +[0-9a-f-]{36}\nagent type +architect\nstatus +completed\n/)
  expect(stdout).toMatch(/architect-20260101-\d{3} +completed +4711 +pod-1/)
  expect(stdout).toContain('\nI wrote the spec.\n')
  expect(stdout).not.toContain('\u001B')

  const wrong = await cli.run(['sessions', 'show', broken])
  expect(wrong.stdout).toMatch(/why +crashed: The CLI crashed\./)
})

test('show --json: one document with all events', async () => {
  const { code, document } = await cli.json(['sessions', 'show', completed])
  expect(code).toBe(0)
  expect(document).toMatchObject({ success: true, session: { session_id: completed, status: 'completed' } })
  expect(document.agents).toHaveLength(1)
  const seqs = document.events.map((event: { seq: number }) => event.seq)
  expect(seqs).toEqual(seqs.map((_: number, index: number) => index + 1))
  expect(document.events.at(-1).type).toBe('drover.session.ended')
})

test('show: an id that is not there is a sentence, exit 2', async () => {
  const near = `${completed.slice(0, -1)}${completed.endsWith('0') ? '1' : '0'}`
  const { code, stdout, stderr } = await cli.run(['sessions', 'show', near])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(near)
})

test('the beginning of an id is enough where a person types it, and HTTP stays exact', async () => {
  const start = completed.slice(0, 13).toUpperCase()
  const shown = await cli.json(['sessions', 'show', start])
  expect(shown.document.session.session_id).toBe(completed)
  const exported = await cli.run(['sessions', 'export', start])
  expect(exported.stdout).toContain('I wrote the spec.')
  const agents = await cli.json(['agents', 'list', '--session-id', start])
  expect(agents.document.agents).toHaveLength(1)
  expect((await cli.run(['kill', start])).stderr).toContain(`The session ${completed} is completed`)
  expect((await board.get(`/api/v1/sessions/${start}`)).status).toBe(404)

  const none = await cli.run(['watch', '00000'])
  expect(none).toMatchObject({ code: 2, stdout: '' })
  expect(none.stderr).toContain('No session\'s id begins with "00000"')
  // The id of an agent, though all its letters are hex digits.
  const agent = await cli.run(['kill', 'db-20261130-001'])
  expect(agent.stderr).toContain('There is no agent "db-20261130-001"')
  // Nor is the name of a type the beginning of anything.
  expect((await cli.run(['kill', 'feed'])).stderr).toContain('There is no agent "feed"')
})

test('a beginning that several sessions have names them', async () => {
  const [one, other] = keysOfOneBeginning(board.namespace)
  const ids: string[] = []
  for (const key of [one, other]) {
    const body = { agent_type: 'architect', prompt: 'x' }
    const answer = await board.post('/api/v1/sessions', body, { 'idempotency-key': key })
    ids.push(answer.body.session_id)
  }
  const start = ids[0]?.slice(0, 4) ?? ''
  const { code, document } = await cli.json(['restart', start])
  expect(code).toBe(2)
  expect(document).toMatchObject({ error: 'invalid_request' })
  expect(document.candidates.toSorted()).toEqual(ids.toSorted())
  expect(document.message).toContain('(architect, queued)')
})

/** Two idempotency keys whose sessions' ids begin with the same four digits. */
function keysOfOneBeginning(namespace: string): [string, string] {
  const seen = new Map<string, string>()
  for (let n = 0; ; n++) {
    const key = `key-${n}`
    const start = sessionIdOfKey(namespace, key).slice(0, 4)
    const before = seen.get(start)
    if (before !== undefined) return [before, key]
    seen.set(start, key)
  }
}
