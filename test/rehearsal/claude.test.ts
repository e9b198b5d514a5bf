/** The real CLI in rehearsal: what the shipped scripts promise, and what turn selection must survive. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { modelsOfResult, usageOfResult } from '../../src/core/usage.ts'
import { expectedCostMicros, expectedTotals } from '../../src/rehearsal/expected.ts'
import { loadScript, parseScript } from '../../src/rehearsal/load-script.ts'
import { pricesOf } from '../../src/core/prices.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import type { Script } from '../../src/rehearsal/script.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'
import { runClaude, startClaude, type ClaudeOptions } from './run-claude.ts'

let scratch: Scratch
let sessionId: string
const started: Rehearsal[] = []
beforeEach(async () => {
  scratch = await createScratch()
  sessionId = randomUUID()
})
afterEach(async () => {
  await Promise.all(started.splice(0).map((rehearsal) => rehearsal.stop()))
  await scratch.check()
})

async function rehearse(script: Script): Promise<Rehearsal> {
  const rehearsal = await startRehearsal(script)
  started.push(rehearsal)
  return rehearsal
}

/** Runs a shipped script once; the session, the home and the workspace are the test's. */
async function play(name: string, options: Partial<ClaudeOptions> = {}) {
  const rehearsal = await rehearse(await loadScript(name))
  const run = await runClaude({ rehearsal, dir: scratch.dir, sessionId, ...options })
  return { ...run, requests: rehearsal.requests() }
}

/** What the bill must be, next to what it is. */
async function bill(line: unknown, script: string, agentType: string, model: string) {
  const loaded = await loadScript(script)
  const prices = pricesOf(model)
  if (prices === undefined) throw new Error(`${model} has a price`)
  const { usage, num_turns } = expectedTotals(loaded, agentType)
  const expected = {
    usage,
    num_turns,
    cost_micros: expectedCostMicros(loaded, agentType, prices),
    suspect: false,
  }
  return { billed: usageOfResult(line), expected }
}

describe('the shipped scripts', () => {
  test('default quotes the prompt, in one call', async () => {
    const { exitCode, line, result, requests } = await play('default', { prompt: 'write a spec\nwith care' })
    expect(exitCode).toBe(0)
    expect(result.result).toBe(
      'This is a rehearsal: architect was asked "write a spec" and a script answered, not a model.',
    )
    expect(requests.map(({ path, turn, status }) => ({ path, turn, status }))).toEqual([
      { path: '/v1/messages?beta=true', turn: 0, status: 200 },
    ])
    const { billed, expected } = await bill(line, 'default', 'architect', 'sonnet')
    expect(billed).toEqual(expected)
  })

  test('demo writes a spec, a program and its test, and costs what it says', async () => {
    const workspace = join(scratch.dir, 'repository')
    await mkdir(workspace)
    await promisify(execFile)('git', ['init', '--quiet'], { cwd: workspace })

    const architect = await play('demo', { agentType: 'architect', model: 'opus', workspace })
    expect(architect.result).toMatchObject({ is_error: false, permission_denials: [] })
    const spec = await bill(architect.line, 'demo', 'architect', 'opus')
    expect(spec.billed).toEqual(spec.expected)
    expect(spec.expected.cost_micros).toBe(35_040)

    sessionId = randomUUID()
    const developer = await play('demo', { agentType: 'code_developer', workspace })
    expect(developer.result).toMatchObject({ is_error: false, permission_denials: [] })
    const code = await bill(developer.line, 'demo', 'code_developer', 'sonnet')
    expect(code.billed).toEqual(code.expected)

    const said = JSON.stringify(developer.lines)
    expect(said).toContain('returns the greeting; blanks around the name do not count')
    expect(said).toMatch(/pass 4.{1,4}. fail 0/)
    expect((await readdir(workspace)).toSorted()).toEqual(['.git', 'docs', 'greet.mjs', 'greet.test.mjs'])
    expect(await readFile(join(workspace, 'docs/SPEC.md'), 'utf8')).toContain('# A greeting program')
  })

  test('api-error ends with exit code 1 and a result that is an error, although its subtype is success', async () => {
    const { exitCode, result, requests } = await play('api-error')
    expect(exitCode).toBe(1)
    expect(result).toMatchObject({ subtype: 'success', is_error: true, api_error_status: 400 })
    expect(result.result).toContain('The rehearsal refuses this call.')
    expect(new Set(requests.map(({ status }) => status))).toEqual(new Set([400]))
  })

  test('overloaded passes after two tries', async () => {
    const { exitCode, line, lines, requests } = await play('overloaded')
    expect(exitCode).toBe(0)
    expect(requests.map(({ status }) => status)).toEqual([529, 529, 200])
    expect(lines.filter(({ subtype }) => subtype === 'api_retry')).toHaveLength(2)
    const { billed, expected } = await bill(line, 'overloaded', 'architect', 'sonnet')
    expect(billed).toEqual(expected)
  })

  // Again where the machine was too busy: the CLI bills what it had read when the connection broke.
  test('cut breaks off once, and the whole answer comes all the same', { retry: 2 }, async () => {
    const { exitCode, line, result, requests } = await play('cut')
    expect(exitCode).toBe(0)
    expect(result.result).toBe(
      'architect was cut off once and says it again, from the beginning, to the end: do your part',
    )
    expect(requests.map(({ turn }) => turn)).toEqual([0, 0])
    const { billed, expected } = await bill(line, 'cut', 'architect', 'sonnet')
    expect(billed).toEqual(expected)
  })

  test('cache-tokens arrive in the result, all four kinds', async () => {
    const { line } = await play('cache-tokens', { model: 'haiku' })
    const { billed, expected } = await bill(line, 'cache-tokens', 'architect', 'haiku')
    expect(billed).toEqual(expected)
    expect(billed.usage).toMatchObject({ cache_read_tokens: 7000, cache_creation_tokens: 7320 })
  })

  test('denied is refused a tool although it is allowed, and is a success', async () => {
    const { exitCode, result } = await play('denied')
    expect(exitCode).toBe(0)
    expect(result.permission_denials.map((denial) => denial.tool_name)).toEqual(['Write'])
    expect(await readdir(join(scratch.dir, 'workspace'))).toEqual([])
  })
})

