/** The same tools through both doors, with the official client. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WORKSPACE } from '../board/open-board.ts'
import { playSession } from '../board/play-session.ts'
import { until } from '../support/until.ts'
import { BAD_FRAMES } from './bad-frames.ts'
import { connectMcp, type Called, type McpConnection } from './connect-mcp.ts'
import { boardOfFile } from '../board/board-of-file.ts'

const { board } = await boardOfFile()

const TASK = { agent_type: 'architect', task: 'Audit the vault', workspace_dir: WORKSPACE }
const sessions = async (query = ''): Promise<any[]> =>
  (await board.get(`/api/v1/sessions?limit=50${query}`)).body.sessions
const newest = async (): Promise<any> => (await sessions())[0]

test('over HTTP a frame that is no message is answered, and is no end of anything', async () => {
  const post = async (body: string | Uint8Array): Promise<number> => {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const answer = await fetch(`${board.url}/mcp`, { method: 'POST', headers, body })
    await answer.text()
    return answer.status
  }
  const broken = Uint8Array.from([0x7b, 0xff, 0xfe, 0x7d])
  for (const frame of [...BAD_FRAMES, broken, '['.repeat(100_000), `"${'x'.repeat(11_000_000)}"`]) {
    const status = await post(frame)
    expect({ frame: String(frame).slice(0, 80), status }).toMatchObject({
      status: expect.toSatisfy(isAnswered),
    })
  }
  const mcp = await connectMcp('HTTP', board)
  expect((await mcp.call('list_agent_types')).isError).not.toBe(true)
  await mcp.close()
})

/** Also where it is refused; a failure of the board's own is none. */
const isAnswered = (status: number): boolean => status >= 200 && status < 500

