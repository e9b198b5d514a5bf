/** Finding agent types: one ranking at every door, and a list of tools that does not grow with them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { openCli, type Cli } from '../cli/run-cli.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { connectMcp, type McpConnection } from './connect-mcp.ts'

/** Of which each has its number and a word of its own. */
const MANY = Array.from({ length: 500 }, (_, n) => `worker-${n}-${['audit', 'build', 'review'][n % 3]}`)
const TYPES = ['code_reviewer', 'review-keeper', 'reviewing', 'doc-keeper-haiku', ...MANY]
/** Bytes for a token: fewer than any tokenizer takes for JSON with English in it. */
const BYTES_PER_TOKEN = 3.5
const MOST_TOKENS = 2500

let redis: TestRedis
let board: TestBoard
let cli: Cli
let mcps: readonly McpConnection[]
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url, { types: TYPES })
  cli = await openCli(board.url)
  mcps = [await connectMcp('stdio', board), await connectMcp('HTTP', board)]
})
afterAll(async () => {
  await Promise.all(mcps.map((mcp) => mcp.close()))
  await cli.close()
  await board.stop()
  await redis.stop()
})

const searched = async (mcp: McpConnection, query: string, detail_level?: string): Promise<any[]> =>
  (await mcp.call('search_agents', { query, ...(detail_level ? { detail_level } : {}) })).document.agent_types

test.each(['keeper', 'review the code', 'AUDIT 42', 'worker', 'quantum'])(
  '"%s": the command and the tool agree, at each level of detail',
  async (query) => {
    const { code, document } = await cli.json(['types', 'search', query])
    expect(code).toBe(0)
    const types: any[] = document.agent_types
    expect(types.length).toBeLessThanOrEqual(20)
    for (const mcp of mcps) {
      expect(await searched(mcp, query, 'full')).toEqual(types)
      const summaries = types.map(({ name, description }) => ({ name, description }))
      expect(await searched(mcp, query, 'summary')).toEqual(summaries)
      // What is not said otherwise.
      expect(await searched(mcp, query)).toEqual(summaries)
      expect(await searched(mcp, query, 'name')).toEqual(types.map(({ name }) => name))
    }
  },
)

test('the ranking is by how many of the words there are, then by how well they fit', async () => {
  const names = async (query: string): Promise<any[]> => await searched(mcps[1]!, query, 'name')
  expect(await names('keeper')).toEqual(['doc-keeper-haiku', 'review-keeper'])
  expect((await names('review the keeper')).slice(0, 1)).toEqual(['review-keeper'])
  expect((await names('audit 42'))[0]).toBe('worker-42-audit')
  expect(await names('quantum')).toEqual([])
})

test('five hundred types: the tools are listed in few tokens, the types to a bound', async () => {
  for (const { client, call } of mcps) {
    const { tools } = await client.listTools()
    expect(tools.length).toBeGreaterThanOrEqual(16)
    expect(Buffer.byteLength(JSON.stringify({ tools })) / BYTES_PER_TOKEN).toBeLessThan(MOST_TOKENS)
    const listed = (await call('list_agent_types')).document
    expect(listed.agent_types.length).toBeGreaterThan(100)
    expect(JSON.stringify(listed).length).toBeLessThan(25_000)
  }
})
