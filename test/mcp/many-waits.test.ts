/** Many callers that wait at once, and a board that is started again in between. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sleep } from '../../src/core/clock.ts'
import { newId } from '../../src/core/ids.ts'
import { openBoard, WORKSPACE, type TestBoard } from '../board/open-board.ts'
import { playSession } from '../board/play-session.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { connectMcp, type McpConnection } from './connect-mcp.ts'

/** 200 take half a minute: `DROVER_TEST_WAITS=200 npx vitest run test/mcp/many-waits.test.ts`. */
const WAITS = Number(process.env['DROVER_TEST_WAITS'] ?? 25)
const TYPES = Array.from({ length: WAITS }, (_, index) => `type-${index}`)

let redis: TestRedis
let board: TestBoard
let dataDir: string
const namespace = `t-${newId().slice(0, 8)}`
const open = (port?: number): Promise<TestBoard> =>
  openBoard(redis.url, { namespace, dataDir, types: TYPES, ...(port === undefined ? {} : { port }) })
const mcps: McpConnection[] = []

beforeAll(async () => {
  redis = await startRedis()
  dataDir = await mkdtemp(join(tmpdir(), 'drover-waits-'))
  board = await open()
})
afterAll(async () => {
  await Promise.all(mcps.map((mcp) => mcp.close()))
  await board.stop()
  await redis.stop()
  await rm(dataDir, { recursive: true, force: true })
})

/** A caller over HTTP whose wait was ended goes on with the handle, as the error says. */
async function spawned(mcp: McpConnection, agentType: string): Promise<any> {
  const args = { agent_type: agentType, task: agentType, workspace_dir: WORKSPACE }
  let { isError, document } = await mcp.call('spawn_agent', args)
  while (isError) {
    expect(document).toMatchObject({ error: 'board_unavailable', session_id: expect.any(String) })
    const { session_id } = document
    const again = await until(async () => await mcp.call('wait_session', { session_id }).catch(() => null))
    ;({ isError, document } = again)
  }
  return document
}

test(`${WAITS} waits: each gets its own result once, over a board that is started again`, async () => {
  const mcp = await connectMcp('HTTP', board)
  mcps.push(mcp)
  const waits = TYPES.map((agentType) => spawned(mcp, agentType))
  const rows = async (): Promise<any[]> => (await board.get('/api/v1/sessions?limit=200')).body.sessions
  await until(async () => (await rows()).length === WAITS, { timeoutMs: 30_000 })

  const before = process.cpuUsage()
  const began = performance.now()
  // A window to measure in, and no guess of how long something takes.
  await sleep(500)
  const used = process.cpuUsage(before)
  const cores = (used.user + used.system) / 1000 / (performance.now() - began)
  // Board, callers and test together.
  expect(cores).toBeLessThan(1)

  const { port } = board.board
  await board.stop()
  board = await open(port)
  const sessions = await rows()
  for (const { session_id, agent_type } of sessions) {
    const agent = await playSession(board, session_id)
    await agent.end({ output: `of ${agent_type}` })
  }
  const answers = await Promise.all(waits)
  expect(answers.map(({ output, success }) => [output, success])).toEqual(
    TYPES.map((name) => [`of ${name}`, true]),
  )
  expect(new Set(answers.map(({ session_id }) => session_id)).size).toBe(WAITS)
  expect((await rows()).length).toBe(WAITS)
})
