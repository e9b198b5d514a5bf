import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { MAIN, openCli, type Cli } from './run-cli.ts'

let cli: Cli
beforeAll(async () => {
  cli = await openCli()
})
afterAll(async () => {
  await cli.close()
})

describe('help and version', () => {
  test('print on stdout and succeed', async () => {
    const [help, version] = await Promise.all([cli.run(['--help']), cli.run(['--version'])])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('Usage: drover')
    expect(version).toMatchObject({ code: 0, stderr: '' })
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    const asJson = await cli.json(['--version'])
    expect(asJson.document).toEqual({ success: true, version: version.stdout.trim() })
  })

  test('of one command, with examples', async () => {
    const { code, stdout, stderr } = await cli.run(['tasks', 'add', '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Usage: drover tasks add')
    expect(stdout).toContain(`Examples:\n  $ `)
  })
})

describe('wrong usage', () => {
  test.each([
    [['spwan'], 'Did you mean spawn?'],
    [['sessions', 'lst'], 'Did you mean list?'],
    [['spawn', 'architect', 'x', '--wiat'], 'Did you mean --wait?'],
    [['spawn', 'architect', '-fix it'], 'A prompt that begins with "-" goes after "--".'],
    [['spawn', 'architect', 'x', '--wait', 'long'], 'Allowed choices are accepted, started, completed.'],
    [['spawn', 'architect', 'x', '--timeout', '1.5'], 'It must be a whole number.'],
    [['spawn', 'architect', 'x', '--timeout', '-1'], 'It must be a whole number.'],
    [['spawn'], "Missing required argument 'agent_type'."],
    [['sessions', 'show'], "Missing required argument 'session_id'."],
    [['sessions', 'show', 'a', 'b'], 'Too many arguments'],
  ])('%j: a sentence, exit 2', async (args, sentence) => {
    const { code, stdout, stderr } = await cli.run(args)
    expect(stderr).toContain(sentence)
    expect(stderr).toMatch(/^error: .* See "drover.* --help"\.\n$/)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('all values that are wrong are listed at once', async () => {
    const values = ['--wait', 'long', '--timeout', '-1', '--priority', 'high', '--var', 'x']
    const { code, stdout } = await cli.run(['spawn', 'architect', 'x', ...values, '--json'])
    expect(code).toBe(2)
    const { error, issues } = JSON.parse(stdout)
    expect(error).toBe('invalid_request')
    expect(issues.map(({ path }: { path: string }) => path)).toEqual([
      '--wait',
      '--timeout',
      '--priority',
      '--var',
    ])
    const { stderr } = await cli.run(['cost', '--by', 'nonsense', '--limit', 'many'])
    expect(stderr).toMatch(
      /^error: The command line was refused:\n {2}- --by: "nonsense" is invalid\. Allowed choices are .*\n {2}- --limit: /,
    )
  })

  test('without a command the help comes, on stderr, and it is a mistake', async () => {
    const { code, stdout, stderr } = await cli.run([])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: drover')
  })

  test('with --json it is a document, wherever that stands', async () => {
    for (const args of [
      ['--json', 'spwan'],
      ['spwan', '--json'],
    ]) {
      const { code, stdout } = await cli.run(args)
      expect(code).toBe(2)
      expect(JSON.parse(stdout)).toMatchObject({
        success: false,
        error: 'invalid_request',
        issues: [{ path: '', message: expect.stringContaining('spwan') }],
      })
    }
  })

  test('after "--" it is not an option', async () => {
    const { code, stdout, stderr } = await cli.run(['spawn', 'architect', '--', '--json'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toContain('Nobody answers')
  })
})

describe('a configuration that is refused', () => {
  test('lists every problem on a line of its own, exit 2', async () => {
    const env = { DROVER_PORT: 'x', DROVER_LEASE_TTL_MS: '-1', DROVER_PROT: '1' }
    const { code, stderr } = await cli.run(['config', 'print'], { env })
    expect(code).toBe(2)
    expect(stderr.split('\n').filter((line) => line.startsWith('  - '))).toHaveLength(3)
  })
})

describe('failures', () => {
  test('nobody there: a sentence, exit 3; a document with --json', async () => {
    const text = await cli.run(['sessions', 'list'])
    expect(text).toEqual({
      code: 3,
      stdout: '',
      stderr:
        'error: Nobody answers at http://127.0.0.1:1. Start Drover with `drover up`, or set DROVER_URL.\n',
    })
    const { code, document, stderr } = await cli.json(['sessions', 'list'])
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' })
    expect(document).toMatchObject({ success: false, error: 'board_unavailable' })
  })

  test('a ledger that cannot be made is one line without a stack, exit 3', async () => {
    const file = join(cli.dir, 'file')
    await writeFile(file, '')
    const { code, stderr } = await cli.run(['migrate', '--data-dir', join(file, 'data')])
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).not.toContain('    at ')
    expect(code).toBe(3)
  })

  test('a working directory that is gone is said', async () => {
    const gone = join(cli.dir, 'gone')
    await mkdir(gone)
    const script = `cd '${gone}' && rmdir '${gone}' && exec '${process.execPath}' '${MAIN}' config print`
    const failed = await promisify(execFile)('sh', ['-c', script], { env: { HOME: cli.dir } }).catch(
      (error: unknown) => error,
    )
    expect(failed).toMatchObject({
      code: 2,
      stderr: 'error: The current directory was removed. Change to another one.\n',
    })
  })
})

describe('the process', () => {
  test('the HTTP commands load neither BullMQ, ioredis nor SQLite', async () => {
    const report = `
      import { registerHooks } from 'node:module'
      const seen = []
      registerHooks({ load(url, context, next) { seen.push(url); return next(url, context) } })
      process.on('exit', () => process.stderr.write([...seen, ...process.moduleLoadList].join('\\n')))`
    const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(report)}`]
    for (const args of [
      ['spawn', 'architect', 'x'],
      ['sessions', 'list'],
      ['tasks', 'list'],
      ['watch', 'architect'],
    ]) {
      const { stderr } = await cli.run(args, { nodeArgs })
      expect(stderr).toContain('node_modules/commander/')
      expect(stderr).toContain('src/producer/http-client.ts')
      expect(stderr).not.toMatch(/node_modules\/(bullmq|ioredis|better-sqlite3|execa|fastify|pino)\//)
      // All of fetch: what `import 'node:http'` brings along.
      expect(stderr).not.toContain('internal/deps/undici/undici')
      expect(stderr).not.toMatch(/src\/(queue\/(?!agent-types)|ledger|board|worker|guard|recorder)/)
    }
  })

  test('a reader that goes away is no error', async () => {
    const running = cli.start(['config', 'print'])
    running.child.stdout?.destroy()
    const { code, stderr } = await running.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('SIGINT ends a waiting command with 130', async () => {
    // A board that takes the request and never answers.
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const asked = once(server, 'request')
    const running = cli.start(['sessions', 'list'], { env: { DROVER_URL: `http://127.0.0.1:${port}` } })
    await asked
    running.child.kill('SIGINT')
    const { code, stdout, stderr } = await running.ended
    expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: '', stderr: '' })
    server.closeAllConnections()
    server.close()
    await until(() => !server.listening)
  })
})
