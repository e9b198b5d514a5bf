import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openBoard } from '../board/open-board.ts'
import { failed, PID, playSession } from '../board/play-session.ts'
import { until } from '../support/until.ts'
import { cliOfFile } from './cli-of-file.ts'

const { redis, board, cli } = await cliOfFile()

/** The session that was accepted last. */
async function newest(agentType = 'architect'): Promise<string> {
  const { body } = await board.get(`/api/v1/sessions?limit=1&agent_type=${agentType}`)
  return body.sessions[0]?.session_id as string
}

/** Waits until a session newer than `before` is recorded. */
const accepted = async (before: string | undefined): Promise<string> => {
  const id = await until(async () => {
    const now = await newest()
    return now !== before && now
  })
  return id
}

/** What the ledger takes the cost from. */
const RESULT = {
  type: 'result',
  subtype: 'success',
  is_error: false,
  num_turns: 3,
  model_usage_since_last_result: { opus: { inputTokens: 100, outputTokens: 20, costUSD: 0.0123 } },
}

describe('spawn', () => {
  test('--wait accepted answers as soon as the session is recorded', async () => {
    const { code, document } = await cli.json(['spawn', 'architect', 'Design', 'it', '--wait', 'accepted'])
    expect(code).toBe(0)
    expect(document).toMatchObject({
      success: true,
      agent_type: 'architect',
      status: 'queued',
      durability: 'ledger',
    })
    const { body } = await board.get(`/api/v1/sessions/${document.session_id}/events?limit=1`)
    expect(body.events[0].payload).toMatchObject({
      request: { prompt: 'Design it', workspace_dir: cli.dir },
      actor: { via: 'cli', name: null },
    })
    // What was not asked for is the agent type's to decide.
    expect(body.events[0].payload.request).not.toHaveProperty('auto_restart')
  })

  test('by default waits until the agent runs', async () => {
    const before = await newest()
    const running = cli.start(['spawn', 'architect', 'Design it', '--json'])
    const id = await accepted(before)
    // Nobody would take it: whoever waits is told.
    await until(() => running.stderr().includes('No pod is there, so nothing starts'))
    expect(running.stdout()).toBe('')
    const agent = await playSession(board, id)
    const { code, stdout } = await running.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ success: true, session_id: id, status: 'running', pid: PID })
    await agent.end()
  })

  test('--wait completed prints what the agent said; the rest goes to stderr', async () => {
    const before = await newest()
    const running = cli.start(['spawn', 'architect', 'Design it', '--wait', 'completed'])
    const id = await accepted(before)
    const agent = await playSession(board, id)
    await agent.print(RESULT)
    await agent.end({ output: 'The spec is written.\nAll of it.', num_turns: 3, cost_micros: 12_300 })
    expect(await running.ended).toEqual({
      code: 0,
      stdout: 'The spec is written.\nAll of it.\n',
      stderr: expect.stringContaining(`3 turns, $0.0123, session ${id}`) as string,
    })
  })

  test('a session that ran and failed is exit 1, with its reason', async () => {
    const args = ['spawn', 'architect', 'Design it', '--wait', 'completed']
    const before = await newest()
    const text = cli.start(args)
    const first = await accepted(before)
    await (await playSession(board, first)).end(failed('api_error', 'The API answered 400.'))
    expect(await text.ended).toMatchObject({ code: 1, stdout: '' })
    expect(text.stderr()).toContain('error: The API answered 400. (api_error)')

    const json = cli.start([...args, '--json'])
    await (await playSession(board, await accepted(first))).end(failed('api_error', 'The API answered 400.'))
    expect((await json.ended).code).toBe(1)
    expect(JSON.parse(json.stdout())).toMatchObject({
      success: false,
      error: 'session_failed',
      failure_reason: 'api_error',
    })
  })

  test('an agent that never came up is an error with the end of its stderr', async () => {
    const before = await newest()
    const running = cli.start(['spawn', 'architect', 'Design it', '--json'])
    const agent = await playSession(board, await accepted(before), { confirm: false })
    await agent.end(failed('spawn_failed', 'The CLI ended before it confirmed its start.'))
    expect((await running.ended).code).toBe(1)
    expect(JSON.parse(running.stdout())).toMatchObject({
      success: false,
      error: 'spawn_failed',
      stderr: 'error: no such option',
    })
  })

  test('the same key is the same session', async () => {
    const args = ['spawn', 'architect', 'Once', '--wait', 'accepted', '--idempotency-key', 'nightly-1']
    const [first, second] = [await cli.json(args), await cli.json(args)]
    expect(second.document).toMatchObject({ session_id: first.document.session_id, repeated: true })
    const other = await cli.json(['spawn', 'architect', 'Other', ...args.slice(3)])
    expect(other).toMatchObject({ code: 4, document: { error: 'idempotency_conflict' } })
  })

  test('every option reaches the request', async () => {
    const prompt = join(cli.dir, 'prompt.md')
    await writeFile(prompt, '- do this\n')
    await mkdir(join(cli.dir, 'shop'))
    const where = ['--prompt-file', prompt, '--workspace', 'shop']
    const how = ['--timeout', '90', '--no-auto-restart', '--priority', '7', '--orchestrator-id', 'nightly']
    const { document } = await cli.json(['spawn', 'architect', ...where, ...how, '--wait', 'accepted'])
    const { body } = await board.get(`/api/v1/sessions/${document.session_id}/events?limit=1`)
    expect(body.events[0].payload.request).toEqual({
      agent_type: 'architect',
      prompt: '- do this\n',
      workspace_dir: join(cli.dir, 'shop'),
      timeout_seconds: 90,
      auto_restart: false,
      priority: 7,
      orchestrator_id: 'nightly',
    })
  })

  test('a prompt that begins with "-" comes after "--", or on standard input', async () => {
    const after = await cli.json(['spawn', 'architect', '--wait', 'accepted', '--', '-x', '--wait'])
    const stdin = await cli.json(['spawn', 'architect', '-', '--wait', 'accepted'], {
      input: '--json is an option',
    })
    const prompts = await Promise.all(
      [after, stdin].map(async ({ document }) => {
        const { body } = await board.get(`/api/v1/sessions/${document.session_id}/events?limit=1`)
        return body.events[0].payload.request.prompt as string
      }),
    )
    expect(prompts).toEqual(['-x --wait', '--json is an option'])
  })

  test('--on-busy fail is refused while another one runs, exit 4', async () => {
    const id = await board.spawn({ agent_type: 'code_developer' })
    const agent = await playSession(board, id)
    const { code, document } = await cli.json(['spawn', 'code_developer', 'x', '--on-busy', 'fail'])
    expect({ code, error: document.error }).toEqual({ code: 4, error: 'singleton_violation' })
    await agent.end()
  })
})

