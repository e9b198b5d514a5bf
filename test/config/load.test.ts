import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { configRows, loadConfig, type ConfigSources } from '../../src/config/load.ts'
import { listSettings } from '../../src/config/settings.ts'
import type { Issue } from '../../src/core/errors.ts'
import { issuesOf, refusalOf, tempDir } from './files.ts'

type Env = Record<string, string | undefined>

/** A directory without a configuration file. */
const NOWHERE = '/nonexistent'

function problemsOf(sources: Partial<ConfigSources>): string[] {
  return issues(sources).map(({ message }) => message)
}

function issues(sources: Partial<ConfigSources>): readonly Issue[] {
  return issuesOf(() => loadConfig({ env: {}, cwd: NOWHERE, ...sources }))
}

describe('sources', () => {
  test('without any source: the defaults of the contract', () => {
    const { config } = loadConfig({ env: {}, cwd: NOWHERE })
    expect(config).toEqual({
      redis: { url: null },
      namespace: 'default',
      dataDir: '/nonexistent/data',
      toolsDir: null,
      board: { host: '127.0.0.1', port: 4680, tokens: [], allowedHosts: [] },
      client: { url: 'http://127.0.0.1:4680', token: null },
      podId: expect.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]*-\d+$/),
      agentSpecs: null,
      workspace: { roots: [NOWHERE] },
      claude: { path: null },
      lease: { ttlMs: 30_000, renewMs: 7500, marginMs: 5000 },
      liveness: {
        heartbeatMs: 5000,
        stallTimeoutMs: 60_000,
        idleTimeoutMs: 1_800_000,
        toolTimeoutMs: 90_000,
      },
      guard: { requireTier: 'none' },
      restart: { backoffMs: 2000, maxRestarts: 3 },
      session: {
        startupTimeoutMs: 10_000,
        killGraceMs: 10_000,
        permissionWaitMs: 600_000,
        messageWaitMs: 600_000,
        endGraceMs: 15_000,
        transcriptIntervalMs: 5000,
      },
      worker: {
        drainGraceMs: 30_000,
        minFreeMemoryMb: 500,
        minFreeCpuPercent: 20,
        minFreeDiskMb: 100,
        maxSessions: null,
        workspaceWaitMs: 600_000,
        healthHost: '127.0.0.1',
        healthPort: 0,
        keepSpools: false,
      },
      recorder: { streamHighWater: 200_000 },
      ledger: { backupKeep: 0, maxSizeMb: 0, retentionDays: 0 },
      lineage: { maxDepth: 3, maxChildren: 10 },
      mcp: { maxResultChars: 20_000 },
      redaction: { env: [], patterns: [], known: true },
      log: { level: 'info' },
    })
  })

  test('the names of the contract', () => {
    const names = Object.fromEntries(
      listSettings().map(({ key, setting }) => [setting.env, setting.inFile ? key : '–']),
    )
    expect(names).toEqual({
      REDIS_URL: 'redis.url',
      DROVER_NAMESPACE: 'namespace',
      DROVER_DATA_DIR: 'data_dir',
      DROVER_TOOLS_DIR: 'tools_dir',
      DROVER_HOST: 'board.host',
      DROVER_PORT: 'board.port',
      DROVER_TOKENS: 'board.tokens',
      DROVER_ALLOWED_HOSTS: 'board.allowed_hosts',
      DROVER_URL: 'client.url',
      DROVER_TOKEN: '–',
      DROVER_POD_ID: '–',
      DROVER_AGENT_SPECS: 'agent_specs',
      DROVER_WORKSPACE_ROOTS: 'workspace.roots',
      DROVER_CLAUDE_PATH: 'claude.path',
      DROVER_LEASE_TTL_MS: 'lease.ttl_ms',
      DROVER_LEASE_RENEW_MS: 'lease.renew_ms',
      DROVER_LEASE_MARGIN_MS: 'lease.margin_ms',
      DROVER_HEARTBEAT_MS: 'liveness.heartbeat_ms',
      DROVER_STALL_TIMEOUT_MS: 'liveness.stall_timeout_ms',
      DROVER_IDLE_TIMEOUT_MS: 'liveness.idle_timeout_ms',
      DROVER_TOOL_TIMEOUT_MS: 'liveness.tool_timeout_ms',
      DROVER_GUARD_REQUIRE_TIER: 'guard.require_tier',
      DROVER_RESTART_BACKOFF_MS: 'restart.backoff_ms',
      DROVER_MAX_RESTARTS: 'restart.max_restarts',
      DROVER_STARTUP_TIMEOUT_MS: 'session.startup_timeout_ms',
      DROVER_KILL_GRACE_MS: 'session.kill_grace_ms',
      DROVER_PERMISSION_WAIT_MS: 'session.permission_wait_ms',
      DROVER_MESSAGE_WAIT_MS: 'session.message_wait_ms',
      DROVER_END_GRACE_MS: 'session.end_grace_ms',
      DROVER_TRANSCRIPT_INTERVAL_MS: 'session.transcript_interval_ms',
      DROVER_DRAIN_GRACE_MS: 'worker.drain_grace_ms',
      DROVER_MIN_FREE_MEMORY_MB: 'worker.min_free_memory_mb',
      DROVER_MIN_FREE_CPU_PERCENT: 'worker.min_free_cpu_percent',
      DROVER_MIN_FREE_DISK_MB: 'worker.min_free_disk_mb',
      DROVER_MAX_SESSIONS: 'worker.max_sessions',
      DROVER_WORKSPACE_WAIT_MS: 'worker.workspace_wait_ms',
      DROVER_HEALTH_HOST: 'worker.health_host',
      DROVER_HEALTH_PORT: 'worker.health_port',
      DROVER_KEEP_SPOOLS: 'worker.keep_spools',
      DROVER_STREAM_HIGH_WATER: 'recorder.stream_high_water',
      DROVER_LEDGER_BACKUP_KEEP: 'ledger.backup_keep',
      DROVER_LINEAGE_MAX_DEPTH: 'lineage.max_depth',
      DROVER_LINEAGE_MAX_CHILDREN: 'lineage.max_children',
      DROVER_MCP_MAX_RESULT_CHARS: 'mcp.max_result_chars',
      DROVER_LEDGER_MAX_SIZE_MB: 'ledger.max_size_mb',
      DROVER_LEDGER_RETENTION_DAYS: 'ledger.retention_days',
      DROVER_REDACTION_ENV: 'redaction.env',
      DROVER_REDACTION_PATTERNS: 'redaction.patterns',
      DROVER_REDACTION_KNOWN: 'redaction.known',
      DROVER_LOG_LEVEL: 'log.level',
    })
  })

  test('the file, then the environment, then flags; each value knows where it came from', () => {
    const cwd = tempDir({
      'drover.toml': '[board]\nport = 1\nhost = "a"\n[worker]\nmax_sessions = 1\nkeep_spools = true',
    })
    const env: Env = { DROVER_PORT: '2', DROVER_MAX_SESSIONS: '2' }
    const { config, sources } = loadConfig({ env, cwd, flags: { port: '3', json: true, host: undefined } })
    expect(config.board).toMatchObject({ host: 'a', port: 3 })
    expect(config.worker).toMatchObject({ maxSessions: 2, keepSpools: true })
    expect(sources.get('board.port')).toEqual({ value: 3, source: 'flag --port' })
    expect(sources.get('worker.max_sessions')?.source).toBe('environment DROVER_MAX_SESSIONS')
    expect(sources.get('board.host')?.source).toBe(join(cwd, 'drover.toml'))
    expect(sources.get('namespace')).toEqual({ value: 'default', source: 'default' })
  })

  test('an empty variable counts as not set, an empty flag does not', () => {
    expect(
      loadConfig({ env: { DROVER_TOKEN: '', REDIS_URL: '', DROVER_CONFIG: '' }, cwd: NOWHERE }).config,
    ).toMatchObject({
      client: { token: null },
      redis: { url: null },
    })
    expect(problemsOf({ flags: { namespace: '' } })).toHaveLength(1)
  })

  test('relative paths count from the file in the file, else from the current directory', () => {
    const cwd = tempDir({
      'etc/drover.toml': 'data_dir = "d"\nagent_specs = "../a.json"\n[workspace]\nroots = ["w", "/abs"]',
    })
    const env: Env = { DROVER_CONFIG: 'etc/drover.toml', DROVER_CLAUDE_PATH: 'bin/claude' }
    const { config } = loadConfig({ env, cwd })
    expect(config).toMatchObject({
      dataDir: join(cwd, 'etc/d'),
      agentSpecs: join(cwd, 'a.json'),
      workspace: { roots: [join(cwd, 'etc/w'), '/abs'] },
      claude: { path: join(cwd, 'bin/claude') },
    })
    const roots = loadConfig({ env: { DROVER_WORKSPACE_ROOTS: 'a:/b' }, cwd: '/here' }).config.workspace.roots
    expect(roots).toEqual(['/here/a', '/b'])
  })

  test('a file given by the caller goes before DROVER_CONFIG', () => {
    const cwd = tempDir({
      'a.toml': 'namespace = "a"',
      'b.toml': 'namespace = "b"',
      'drover.toml': 'namespace = "c"',
    })
    expect(loadConfig({ env: { DROVER_CONFIG: 'b.toml' }, cwd, file: 'a.toml' }).config.namespace).toBe('a')
    expect(loadConfig({ env: { DROVER_CONFIG: 'b.toml' }, cwd }).config.namespace).toBe('b')
    expect(loadConfig({ env: {}, cwd }).config.namespace).toBe('c')
  })

  test('the result is frozen through and through', () => {
    const { config } = loadConfig({ env: {}, cwd: NOWHERE })
    expect(() => Object.assign(config.lease, { ttlMs: 1 })).toThrow(TypeError)
    expect(() => Object.assign(config.workspace.roots, ['/'])).toThrow(TypeError)
    expect(() => Object.assign(config, { namespace: 'x' })).toThrow(TypeError)
  })
})

