import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NO_FACTS, observe, type StreamFacts } from '../../src/core/stream-facts.ts'
import { newSessionId } from '../../src/core/ids.ts'
import { buildArgv } from '../../src/session/argv.ts'
import { createLineSplitter } from '../../src/session/line-splitter.ts'
import { interruptRequest, userMessage } from '../../src/session/message.ts'
import {
  FAKE_CLAUDE,
  fakePrompt,
  isTreeAlive,
  readWitness,
  violations,
  type FakeScript,
} from './fake-claude.ts'
import { createScratch, type Scratch } from './leaks.ts'
import { specOf } from './spec.ts'
import { until } from './until.ts'

let scratch: Scratch
let started: ChildProcess[] = []
let sessionId: string

beforeEach(async () => {
  scratch = await createScratch()
  sessionId = newSessionId()
})
afterEach(async () => {
  for (const child of started) child.kill('SIGKILL')
  started = []
  await scratch.check()
})

interface Fake {
  readonly child: ChildProcess
  output(): Buffer
  errors(): string
  types(): string[]
  facts(): StreamFacts
  /** Writes a line. */
  say(line: string): void
  ended(): Promise<{ code: number | null; signal: string | null }>
}

function startFake(options: { resume?: boolean; env?: Record<string, string>; args?: string[] } = {}): Fake {
  const argv = buildArgv({ spec: specOf(), sessionId, resume: options.resume ?? false, mcpConfigPath: null })
  const child = spawn(FAKE_CLAUDE, options.args ?? argv, {
    cwd: scratch.dir,
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: scratch.dir, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  started.push(child)
  const chunks: Buffer[] = []
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => void chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()))
  child.stdin.on('error', () => undefined)
  const output = (): Buffer => Buffer.concat(chunks)
  const lines = () => {
    const splitter = createLineSplitter()
    return [...splitter.push(output()), ...splitter.end()]
  }
  const closed = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return {
    child,
    output,
    errors: () => errors,
    types: () => lines().map((line) => line.type.replace('claude.', '')),
    facts: () => lines().reduce((facts, line) => observe(facts, line.message), NO_FACTS),
    say: (line) => void child.stdin.write(`${line}\n`),
    ended: () => closed,
  }
}

/** Runs a script to its end, with the input closed at once. */
async function run(script: FakeScript, options: Parameters<typeof startFake>[0] = {}): Promise<Fake> {
  const fake = startFake(options)
  fake.say(userMessage(fakePrompt(script), newSessionId()))
  fake.child.stdin?.end()
  await fake.ended()
  return fake
}