describe('a wait', () => {
  test('that Ctrl-C ends leaves the session, exit 130', async () => {
    const before = await newest()
    const running = cli.start(['spawn', 'architect', 'Long', '--wait', 'completed', '--json'])
    const id = await accepted(before)
    const agent = await playSession(board, id)
    await until(async () => (await board.get(`/api/v1/sessions/${id}`)).body.session.status === 'running')
    running.child.kill('SIGINT')
    const { code, stdout, stderr } = await running.ended
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toContain(`drover watch ${id}`)
    expect((await board.get(`/api/v1/sessions/${id}`)).body.session.status).toBe('running')
    await agent.end()
  })

  test('outlives the board', async () => {
    const first = await openBoard(redis.url)
    const { namespace, dataDir } = first
    const { port } = first.board
    const running = cli.start(['spawn', 'architect', 'Long', '--wait', 'completed', '--json'], {
      env: { DROVER_URL: first.url },
    })
    const id = await until(async () => {
      const { body } = await first.get('/api/v1/sessions')
      return body.sessions[0]?.session_id as string | undefined
    })
    const agent = await playSession(first, id)
    await until(async () => (await first.get(`/api/v1/sessions/${id}`)).body.session.status === 'running')
    await first.board.stop()
    const second = await openBoard(redis.url, { namespace, dataDir, port })
    await agent.end()
    const { code, stdout } = await running.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ success: true, session_id: id, status: 'completed' })
    await second.stop()
    await first.stop()
  })
})

describe('bad input is refused before anything is sent', () => {
  test.each([
    [['spawn', 'architekt', 'x'], 'Did you mean "architect"?', 2],
    [['spawn', 'Architect', 'x'], 'agent_type: must be a lower-case name', 2],
    [['spawn', 'architect'], 'There is no prompt.', 2],
    [['spawn', 'architect', ''], 'The prompt is empty.', 2],
    [['spawn', 'architect', '-'], 'The prompt on standard input is empty.', 2],
    [['spawn', 'architect', 'x', '--prompt-file', 'f'], 'given twice', 2],
    [['spawn', 'architect', '--prompt-file', 'none.md'], 'none.md cannot be read', 2],
    [['spawn', 'architect', 'x', '--workspace', 'none'], 'does not exist', 2],
    [['spawn', 'architect', 'x', '--workspace', '/etc/passwd'], 'is not a directory', 2],
    [['spawn', 'architect', 'x', '--timeout', '0'], 'timeout_seconds', 2],
    [['spawn', 'architect', 'x', '--priority', '0'], 'priority', 2],
    [['spawn', 'architect', 'x', '--task-id', '12345'], 'task_id: must be an id', 2],
    [['spawn', 'architect', '--task-id', 'NONE'], 'NONE', 2],
    [['spawn', 'architect', 'x', '--depends-on', 'NONE'], 'NONE', 2],
    [['spawn', 'architect', 'x', '--orchestrator-id', 'a b'], 'orchestrator_id: must be printable', 2],
    [['spawn', 'architect', 'x', '--idempotency-key', 'ü'], 'Idempotency-Key', 2],
  ])('%j', async (args, sentence, exit) => {
    const before = await newest()
    const { code, stdout, stderr } = await cli.run(args)
    expect(stderr).toContain(sentence)
    expect(stderr).toMatch(/^error: /)
    expect(stderr).not.toContain('    at ')
    expect({ code, stdout }).toEqual({ code: exit, stdout: '' })
    expect(await newest()).toBe(before)
  })

  test('a prompt of 11 MB', async () => {
    const { code, stderr } = await cli.run(['spawn', 'architect', '-'], {
      input: Buffer.alloc(11 * 1024 * 1024, 'x'),
    })
    expect(stderr).toContain('has more than 10 MB')
    expect(code).toBe(2)
  })

  test('all problems at once, each on its line', async () => {
    const args = ['spawn', 'architect', 'x', '--timeout', '0', '--priority', '0', '--orchestrator-id', 'a b']
    const { stderr } = await cli.run(args)
    expect(stderr.split('\n').filter((line) => line.startsWith('  - '))).toHaveLength(3)
  })
})
