/** Many callers that wait at once on a board that is killed in between: each gets its own result, once. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keysOf } from '../../src/queue/keys.ts'
import { createSessionStore } from '../../src/queue/session-store.ts'
import { WORKSPACE } from '../board/open-board.ts'
import { playSession } from '../board/play-session.ts'
import { startRole, type Role } from '../fault/rig/role.ts'
import { openDrover, type Drover } from '../support/drover.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { connectMcp, type McpConnection } from './connect-mcp.ts'
import { callPersistently, type PersistentCaller } from './persistent-caller.ts'

/** 200 of them beside a pod at work: `npm run bench -- waits`. */
const OVER_HTTP = 20
const OVER_STDIO = 10
const NAMESPACE = 'many-waits'
const typeOf = (index: number): string => `type-${index}`

let scratch: Scratch
let drover: Drover
let redis: TestRedis
let client: Redis
let board: Role
let stdio: McpConnection
let callers: PersistentCaller[] = []

const urlOf = (role: Role): string => String(role.ready['url'])
async function start(port = 0): Promise<Role> {
  return await startRole(drover, ['board', '--port', String(port)], {
    REDIS_URL: redis.url,
    DROVER_NAMESPACE: NAMESPACE,
    DROVER_AGENT_SPECS: join(scratch.dir, 'specs.json'),
    DROVER_WORKSPACE_ROOTS: WORKSPACE,
  })
}

beforeAll(async () => {
  scratch = await createScratch()
  drover = openDrover(scratch)
  const names = Array.from({ length: OVER_HTTP + OVER_STDIO }, (_, index) => typeOf(index))
  const spec = { description: 'For tests', model: 'opus' }
  await writeFile(
    join(scratch.dir, 'specs.json'),
    JSON.stringify({ agent_types: Object.fromEntries(names.map((name) => [name, spec])) }),
  )
  redis = await startRedis()
  client = new Redis(redis.url)
  await seedRedis(client, keysOf(NAMESPACE))
  board = await start()
  stdio = await connectMcp('stdio', { url: urlOf(board) })
}, 60_000)
afterAll(async () => {
  await Promise.all([stdio.close(), ...callers.map((caller) => caller.close())])
  await board.stop()
  client.disconnect()
  await redis.stop()
  await scratch.check()
}, 60_000)

const argsOf = (index: number) => ({ agent_type: typeOf(index), task: 'Wait', workspace_dir: WORKSPACE })
const sessions = async (): Promise<any[]> => {
  const response = await fetch(`${urlOf(board)}/api/v1/sessions?limit=200`)
  return ((await response.json()) as { sessions: any[] }).sessions
}

test('each gets the result of its own session once, over a board that is killed', async () => {
  // One `drover mcp` has many calls open, and asks again by itself.
  const overStdio = Array.from(
    { length: OVER_STDIO },
    async (_, index) => (await stdio.call('spawn_agent', argsOf(OVER_HTTP + index))).document,
  )
  callers = await Promise.all(
    Array.from({ length: OVER_HTTP }, (_, index) => callPersistently({ url: urlOf(board) }, argsOf(index))),
  )
  await until(() => callers.every(({ waiting }) => waiting), { timeoutMs: 30_000 })
  await until(async () => (await sessions()).length === OVER_HTTP + OVER_STDIO, { timeoutMs: 30_000 })

  const port = Number(new URL(urlOf(board)).port)
  await board.kill()
  board = await start(port)
  const store = createSessionStore(client, keysOf(NAMESPACE))
  for (const { session_id, agent_type } of await sessions()) {
    const agent = await playSession({ store, redis: client, keys: keysOf(NAMESPACE) }, session_id)
    await agent.end({ output: `of ${agent_type}` })
  }

  const answers = await Promise.all([...callers.map(({ answer }) => answer), ...overStdio])
  expect(answers.map(({ output, success }) => [output, success])).toEqual(
    answers.map((_, index) => [`of ${typeOf(index)}`, true]),
  )
  expect(callers.map(({ handle }) => handle)).toEqual(
    answers.slice(0, OVER_HTTP).map(({ session_id }) => session_id),
  )
  expect(new Set(answers.map(({ session_id }) => session_id)).size).toBe(answers.length)
  expect(await sessions()).toHaveLength(answers.length)
}, 90_000)