describe('the file', () => {
  test('named and missing is an error; not named and missing is not', () => {
    expect(problemsOf({ env: { DROVER_CONFIG: 'no.toml' } })).toEqual([
      '/nonexistent/no.toml (named by DROVER_CONFIG) does not exist',
    ])
    expect(problemsOf({ file: '/nonexistent/x.toml' })).toEqual(['/nonexistent/x.toml does not exist'])
  })

  test('that is a directory or a FIFO is a sentence, and no hang', () => {
    const cwd = tempDir()
    mkdirSync(join(cwd, 'drover.toml'))
    expect(problemsOf({ cwd })).toEqual([`${join(cwd, 'drover.toml')} is a directory, not a file`])
    execFileSync('mkfifo', [join(cwd, 'fifo')])
    expect(problemsOf({ cwd, file: 'fifo' })).toEqual([`${join(cwd, 'fifo')} is not a regular file`])
  })

  test('with a syntax error names the line', () => {
    const cwd = tempDir({ 'drover.toml': 'namespace = "a"\n[board\nport = 1' })
    expect(problemsOf({ cwd })[0]).toMatch(/drover\.toml:2: is not valid TOML: /)
  })

  test('unknown and misplaced keys are errors that name the right one', () => {
    const cwd = tempDir({
      'drover.toml': [
        'namespce = "a"',
        'ttl_ms = 5',
        'log = "info"',
        'pod_id = "p"',
        'surprise = 1',
        '[board]',
        'max_sessions = 1',
        '[leese]',
        'ttl_ms = 1',
        '[client]',
        'token = "secret-token"',
      ].join('\n'),
    })
    const file = join(cwd, 'drover.toml')
    const problems = problemsOf({ cwd })
    expect(problems).toEqual([
      `${file}: unknown key "namespce"; did you mean "namespace"?`,
      `${file}: unknown key "ttl_ms"; did you mean "lease.ttl_ms"?`,
      `${file}: "log" must be a table: [log]`,
      `${file}: "pod_id" is not read from a file; set DROVER_POD_ID instead`,
      `${file}: unknown key "surprise"; docs/configuration.md lists the keys`,
      `${file}: unknown key "board.max_sessions"; did you mean "worker.max_sessions"?`,
      `${file}: unknown key "leese"; did you mean "lease"?`,
      `${file}: "client.token" is not read from a file; set DROVER_TOKEN instead`,
    ])
    expect(problems.join('')).not.toContain('secret-token')
  })

  test('numbers are numbers in the file, not text', () => {
    const cwd = tempDir({ 'drover.toml': '[board]\nport = "4680"' })
    expect(problemsOf({ cwd })).toEqual([
      `board.port (${join(cwd, 'drover.toml')}) must be a whole number from 0 to 65535, not "4680"`,
    ])
  })

  test.each(['nan', 'inf', '-1', '1.5', '1e309', '2026-01-01', 'true', '[1]', '"5m"', '{ a = 1 }'])(
    'a time of %s is refused',
    (value) => {
      const cwd = tempDir({ 'drover.toml': `[session]\nkill_grace_ms = ${value}` })
      expect(problemsOf({ cwd })).toHaveLength(1)
    },
  )
})

