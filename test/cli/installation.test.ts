/** `config print`, `migrate`, `doctor`: what looks at this installation. */
import { chmod, mkdir, readlink, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readMigrations } from '../../src/ledger/migrate.ts'
import { openLedger } from '../../src/ledger/open.ts'
import { openBoard } from '../board/open-board.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { openCli, type Cli } from './run-cli.ts'

let redis: TestRedis
let cli: Cli
beforeAll(async () => {
  redis = await startRedis()
  cli = await openCli()
})
afterAll(async () => {
  await cli.close()
  await redis.stop()
})

describe('config print', () => {
  test('shows each value and where it came from; secrets are masked', async () => {
    await writeFile(join(cli.dir, 'drover.toml'), 'namespace = "team-a"\n[board]\nport = 8080\n')
    const env = { DROVER_PORT: '8081', REDIS_URL: 'redis://u:s3cret@host:6379', DROVER_TOKEN: 't0ken' }
    const { code, document } = await cli.json(['config', 'print', '--data-dir', 'here'], { env })
    expect(code).toBe(0)
    const settings = new Map(document.settings.map((row: { key: string }) => [row.key, row]))
    expect(settings.get('namespace')).toMatchObject({ value: 'team-a', source: join(cli.dir, 'drover.toml') })
    expect(settings.get('board.port')).toMatchObject({ value: 8081, source: 'environment DROVER_PORT' })
    expect(settings.get('data_dir')).toMatchObject({
      value: join(cli.dir, 'here'),
      source: 'flag --data-dir',
    })
    expect(settings.get('log.level')).toMatchObject({ value: 'info', source: 'default' })
    expect(JSON.stringify(document)).not.toMatch(/s3cret|t0ken/)

    const { stdout } = await cli.run(['config', 'print'], { env })
    expect(stdout).toMatch(/\nboard\.port +8081 +environment DROVER_PORT +DROVER_PORT\n/)
    expect(stdout).not.toMatch(/s3cret|t0ken/)
    await writeFile(join(cli.dir, 'drover.toml'), '')
  })
})

describe('migrate', () => {
  test('makes the ledger and its link, and may be repeated', async () => {
    const first = await cli.json(['migrate', '--data-dir', 'fresh'])
    expect(first.code).toBe(0)
    expect(first.document).toMatchObject({
      success: true,
      ledger: join(cli.dir, 'fresh/orchestrator.db'),
      from: 0,
    })
    expect(first.document.applied).toHaveLength(readMigrations().length)
    expect(await readlink(join(cli.dir, 'fresh/claude_invocations.db'))).toBe('orchestrator.db')

    const again = await cli.run(['migrate', '--data-dir', 'fresh'])
    expect(again.stdout).toMatch(/orchestrator\.db has schema \d+ already\.\n$/)
  })

  test('refuses what is no ledger, exit 3', async () => {
    await mkdir(join(cli.dir, 'garbage'))
    await writeFile(
      join(cli.dir, 'garbage/orchestrator.db'),
      'not a database at all, but long enough to be read as one',
    )
    const { code, document } = await cli.json(['migrate', '--data-dir', 'garbage'])
    expect({ code, error: document.error }).toEqual({ code: 3, error: 'ledger_unavailable' })
  })
})

interface Found {
  readonly name: string
  readonly status: string
  readonly value: string
  readonly fix: string | null
}