describe('a script of our own', () => {
  test('says a turn with tools again when its stream broke off behind the text', async () => {
    // As a rule the CLI keeps the text, which is complete, and asks for the rest; on a busy machine it asks again.
    const script = parseScript(
      `description: x
agents:
  architect:
    - text: hello
      tools: [{ name: Glob, input: { pattern: '*' } }]
      faults: [{ cut_after_chunks: 5, times: 1 }]
    - text: the end`,
      'x.yaml',
    )
    const rehearsal = await rehearse(script)
    const { exitCode, result, lines } = await runClaude({ rehearsal, dir: scratch.dir, sessionId })
    expect(exitCode).toBe(0)
    expect(result.result).toBe('the end')
    expect(rehearsal.requests().map(({ turn }) => turn)).toEqual([0, 0, 1])
    expect(JSON.stringify(lines)).toContain('No files found')
  })

  test('may call subagents: with turns of their own and their own model, or without any and free', async () => {
    const script = parseScript(
      `description: x
agents:
  architect:
    - tools:
        - { name: Agent, input: { description: free, prompt: nothing for you, subagent_type: general-purpose } }
      usage: { input_tokens: 1000 }
    - tools:
        - name: Agent
          input: { description: look, prompt: "look around\\nand tell", subagent_type: general-purpose, model: haiku }
    - text: the end
      usage: { input_tokens: 100 }
subagents:
  look around:
    - tools: [{ name: Glob, input: { pattern: '*' } }]
      usage: { input_tokens: 300, output_tokens: 7 }
    - text: 'I was told: {{prompt}}'
      usage: { input_tokens: 400, output_tokens: 9, cache_read_tokens: 50 }`,
      'x.yaml',
    )
    const rehearsal = await rehearse(script)
    const { result, line, lines } = await runClaude({ rehearsal, dir: scratch.dir, sessionId })
    expect(result.result).toBe('the end')
    expect(rehearsal.requests().map(({ turn, isSubagent, model }) => [turn, isSubagent, model])).toEqual([
      [0, false, 'claude-sonnet-5-5'],
      [null, true, 'claude-sonnet-5-5'],
      [1, false, 'claude-sonnet-5-5'],
      [0, true, 'claude-haiku-5-5'],
      [1, true, 'claude-haiku-5-5'],
      [2, false, 'claude-sonnet-5-5'],
    ])
    const { models, suspect } = modelsOfResult(line)
    expect(suspect).toBe(false)
    expect(models).toMatchObject([
      { model: 'claude-sonnet-5-5', ...expectedTotals(script, 'architect').usage },
      { model: 'claude-haiku-5-5', input_tokens: 700, output_tokens: 16, cache_read_tokens: 50 },
    ])
    // What a subagent says is printed too: what a killed agent used is known by these lines alone.
    const said = lines.filter(
      (one) => one.type === 'assistant' && typeof one['parent_tool_use_id'] === 'string',
    )
    expect(JSON.stringify(said)).toContain('I was told: look around')
  })
})

