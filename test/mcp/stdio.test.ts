/** `drover mcp` by hand: what it says on its standard output, and what does not end it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { BAD_FRAMES } from './bad-frames.ts'

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts')
/** Bytes for a token: fewer than any tokenizer takes for JSON with English in it. */
const BYTES_PER_TOKEN = 3.5
const MOST_TOKENS = 2500

interface Server {
  readonly child: ChildProcess
  write(frame: string): void
  /** The lines of stdout so far, each of which must be JSON. */
  lines(): any[]
  /** The answer to a request. */
  answer(id: number | string): Promise<any>
}

const started: ChildProcess[] = []
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

function start(env: Record<string, string> = {}): Server {
  const child = spawn(process.execPath, [MAIN, 'mcp'], {
    env: { PATH: process.env['PATH'], DROVER_URL: 'http://127.0.0.1:9', DROVER_LOG_LEVEL: 'trace', ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  started.push(child)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const lines = (): any[] =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  return {
    child,
    write: (frame) => void child.stdin.write(`${frame}\n`),
    lines,
    answer: (id) => until(() => lines().find((line) => line.id === id) ?? null, { timeoutMs: 20_000 }),
  }
}

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
})
const request = (id: number | string, method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params })

describe('without a board', () => {
  test('it answers, lists its tools in few tokens, and says at a call that nobody is there', async () => {
    const server = start()
    server.write(INITIALIZE)
    expect((await server.answer(1)).result.serverInfo.name).toBe('orchestrator')
    server.write(request(2, 'tools/list'))
    const { result } = await server.answer(2)
    // It knows no agent type yet, so it is as long with five hundred of them.
    expect(Buffer.byteLength(JSON.stringify(result)) / BYTES_PER_TOKEN).toBeLessThan(MOST_TOKENS)
    server.write(request(3, 'tools/call', { name: 'list_agent_types', arguments: {} }))
    const called = (await server.answer(3)).result
    expect(called.isError).toBe(true)
    expect(called.structuredContent).toMatchObject({ success: false, error: 'board_unavailable' })
    // Nothing but protocol lines, at the most talkative level.
    expect(server.lines().every(({ jsonrpc }) => jsonrpc === '2.0')).toBe(true)

    server.child.stdin?.end()
    await until(() => server.child.exitCode === 0)
  })

  test('a session has the tools that it was granted', async () => {
    const server = start({
      DROVER_SESSION_ID: 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
      DROVER_TOOLS: 'check_inbox,send_message',
    })
    server.write(INITIALIZE)
    server.write(request(2, 'tools/list'))
    const names = (await server.answer(2)).result.tools.map(({ name }: { name: string }) => name)
    expect(names).toEqual(['send_message', 'check_inbox'])
    server.write(request(3, 'tools/call', { name: 'spawn_agent', arguments: {} }))
    const refused = await server.answer(3)
    expect(refused.error ?? refused.result).toMatchObject(
      refused.error ? { code: -32602 } : { isError: true },
    )
  })

  test('a frame that is no message is passed over', async () => {
    const server = start()
    server.write(INITIALIZE)
    await server.answer(1)
    const frames = [
      ...BAD_FRAMES,
      request(95, 'no/such/method'),
      request(96, 'tools/call', { name: 'check_session', arguments: 'text' }),
      request(97, 'tools/call', { name: 'search_agents', arguments: { query: 'x'.repeat(11_000_000) } }),
      request('text', 'ping'),
    ]
    for (const frame of frames) server.write(frame)
    server.write(request(99, 'ping'))
    expect((await server.answer(99)).result).toEqual({})
    expect((await server.answer('text')).result).toEqual({})
    expect((await server.answer(95)).error.code).toBe(-32601)
    const huge = await server.answer(97)
    expect(huge.result.structuredContent).toMatchObject({ error: 'invalid_request' })
    expect(server.child.exitCode).toBeNull()
  })
})