describe('problems', () => {
  test('all are reported together, each with its source', () => {
    const cwd = tempDir({ 'drover.toml': 'namespace = "Team A"\ncolour = "red"' })
    const env: Env = { DROVER_PORT: '5m', DROVER_LEASE_TTL: '1', DROVER_LOG_LEVEL: 'loud' }
    const refusal = refusalOf(() => loadConfig({ cwd, env, flags: { maxSessions: '-1' } }))
    const found = issues({ cwd, env, flags: { maxSessions: '-1' } })
    expect(found.map(({ path }) => path).toSorted()).toEqual([
      'DROVER_LEASE_TTL',
      'board.port',
      'colour',
      'log.level',
      'namespace',
      'worker.max_sessions',
    ])
    const text = refusal?.message ?? ''
    expect(found.every(({ message }) => text.includes(`\n  - ${message}`))).toBe(true)
    expect(text).toContain(
      'board.port (environment DROVER_PORT) must be a whole number from 0 to 65535, not "5m"',
    )
    expect(text).toContain('worker.max_sessions (flag --max-sessions) must be')
    expect(text).toContain('log.level (environment DROVER_LOG_LEVEL) must be one of trace, debug, info')
  })

  test('unknown variables are refused with the near one; what an agent or the kubelet has is not', () => {
    expect(problemsOf({ env: { DROVER_PROT: '1' } })).toEqual([
      'environment DROVER_PROT: there is no such setting; did you mean "DROVER_PORT"?',
    ])
    const inherited: Env = {
      DROVER_SESSION_ID: 'x',
      DROVER_ATTEMPT: '1',
      DROVER_AGENT_MARK: 'x',
      DROVER_REQUIRE_CHROMIUM: '1',
      DROVER_TEST_MARK: 'x',
      DROVER_SERVICE_HOST: '10.0.0.1',
      DROVER_PORT_4680_TCP_ADDR: '10.0.0.1',
      DROVERS: 'x',
    }
    expect(problemsOf({ env: inherited })).toEqual([])
  })

  test.each([
    'redis://localhost',
    'redis://user:pw@host:6380/2?family=6',
    'rediss://host:6380',
    'unix:///run/redis.sock',
    '/run/redis.sock?db=1',
  ])('%s is a Redis', (url) => {
    expect(problemsOf({ env: { REDIS_URL: url } })).toEqual([])
  })

  test.each([
    'localhost:6379',
    'http://h',
    'redis://',
    'unix:redis.sock',
    'unix://host/x',
    '6379',
    '//host',
    'secret',
  ])('%s is none, and is not repeated in the message', (url) => {
    const [problem = ''] = problemsOf({ env: { REDIS_URL: url } })
    expect(problem).toMatch(/^redis\.url \(environment REDIS_URL\) must be the address of a Redis/)
    expect(problem).not.toMatch(/, not /)
  })

  test('a unix socket becomes the form that ioredis takes', () => {
    const { config } = loadConfig({ env: { REDIS_URL: 'unix:///run/my redis.sock?db=2' }, cwd: NOWHERE })
    expect(config.redis.url).toBe('/run/my redis.sock?db=2')
  })

  test('a board address is http(s), without a user, and loses its last slash', () => {
    expect(loadConfig({ env: { DROVER_URL: 'https://h/drover/' }, cwd: NOWHERE }).config.client.url).toBe(
      'https://h/drover',
    )
    for (const url of ['ftp://h', 'h:1', 'http://u:p@h', 'http://h?x=1', 'http://']) {
      expect(problemsOf({ env: { DROVER_URL: url } })).toHaveLength(1)
    }
  })

  test('paths with ~ or nothing in them are refused', () => {
    expect(problemsOf({ env: { DROVER_DATA_DIR: '~/data' } })[0]).toContain('is not expanded')
    expect(problemsOf({ env: { DROVER_WORKSPACE_ROOTS: '/a::/b' } })).toHaveLength(1)
  })

  test.each(['a b', 'Ünder', '-x', '../x', 'x'.repeat(129)])('the pod id %s is refused', (id) => {
    expect(problemsOf({ env: { DROVER_POD_ID: id } })).toHaveLength(1)
  })
})

