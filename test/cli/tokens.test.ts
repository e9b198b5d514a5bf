import { afterAll, beforeAll, expect, test } from 'vitest'
import { newToken, tokenHash } from '../../src/core/token.ts'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { openCli, type Cli } from './run-cli.ts'

let redis: TestRedis
let cli: Cli
let board: TestBoard
let made: { readonly token: string; readonly line: string }
let asker: typeof made

beforeAll(async () => {
  redis = await startRedis()
  cli = await openCli('http://127.0.0.1:1')
  made = (await cli.json(['tokens', 'create', 'ci', '--scopes', 'read,submit'])).document
  asker = (await cli.json(['tokens', 'create', 'asker', '--scopes', 'submit'])).document
  board = await openBoard(redis.url, { tokens: [made.line, asker.line] })
})
afterAll(async () => {
  await cli.close()
  await board.stop()
  await redis.stop()
})

const as = (token?: string) => ({
  env: { DROVER_URL: board.url, ...(token === undefined ? {} : { DROVER_TOKEN: token }) },
})

test('a new token is shown once, and its hash is what the board is told', async () => {
  expect(made).toEqual({
    success: true,
    name: 'ci',
    scopes: ['read', 'submit'],
    token: expect.stringMatching(/^drover_token_/),
    hash: tokenHash(made.token),
    line: `ci:read+submit:${tokenHash(made.token)}`,
  })
  const { code, stdout } = await cli.run(['tokens', 'create', 'ops', '--scopes', 'admin'])
  expect(code).toBe(0)
  const [token = ''] = stdout.split('\n')
  expect(stdout).toContain(`tokens = ["ops:admin:${tokenHash(token)}"]`)
  expect((await cli.json(['tokens', 'create', 'a'])).document.scopes).toEqual(['read'])
})

test('a name and scopes that cannot be are refused together', async () => {
  const { code, document } = await cli.json(['tokens', 'create', 'a b', '--scopes', 'read,all,foo'])
  expect(code).toBe(2)
  expect(document.issues.map(({ path }: { path: string }) => path)).toEqual(['name', '--scopes', '--scopes'])
})

test('the command line sends DROVER_TOKEN, and says what to do where it is refused', async () => {
  const sent = await cli.json(['sessions', 'list'], as(made.token))
  expect(sent).toMatchObject({ code: 0, document: { success: true, sessions: [] } })

  const without = await cli.run(['sessions', 'list'], as())
  expect(without.code).toBe(4)
  expect(without.stderr).toContain('Set DROVER_TOKEN')
  const wrong = await cli.run(['watch', crypto.randomUUID()], as(newToken()))
  expect(wrong.code).toBe(4)
  expect(wrong.stderr).toContain('not one of this board')
  const { code, document } = await cli.json(['kill', crypto.randomUUID()], as(made.token))
  expect(code).toBe(4)
  expect(document).toMatchObject({ error: 'forbidden', scope: 'control' })
})

test('a token that may ask and not look: the refused wait names the session, which goes on', async () => {
  const { code, document, stderr } = await cli.json(
    ['spawn', 'architect', 'Design it', '--wait', 'completed'],
    as(asker.token),
  )
  expect({ code, error: document.error, scope: document.scope }).toEqual({
    code: 4,
    error: 'forbidden',
    scope: 'read',
  })
  expect(stderr).toContain(`the session goes on: drover watch ${document.session_id}`)
  const { document: shown } = await cli.json(['sessions', 'show', document.session_id], as(made.token))
  expect(shown.session.status).toBe('queued')
})