describe('a session that is resumed', () => {
  test('after kill -9 in a tool call, goes on with the next turn, on another rehearsal', async () => {
    const script = parseScript(
      `description: x
agents:
  architect:
    - tools: [{ name: Bash, input: { command: 'echo $$ > tool.pid; exec node -e "setTimeout(() => {}, 60000)"' } }]
    - tools: [{ name: Glob, input: { pattern: '*' } }]
    - text: 'after {{prompt}}: {{message}}'`,
      'x.yaml',
    )
    const first = await startClaude({ rehearsal: await rehearse(script), dir: scratch.dir, sessionId })
    const pidFile = join(scratch.dir, 'workspace/tool.pid')
    const toolPid = await until(async () => Number(await readFile(pidFile, 'utf8')), { timeoutMs: 30_000 })
    await transcriptHolds('tool_use')
    process.kill(first.pid, 'SIGKILL')
    await first.ended
    process.kill(toolPid, 'SIGKILL')

    const rehearsal = await rehearse(script)
    const options = { rehearsal, dir: scratch.dir, sessionId, resume: true, prompt: 'go on' }
    const { exitCode, result } = await runClaude(options)
    expect(exitCode).toBe(0)
    expect(result.result).toBe('after do your part: go on')
    expect(rehearsal.requests().map(({ turn }) => turn)).toEqual([1, 2])
    // Else this test does not test what it is for.
    expect(JSON.stringify(rehearsal.requests()[0]?.body)).toContain('No response requested.')
  })

  test('after kill -9 before the first answer, begins with the first turn', async () => {
    const slow = await rehearse(await loadScript('slow'))
    const first = await startClaude({ rehearsal: slow, dir: scratch.dir, sessionId })
    await until(() => slow.requests().length > 0, { timeoutMs: 30_000 })
    await transcriptHolds('do your part')
    process.kill(first.pid, 'SIGKILL')
    await first.ended

    const rehearsal = await rehearse(await loadScript('cache-tokens'))
    await runClaude({ rehearsal, dir: scratch.dir, sessionId, resume: true, prompt: 'go on' })
    expect(rehearsal.requests().map(({ turn }) => turn)).toEqual([0, 1])
    expect(JSON.stringify(rehearsal.requests()[0]?.body)).toContain('No response requested.')
  })

  test('after an API error, begins with the turn that failed', async () => {
    await play('api-error')
    const { requests } = await play('cache-tokens', { resume: true, prompt: 'go on' })
    expect(requests.map(({ turn }) => turn)).toEqual([0, 1])
  })

  test('after its end, says its last turn again', async () => {
    await play('cache-tokens')
    const { result, requests } = await play('cache-tokens', { resume: true, prompt: 'and now?' })
    expect(requests.map(({ turn }) => turn)).toEqual([1])
    expect(result.result).toBe('architect read 7000 tokens from the cache.')
  })

  /** The CLI writes its transcript some time after it has printed a line. */
  async function transcriptHolds(text: string): Promise<void> {
    const projects = join(scratch.dir, 'home/.claude/projects')
    await until(
      async () => {
        const files = (await readdir(projects, { recursive: true })).filter((file) => file.endsWith('.jsonl'))
        const texts = await Promise.all(files.map((file) => readFile(join(projects, file), 'utf8')))
        return texts.some((one) => one.includes(text))
      },
      { timeoutMs: 30_000 },
    )
  }
})