describe('rules between settings', () => {
  const lease = (ttl: number, renew: number, margin: number): string[] =>
    problemsOf({
      env: {
        DROVER_LEASE_TTL_MS: String(ttl),
        DROVER_LEASE_RENEW_MS: String(renew),
        DROVER_LEASE_MARGIN_MS: String(margin),
      },
    })

  test('margin: less than a third of the lease', () => {
    expect(lease(30_000, 7500, 9999)).toEqual([])
    expect(lease(30_000, 7500, 10_000)).toEqual([
      'lease.margin_ms must be less than a third of lease.ttl_ms: lease.margin_ms is 10000 ' +
        '(environment DROVER_LEASE_MARGIN_MS), lease.ttl_ms is 30000 (environment DROVER_LEASE_TTL_MS)',
    ])
  })

  test('renewal: at most a quarter of the lease', () => {
    expect(lease(30_000, 7500, 5000)).toEqual([])
    expect(lease(30_000, 7501, 5000)[0]).toContain('lease.renew_ms must be at most a quarter of lease.ttl_ms')
  })

  test('heartbeat: less than the stall timeout, also across sources', () => {
    const cwd = tempDir({ 'drover.toml': '[liveness]\nstall_timeout_ms = 1000' })
    expect(problemsOf({ cwd, env: { DROVER_HEARTBEAT_MS: '999' } })).toEqual([])
    expect(problemsOf({ cwd, env: { DROVER_HEARTBEAT_MS: '1000' } })[0]).toContain(
      'liveness.heartbeat_ms must be less than liveness.stall_timeout_ms',
    )
  })

  test('a value that was refused already is not held against another', () => {
    expect(problemsOf({ env: { DROVER_LEASE_TTL_MS: '5m' } })).toHaveLength(1)
  })
})