describe('doctor', () => {
  /** A program that answers `--version` like the CLI. */
  async function fakeClaude(version: string): Promise<string> {
    const file = join(cli.dir, `claude-${version}`)
    await writeFile(file, `#!/bin/sh\n[ "$1" = auth ] && exit 1\necho "${version} (Claude Code)"\n`)
    await chmod(file, 0o755)
    return file
  }

  async function doctor(
    env: Record<string, string>,
    args: readonly string[] = [],
  ): Promise<{ code: number | null; success: boolean; checks: Map<string, Found>; text: string }> {
    const claude = await fakeClaude('2.1.329')
    const answer = await cli.json(['doctor', ...args], {
      env: { DROVER_CLAUDE_PATH: claude, DROVER_PORT: '0', ...env },
    })
    const { success, checks } = answer.document as { success: boolean; checks: Found[] }
    return {
      code: answer.code,
      success,
      checks: new Map(checks.map((check) => [check.name, check])),
      text: JSON.stringify(answer.document),
    }
  }

  test('says what is here; secrets never', async () => {
    const { code, success, checks, text } = await doctor({
      REDIS_URL: redis.url,
      ANTHROPIC_API_KEY: 'sk-ant-s3cret',
    })
    expect({ code, success }).toEqual({ code: 0, success: true })
    expect([...checks.keys()]).toEqual([
      'node',
      'git',
      'claude',
      'credentials',
      'guard',
      'redis',
      'redis persistence',
      'redis eviction',
      'redis memory',
      'leases',
      'pods',
      'ledger',
      'disk',
      'memory',
      'agent types',
      'port',
    ])
    expect(checks.get('node')).toMatchObject({ status: 'ok', value: process.versions.node, fix: null })
    expect(checks.get('claude')).toMatchObject({ status: 'ok' })
    expect(checks.get('credentials')).toMatchObject({ status: 'ok', value: 'from ANTHROPIC_API_KEY' })
    expect(checks.get('redis')?.value).toMatch(/^(Redis|Valkey) \d+\.\d+\.\d+ at redis:\/\/127/)
    expect(checks.get('guard')?.value).toMatch(/^(pid_namespace|cgroup|group) \(/)
    expect(checks.get('redis eviction')).toMatchObject({ status: 'ok', value: 'noeviction' })
    // The test's server keeps nothing: that works, but is said.
    expect(checks.get('redis persistence')).toMatchObject({ status: 'warn' })
    expect(text).not.toContain('s3cret')
  })

  test('exit 1 when something fails, each with what to do', async () => {
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    await writeFile(join(cli.dir, 'specs.json'), '{}')
    const { code, success, checks } = await doctor({
      REDIS_URL: 'redis://:s3cret@127.0.0.1:1',
      DROVER_CLAUDE_PATH: join(cli.dir, 'no-claude'),
      DROVER_AGENT_SPECS: 'specs.json',
      DROVER_PORT: String(port),
    })
    listener.close()
    expect({ code, success }).toEqual({ code: 1, success: false })
    const failing = [...checks.values()].filter(({ status }) => status === 'fail')
    expect(failing.map(({ name }) => name)).toEqual(['claude', 'redis', 'agent types', 'port'])
    expect(failing.every(({ fix }) => (fix ?? '').length > 10)).toBe(true)
    expect(checks.get('redis')?.value).not.toContain('s3cret')
  })

  test('a port that a Drover has is well', async () => {
    const board = await openBoard(redis.url)
    const { checks } = await doctor({ REDIS_URL: redis.url, DROVER_PORT: String(board.board.port) })
    await board.stop()
    expect(checks.get('port')).toMatchObject({ status: 'ok' })
    expect(checks.get('port')?.value).toMatch(/is held by Drover \d+\.\d+\.\d+ \(pid \d+\)/)
  })

  test('a ledger that cannot be read fails, one that is not there yet does not, and none is made', async () => {
    const { checks } = await doctor({ REDIS_URL: redis.url }, ['--data-dir', 'nowhere'])
    expect(checks.get('ledger')).toMatchObject({ status: 'ok' })
    await mkdir(join(cli.dir, 'torn'))
    await writeFile(
      join(cli.dir, 'torn/orchestrator.db'),
      'not a database at all, but long enough to be read as one',
    )
    const torn = await doctor({ REDIS_URL: redis.url }, ['--data-dir', 'torn'])
    expect(torn.checks.get('ledger')).toMatchObject({ status: 'fail' })
    expect(await readlink(join(cli.dir, 'nowhere')).catch((error: { code: string }) => error.code)).toBe(
      'ENOENT',
    )
  })

  test('a ledger that was taken away from a board is not taken for one that is not made yet', async () => {
    const file = join(cli.dir, 'held/orchestrator.db')
    const ledger = openLedger(file)
    try {
      await rm(file)
      const { checks } = await doctor({ REDIS_URL: redis.url }, ['--data-dir', 'held'])
      expect(checks.get('ledger')).toMatchObject({
        status: 'fail',
        value: expect.stringContaining('was moved or deleted while a board uses it'),
      })
    } finally {
      ledger.close()
    }
  })

  test('without a Redis it looks for a program; without a login it says so', async () => {
    const { checks } = await doctor({})
    expect(['ok', 'warn', 'fail']).toContain(checks.get('redis')?.status)
    expect(checks.get('redis')?.value).toMatch(/^none configured/)
    expect(checks.get('credentials')).toMatchObject({ status: 'warn', value: 'none' })
  })

  test('as text: a line each, with what to do below', async () => {
    const { stdout } = await cli.run(['doctor'], {
      env: { REDIS_URL: 'redis://127.0.0.1:1', DROVER_PORT: '0' },
    })
    expect(stdout).toMatch(/^ok {4}node +\d+/)
    expect(stdout).toMatch(
      /\nfail {2}redis +Redis at redis:\/\/127\.0\.0\.1:1 is not reachable.*\n +→ Start that server/,
    )
  })
})