describe.each(['stdio', 'HTTP'] as const)('over %s', (door) => {
  let mcp: McpConnection
  beforeAll(async () => {
    mcp = await connectMcp(door, board)
  })
  afterAll(() => mcp.close())

  /** Calls, and answers with the session that came of it. */
  async function spawning(
    args: object = TASK,
    signal?: AbortSignal,
    by: McpConnection = mcp,
  ): Promise<[string, Promise<Called>]> {
    const before = new Set((await sessions()).map(({ session_id }) => session_id))
    const called = by.call('spawn_agent', args, signal)
    called.catch(() => {})
    const id = await until(async () => {
      const found = (await newest())?.session_id
      return found !== undefined && !before.has(found) ? (found as string) : null
    })
    return [id, called]
  }

  test('spawn_agent answers what the agent said, and says on the way what it does', async () => {
    const [id, called] = await spawning()
    const agent = await playSession(board, id)
    const usage = { input_tokens: 1000, output_tokens: 100 }
    await agent.print({
      type: 'assistant',
      message: {
        id: 'msg_1',
        model: 'claude-opus-5-5',
        usage,
        content: [{ type: 'tool_use', id: 't', name: 'Bash', input: { command: 'ls vault' } }],
      },
    })
    await agent.end({ output: '# Report' })

    const { isError, document, progress } = await called
    expect({ isError, document }).toEqual({
      isError: false,
      document: { session_id: id, success: true, output: '# Report', cost: 0.006 },
    })
    expect(progress[0]).toEqual(expect.stringMatching(`^session ${id} queued`))
    expect(progress).toContainEqual(expect.stringMatching(/^running architect-.*-\d{3}$/))
    expect((await board.get(`/api/v1/sessions/${id}/events?limit=1`)).body.events[0].payload).toMatchObject({
      request: { agent_type: 'architect', prompt: 'Audit the vault', workspace_dir: WORKSPACE },
      actor: { via: 'mcp', name: null },
      created_by: null,
      awaited: true,
    })
  })

  test('a session that failed is an answer, not an error', async () => {
    const [id, called] = await spawning({ ...TASK, timeout: 90 })
    const agent = await playSession(board, id)
    await agent.end({
      status: 'failed',
      failure_reason: 'max_turns',
      message: 'Too many turns.',
      output: null,
    })
    expect(await called).toMatchObject({
      isError: false,
      document: {
        session_id: id,
        success: false,
        output: null,
        error: 'session_failed',
        failure_reason: 'max_turns',
        message: 'Too many turns.',
      },
    })
    expect((await board.get(`/api/v1/sessions/${id}`)).body.session.timeout_seconds).toBe(90)
  })

  test('a wait that is cancelled leaves the session alone, and another one goes on from there', async () => {
    const gone = new AbortController()
    const [id, called] = await spawning(TASK, gone.signal)
    gone.abort()
    await expect(called).rejects.toThrow(/abort/i)
    const again = mcp.call('wait_session', { session_id: id })
    const agent = await playSession(board, id)
    await agent.end()
    expect((await again).document).toMatchObject({ session_id: id, success: true })
  })

  test('a client that is gone in mid-wait leaves the session alone: it ends by itself, and its result is there', async () => {
    const other = await connectMcp(door, board)
    const [id, called] = await spawning(TASK, undefined, other)
    const agent = await playSession(board, id)
    other.vanish()
    await other.close().catch(() => {})
    await expect(called).rejects.toThrow(/clos|abort/i)
    expect(await board.store.read(id)).toMatchObject({ state: 'running', cancel: null })
    await agent.end({ output: 'done all the same' })
    expect((await mcp.call('wait_session', { session_id: id })).document).toMatchObject({
      success: true,
      output: 'done all the same',
    })
    expect((await board.get(`/api/v1/sessions/${id}`)).body.session.status).toBe('completed')
  })

  test('the handle of an asynchronous spawn tells how far it is', async () => {
    const { document } = await mcp.call('spawn_agent_async', TASK)
    const { session_id } = document
    expect(document).toEqual({
      session_id,
      status: 'queued',
      queue_position: expect.any(Number),
      waiting_for: [],
    })
    const active = await mcp.call('get_active_sessions')
    expect(active.document.sessions[0]).toMatchObject({
      session_id,
      agent_type: 'architect',
      task: 'Audit the vault',
    })
    const soon = await mcp.call('wait_session', { session_id, timeout: 1 })
    expect(soon.document).toMatchObject({ session_id, status: 'queued' })

    const agent = await playSession(board, session_id)
    await agent.print({ type: 'assistant', message: { content: [{ type: 'text', text: 'I look.' }] } })
    await until(async () => (await mcp.call('check_session', { session_id })).document.doing === 'I look.')
    const killed = mcp.call('kill_agent', { session_id: agent.agent.agentId, reason: 'enough' })
    await until(async () => (await board.store.read(session_id))?.cancel?.reason === 'enough')
    await agent.end({ status: 'cancelled', output: 'x'.repeat(30_000) })
    expect((await killed).document).toMatchObject({ success: true, session_id })

    const first = (await mcp.call('check_session', { session_id })).document
    expect(first).toMatchObject({ status: 'cancelled', output_chars: 30_000 })
    expect(first.output).toHaveLength(20_000)
    const rest = (await mcp.call('check_session', { session_id, offset: 20_000 })).document
    expect(rest.output).toHaveLength(10_000)
    expect(rest.more).toBeUndefined()
  })

  test.each([
    [
      'spawn_agent',
      { ...TASK, agent_type: 'architekt' },
      'agent_type_not_found',
      'Did you mean "architect"?',
    ],
    [
      'spawn_agent',
      { ...TASK, workspace_dir: 'C:\\Projects\\claude-family' },
      'invalid_request',
      'a Windows path',
    ],
    ['spawn_agent', { agent_type: 'A', nonsense: 1 }, 'invalid_request', 'nonsense: unknown member'],
    ['check_session', { session_id: 'no-such-one' }, 'session_not_found', 'no session "no-such-one"'],
    ['kill_agent', { session_id: 'architect-20260101-999' }, 'agent_not_found', 'no agent'],
    ['send_to_agent', { session_id: 'no-such-one', text: 'Stop' }, 'agent_not_found', 'no'],
    ['get_cost', { since: 'yesterday' }, 'invalid_request', 'since'],
  ])('%s answers what is wrong as an error of the tool: %j', async (name, args, code, sentence) => {
    const { isError, document } = await mcp.call(name, args)
    expect({ isError, document }).toMatchObject({ isError: true, document: { success: false, error: code } })
    expect(document.message).toContain(sentence)
  })

  test('lists, searches and sums', async () => {
    expect((await mcp.call('list_agent_types')).document).toEqual({
      agent_types: ['architect: For tests', 'code_developer: For tests'],
    })
    const found = await mcp.call('search_agents', { query: 'developer', detail_level: 'name' })
    expect(found.document).toEqual({ agent_types: ['code_developer'] })
    const full = await mcp.call('search_agents', { query: 'developer', detail_level: 'full' })
    expect(full.document.agent_types[0]).toMatchObject({
      name: 'code_developer',
      max_instances: 1,
      active: 0,
    })
    expect((await mcp.call('get_cost', { by: 'day' })).document).toMatchObject({ by: 'day', total: {} })
  })

  test('transcripts and agent types can be read', async () => {
    const id = await board.spawn({ prompt: 'Read me' })
    const { resources } = await mcp.client.listResources()
    expect(resources.map(({ uri }) => uri)).toEqual(
      expect.arrayContaining([`drover://sessions/${id}`, 'drover://agent-types']),
    )
    const { contents } = await mcp.client.readResource({ uri: `drover://sessions/${id}` })
    expect(contents[0]).toMatchObject({ text: expect.stringContaining('Read me') })
    const rest = await mcp.client.readResource({ uri: `drover://sessions/${id}/100000` })
    expect(rest.contents[0]).toMatchObject({ text: '' })
    const types = await mcp.client.readResource({ uri: 'drover://agent-types' })
    expect(types.contents[0]).toMatchObject({ text: expect.stringContaining('code_developer') })
  })
})
