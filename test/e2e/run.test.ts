import { readFile, readdir, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDrover, type Drover } from '../support/drover.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let drover: Drover
let workspace: string
beforeEach(async () => {
  scratch = await createScratch()
  drover = openDrover(scratch)
  workspace = join(scratch.dir, 'workspace')
  await mkdir(workspace)
})
afterEach(() => scratch.check())

const run = (...args: string[]) => drover.run(['run', ...args, '--workspace', workspace, '--json'])

test('a session from nothing to its result', async () => {
  // The bare option must not take the prompt for the name of a script.
  const ran = await run('architect', '--rehearse', 'Say', 'hello')
  expect(ran.code, ran.stderr).toBe(0)
  expect(ran.json()).toMatchObject({
    success: true,
    status: 'completed',
    output: expect.stringContaining('Say hello') as string,
    cost: 0.005,
    usage: { input_tokens: 1000, output_tokens: 50 },
    restarts: 0,
  })
  expect(await scratch.processes()).toEqual([])
})

test('an API that refuses: session_failed, although the CLI’s own line says success', async () => {
  const ran = await run('architect', 'Say hello', '--rehearse=api-error')
  expect(ran.code).toBe(1)
  expect(ran.json()).toMatchObject({ success: false, error: 'session_failed', failure_reason: 'api_error' })
})

test('a prompt that begins with a dash, from a file and after --', async () => {
  const file = join(scratch.dir, 'prompt.txt')
  await writeFile(file, '--help me')
  const fromFile = await run('architect', '--rehearse', '--prompt-file', file)
  expect(fromFile.json()).toMatchObject({ output: expect.stringContaining('--help me') as string })
  const afterDashes = await drover.run([
    'run',
    '--rehearse',
    '--json',
    '--workspace',
    workspace,
    'architect',
    '--',
    '-v is my prompt',
  ])
  expect(afterDashes.json()).toMatchObject({ output: expect.stringContaining('-v is my prompt') as string })
})

test('no account is reached: planted secrets arrive nowhere', async () => {
  const secrets = {
    ANTHROPIC_API_KEY: 'sk-ant-canary-1',
    ANTHROPIC_AUTH_TOKEN: 'canary-2',
    CLAUDE_CODE_OAUTH_TOKEN: 'canary-3',
    CLAUDE_CONFIG_DIR: '/canary-4',
    AWS_SECRET_ACCESS_KEY: 'canary-5',
    GOOGLE_APPLICATION_CREDENTIALS: '/canary-6',
    ANTHROPIC_BASE_URL: 'http://canary-7.invalid',
    CLAUDE_CODE_USE_BEDROCK: 'canary-8',
    DATABASE_PASSWORD: 'canary-9',
  }
  const script = join(scratch.dir, 'environment.yaml')
  await writeFile(
    script,
    `description: prints the agent's environment
agents:
  code_developer:
    - text: I look at my environment.
      tools: [{ name: Bash, input: { command: 'env; cat ~/.claude.json ~/.claude/* 2>/dev/null; echo HOME=$HOME' } }]
      usage: { input_tokens: 10, output_tokens: 10 }
    - text: Done.
      usage: { input_tokens: 10, output_tokens: 10 }
`,
  )
  await writeFile(join(scratch.dir, '.claude.json'), '{"oauthAccount": "canary-10"}')
  const args = ['run', 'code_developer', 'Look', `--rehearse=${script}`, '--workspace', workspace, '--json']
  const ran = await drover.run(args, { env: { ...secrets, DROVER_KEEP_SPOOLS: 'true' } })
  expect(ran.code, ran.stderr).toBe(0)

  const files = await readdir(join(scratch.dir, 'data'), { recursive: true, withFileTypes: true })
  const texts = await Promise.all(
    files
      .filter((entry) => entry.isFile())
      .map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')),
  )
  const everything = [...texts, ran.stdout, ran.stderr].join('\n')
  // The agent did print its environment into the record, and it is the rehearsal's.
  expect(everything).toContain('ANTHROPIC_BASE_URL=http://127.0.0.1:')
  expect(everything).not.toMatch(/canary/)
})

test('everything that can be wrong is said first: a sentence, the exit code, nothing started', async () => {
  const broken = join(scratch.dir, 'broken.json')
  await writeFile(broken, '{"agent_types": {"architect": {"description": "x", "modle": "opus"}}}')
  const huge = join(scratch.dir, 'huge.txt')
  await writeFile(huge, 'x'.repeat(11 * 1024 * 1024))
  const file = join(scratch.dir, 'file')
  await writeFile(file, '')
  const cases: [string[], Record<string, string>, number, RegExp][] = [
    [['architect', 'x'], { DROVER_CLAUDE_PATH: '/nope/claude' }, 3, /\/nope\/claude/],
    [['architect', 'x', '--rehearse'], { DROVER_CLAUDE_PATH: '/nope/claude' }, 3, /\/nope\/claude/],
    [['architect', 'x'], {}, 3, /no login.*--rehearse/],
    [
      ['architect', 'x', '--rehearse'],
      { REDIS_URL: 'redis://127.0.0.1:1' },
      3,
      /Redis at redis:\/\/127\.0\.0\.1:1 /,
    ],
    [['architct', 'x', '--rehearse'], {}, 2, /Did you mean "architect"/],
    [['architect', 'x', '--rehearse'], { DROVER_AGENT_SPECS: broken }, 2, /modle/],
    [['architect', 'x', '--rehearse=nope'], {}, 2, /no rehearsal script "nope"/],
    [['architect', '', '--rehearse'], {}, 2, /empty/],
    [['architect', '--rehearse'], {}, 2, /no prompt/],
    [['architect', '--rehearse', '--prompt-file', huge], {}, 2, /more than 10 MB/],
    [['architect', 'x', '--rehearse', '--workspace', file], {}, 2, /not a directory/],
    [['architect', 'x', '--rehearse', '--timeout', 'soon'], {}, 2, /timeout/],
    [['architect', 'x', '--reherse'], {}, 2, /--rehearse/],
  ]
  for (const [args, env, code, sentence] of cases) {
    const ran = await drover.run(['run', ...args], { env, cwd: workspace })
    expect([args, ran.code, ran.stderr]).toEqual([args, code, expect.stringMatching(sentence) as string])
    expect(ran.stderr).not.toMatch(/^\s+at /m)
    expect(ran.stdout).toBe('')
  }
  expect(await scratch.processes()).toEqual([])
})

test('a port that is taken: exit 3, naming it', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await until(() => server.listening)
  const { port } = server.address() as { port: number }
  const ran = await drover.run(['up', '--rehearse', '--port', String(port)])
  expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining(String(port)) as string])
  server.close()
})

test('interrupted: exit 130, and nothing is left', async () => {
  const running = drover.start(['run', 'architect', 'x', '--rehearse=slow', '--workspace', workspace])
  await until(() => running.stderr().includes('architect') || running.stderr().includes('starting'), {
    timeoutMs: 30_000,
    message: () => running.stderr(),
  })
  const since = Date.now()
  running.kill('SIGINT')
  expect(await running.exited).toBe(130)
  // Its agent is ended, not waited for: the drain alone would take 30 s.
  expect(Date.now() - since).toBeLessThan(20_000)
  expect(await scratch.processes()).toEqual([])
})