describe('redaction', () => {
  test('of the file and of the environment, checked with all problems at once', () => {
    const cwd = tempDir({
      'drover.toml': '[redaction]\nenv = ["CORP_*", "!SORT_KEY"]\npatterns = ["acme=ACME-[0-9]{8}"]',
    })
    expect(loadConfig({ env: {}, cwd }).config.redaction).toEqual({
      env: ['CORP_*', '!SORT_KEY'],
      patterns: ['acme=ACME-[0-9]{8}'],
      known: true,
    })
    const env: Env = { DROVER_REDACTION_ENV: 'A_B,C_D', DROVER_REDACTION_PATTERNS: 'a=x[,]y\nb=z{3}' }
    expect(loadConfig({ env, cwd }).config.redaction).toMatchObject({
      env: ['A_B', 'C_D'],
      patterns: ['a=x[,]y', 'b=z{3}'],
    })
    const wrong: Env = { DROVER_REDACTION_ENV: 'A B', DROVER_REDACTION_PATTERNS: 'a=(x+)+\n=y\nb=[' }
    const problems = problemsOf({ env: wrong, cwd }).join('\n')
    expect(problems).toContain('"A B" is no name of a variable')
    expect(problems).toContain('the pattern "a" repeats a group')
    expect(problems).toContain('"=y" is not written as name=expression')
    expect(problems).toContain('the pattern "b" is no regular expression')
  })
})