describe('the fake CLI', () => {
  it('has the version of the real one', () => {
    expect(execFileSync(FAKE_CLAUDE, ['--version'], { encoding: 'utf8' })).toBe('2.1.329 (Claude Code)\n')
  })

  it('ends a turn with a result that counts as one, and stays until its input is closed', async () => {
    const fake = startFake()
    fake.say(
      userMessage(fakePrompt({ lines: 2, text: 'hello', cost_usd: 0.25, usage: { input_tokens: 7 } }), 'u'),
    )
    await until(() => fake.facts().lastResult !== null)
    expect(fake.types()).toEqual(['system.init', 'assistant', 'assistant', 'result.success'])
    expect(fake.facts()).toMatchObject({
      sawInit: true,
      version: '2.1.329',
      lastResult: { isError: false, text: 'hello' },
      billed: { cost_micros: 250_000, usage: { input_tokens: 7 } },
    })
    expect(fake.child.exitCode).toBeNull()
    fake.child.stdin?.end()
    expect(await fake.ended()).toEqual({ code: 0, signal: null })
  })

  it('takes a session id once, and resumes what it knows with its script and its cost', async () => {
    await run({ cost_usd: 0.5, text: 'as scripted' })
    const again = await run({})
    expect(again.errors()).toContain('is already in use')
    const resumed = startFake({ resume: true })
    resumed.say(userMessage('go on', 'u'))
    resumed.child.stdin?.end()
    expect(await resumed.ended()).toEqual({ code: 0, signal: null })
    const result = JSON.parse(resumed.output().toString().trim().split('\n').at(-1) ?? '') as unknown
    expect(result).toMatchObject({ result: 'as scripted', total_cost_usd: 1 })
    expect(resumed.facts().billed.cost_micros).toBe(500_000)
  })

  it('refuses to resume what it does not know, and options that it does not have', async () => {
    const fake = startFake({ resume: true })
    expect(await fake.ended()).toEqual({ code: 1, signal: null })
    expect(fake.facts().lastResult?.errors).toContain(`No conversation found with session ID: ${sessionId}`)
    const wrong = startFake({ args: ['-p', '--timeout=3'] })
    expect(await wrong.ended()).toEqual({ code: 1, signal: null })
    expect(wrong.errors()).toContain("unknown option '--timeout'")
  })

  it('refuses a script that it does not understand', async () => {
    const fake = startFake()
    fake.say(userMessage('{"fake": {"linse": 3}}', 'u'))
    expect(await fake.ended()).toEqual({ code: 64, signal: null })
    expect(fake.errors()).toContain('linse')
  })

  it('can be interrupted and goes on', async () => {
    const fake = startFake()
    fake.say(userMessage(fakePrompt({ silence_ms: 600_000 }), 'u'))
    await until(() => fake.types().includes('assistant'))
    fake.say(interruptRequest('int1'))
    await until(() => fake.types().includes('result.error_during_execution'))
    expect(fake.types()).toContain('control_response')
    fake.say(userMessage('{"fake": {"text": "second"}}', 'u'))
    await until(() => fake.facts().lastResult?.text === 'second')
    fake.child.stdin?.end()
    expect(await fake.ended()).toEqual({ code: 0, signal: null })
  })

  it.each<[FakeScript, { code: number | null; signal: string | null }, string[]]>([
    [{ result: 'error' }, { code: 1, signal: null }, ['system.init', 'assistant', 'result.success']],
    [{ result: 'none' }, { code: 0, signal: null }, ['system.init', 'assistant']],
    [{ result: 'none', exit_code: 7 }, { code: 7, signal: null }, ['system.init', 'assistant']],
    [
      { exit_code: 3, exit_after_result: true },
      { code: 3, signal: null },
      ['system.init', 'assistant', 'result.success'],
    ],
    [{ crash_on_attempts: [1] }, { code: null, signal: 'SIGKILL' }, ['system.init', 'assistant']],
    [
      { crash_on_attempts: [1], crash_signal: null, exit_code: 9 },
      { code: 9, signal: null },
      ['system.init', 'assistant'],
    ],
    [{ crash_on_attempts: [2] }, { code: 0, signal: null }, ['system.init', 'assistant', 'result.success']],
    [
      { half_line: true, result: 'none' },
      { code: 0, signal: null },
      ['system.init', 'assistant', 'unparsed'],
    ],
    [
      { raw_lines: ['', 'oops', '[1]'], invalid_utf8: true, lines: 0 },
      { code: 0, signal: null },
      ['system.init', 'blank', 'unparsed', 'untyped', 'unparsed', 'result.success'],
    ],
    [
      { huge_line_bytes: 17_000_000, lines: 0 },
      { code: 0, signal: null },
      ['system.init', 'oversize', 'result.success'],
    ],
  ])('ends as its script says: %j', async (script, end, types) => {
    const fake = await run(script)
    expect(fake.types()).toEqual(types)
    expect(await fake.ended()).toEqual(end)
  })

  it('writes files', async () => {
    await run({ write_files: { 'docs/SPEC.md': '# Spec\n' } })
    expect(readFileSync(join(scratch.dir, 'docs/SPEC.md'), 'utf8')).toBe('# Spec\n')
  })
})

describe('the witness', () => {
  const witnessed = (agentId: string) => ({
    env: { DROVER_WITNESS_DIR: join(scratch.dir, 'witness'), AGENT_TYPE: 'architect', AGENT_ID: agentId },
  })

  it('sees an agent begin, live and end', async () => {
    await run({ silence_ms: 200 }, witnessed('a-1'))
    const records = readWitness(join(scratch.dir, 'witness'))
    expect(records[0]).toMatchObject({
      kind: 'start',
      agent_type: 'architect',
      agent_id: 'a-1',
      session_id: sessionId,
    })
    expect(records[0]?.env_names).toEqual(['AGENT_ID', 'AGENT_TYPE', 'DROVER_WITNESS_DIR', 'HOME', 'PATH'])
    expect(records.at(-1)?.kind).toBe('end')
    expect(new Set(records.slice(1, -1).map((record) => record.kind))).toEqual(new Set(['beat']))
    expect(violations(join(scratch.dir, 'witness'))).toEqual([])
  })

  it('sees two agents of one type alive at once, and none when the first was killed', async () => {
    const dir = join(scratch.dir, 'witness')
    const first = startFake(witnessed('a-1'))
    await until(() => readWitness(dir).length > 0)
    sessionId = newSessionId()
    const second = startFake(witnessed('a-2'))
    await until(() => violations(dir).length === 1)
    expect(violations(dir)[0]).toMatchObject({ agent_id: 'a-2' })
    for (const fake of [first, second]) {
      fake.child.kill('SIGKILL')
      await fake.ended()
    }
    sessionId = newSessionId()
    await run({}, witnessed('a-3'))
    expect(violations(dir)).toHaveLength(1)
  })

  it('sees what an agent left behind, whatever its environment', async () => {
    const dir = join(scratch.dir, 'witness')
    await run({ daemons: ['env_clean_double_fork'], daemon_dir: scratch.dir }, witnessed('a-1'))
    const file = join(scratch.dir, 'env_clean_double_fork.pid')
    await until(() => existsSync(file))
    expect(isTreeAlive(dir, 'a-1')).toBe(true)
    for (const found of await scratch.processes()) process.kill(Number(found.split(' ')[0]), 'SIGKILL')
    process.kill(-Number(readFileSync(file, 'utf8')), 'SIGKILL')
    await until(() => !isTreeAlive(dir, 'a-1'))
  })
})