describe('numbers of the environment', () => {
  const numbers = listSettings().filter(({ setting }) => typeof setting.read('7') === 'number')

  test('only plain digits are numbers', () => {
    expect(numbers).toHaveLength(30)
    const notNumbers = fc.oneof(
      fc.constantFrom(
        'NaN',
        '-1',
        '1e309',
        '5m',
        '0x10',
        '1e3',
        ' 7',
        '7 ',
        '1_000',
        '+1',
        '1.0',
        '٣',
        '1,000',
        '\n1',
      ),
      fc.string({ minLength: 1 }).filter((text) => !/^\d+$/.test(text)),
    )
    fc.assert(
      fc.property(fc.constantFrom(...numbers), notNumbers, ({ key, setting }, text) => {
        expect(issues({ env: { [setting.env]: text } }).map(({ path }) => path)).toEqual([key])
      }),
    )
  })

  test('every whole number is either taken as it is or refused by name', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...numbers),
        fc.bigInt({ min: 0n, max: 10n ** 25n }),
        ({ key, setting }, number) => {
          const env = { [setting.env]: String(number) }
          const problems = problemsOf({ env })
          const taken =
            problems.length === 0 ? loadConfig({ env, cwd: NOWHERE }).sources.get(key)?.value : null
          expect(taken === Number(number) || problems.join('\n').includes(key)).toBe(true)
          expect(taken === null || Number.isSafeInteger(taken)).toBe(true)
        },
      ),
    )
  })
})

describe('config print', () => {
  test('has every setting, and no secret', () => {
    const env: Env = {
      REDIS_URL: 'redis://user:hunter2@host:6379/1?password=hunter3',
      DROVER_TOKEN: 'hunter4',
      DROVER_TOKENS: `ci:read:${'5'.repeat(64)}`,
    }
    const rows = configRows(loadConfig({ env, cwd: NOWHERE }))
    expect(rows.map(({ key }) => key)).toEqual(listSettings().map(({ key }) => key))
    expect(JSON.stringify(rows)).not.toMatch(/hunter/)
    expect(rows.find(({ key }) => key === 'redis.url')).toEqual({
      key: 'redis.url',
      value: 'redis://user:***@host:6379/1?***',
      source: 'environment REDIS_URL',
      env: 'REDIS_URL',
      description: expect.stringMatching(/^Address of the Redis/),
    })
    expect(rows.find(({ key }) => key === 'client.token')?.value).toBe('***')
    expect(rows.find(({ key }) => key === 'board.tokens')?.value).toEqual(['ci:read:***'])
  })

  test.each([
    ['redis://hunter2@host', 'redis://***@host'],
    ['redis://:hunter2@host', 'redis://:***@host'],
    ['redis://host:6379', 'redis://host:6379'],
    ['/run/redis.sock?password=hunter2', '/run/redis.sock?***'],
  ])('%s is shown as %s', (url, shown) => {
    const rows = configRows(loadConfig({ env: { REDIS_URL: url }, cwd: NOWHERE }))
    expect(rows.find(({ key }) => key === 'redis.url')?.value).toBe(shown)
  })

  test('a setting without a value is null', () => {
    const rows = configRows(loadConfig({ env: {}, cwd: NOWHERE }))
    expect(rows.find(({ key }) => key === 'redis.url')?.value).toBeNull()
  })
})
