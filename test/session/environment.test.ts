import { describe, expect, it } from 'vitest'
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { buildEnvironment, type EnvironmentInput } from '../../src/session/environment.ts'
import { specOf } from '../support/spec.ts'

const INPUT: EnvironmentInput = {
  from: {},
  spec: specOf(),
  sessionId: 'session-1',
  agentId: 'architect-20251026-001',
  agentType: 'architect',
  taskId: null,
  orchestratorId: null,
  attempt: 1,
  startupTimeoutMs: 10_000,
  idleTimeoutMs: 1_800_000,
  url: 'http://127.0.0.1:4680',
  token: 'drover_session_1',
  configDir: '/data/sessions/1/claude',
  home: '/data/sessions/1/home',
  tmpDir: '/tmp/drover-1',
  rehearsal: null,
}

/** Past the schema, which refuses to set Drover's own variables. */
const withEnv = (env: AgentSpec['env']): AgentSpec => ({ ...specOf(), env })

/** What every agent has, whoever started the worker. */
const ALWAYS = {
  AGENT_ID: 'architect-20251026-001',
  AGENT_TYPE: 'architect',
  DROVER_SESSION_ID: 'session-1',
  DROVER_URL: 'http://127.0.0.1:4680',
  DROVER_TOKEN: 'drover_session_1',
  DROVER_TOOLS: 'check_inbox,send_message',
  DROVER_ATTEMPT: '1',
  TMPDIR: '/tmp/drover-1',
  CLAUDE_CODE_TMPDIR: '/tmp/drover-1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
  CLAUDE_CODE_MAX_RETRIES: '8',
  CLAUDE_CODE_FORWARD_SUBAGENT_TEXT: '1',
  MCP_TIMEOUT: '6000',
  API_TIMEOUT_MS: '600000',
  CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS: '180000',
}

/** Names that may be in a worker's environment and are no agent's business; each with a value that says so. */
const CANARIES = [
  'REDIS_URL',
  'DROVER_DATA_DIR',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_PROFILE',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'AZURE_CLIENT_SECRET',
  'GITHUB_TOKEN',
  'NPM_TOKEN',
  'OPENAI_API_KEY',
  'DATABASE_URL',
  'LD_PRELOAD',
  'NODE_OPTIONS',
  'SSH_ASKPASS',
  'PATHEXT',
  'HOMEDRIVE',
  'CLAUDECODE',
  'CLAUDE_CODE_SESSION_ID',
  'CLAUDE_CODE_USE_BEDROCK',
  'CLAUDE_CODE_USE_VERTEX',
  'CLAUDE_CODE_ENTRYPOINT',
  'XDG_CONFIG_HOME',
  'DROVER_AGENT_MARK',
]
const ACCOUNTS = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'ANTHROPIC_BASE_URL',
  'ANTHROPIC_MODEL',
  'ANTHROPIC_CUSTOM_HEADERS',
  'ANTHROPIC_VERTEX_PROJECT_ID',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CLAUDE_CONFIG_DIR',
]
const planted = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, `canary of ${name}`]))
const canariesIn = (env: Readonly<Record<string, string>>): string[] =>
  Object.entries(env)
    .filter(([, value]) => value.includes('canary'))
    .map(([name]) => name)

describe('of a real account', () => {
  it('is this where the worker has nothing', () => {
    expect(buildEnvironment(INPUT)).toEqual(ALWAYS)
  })

  it('has what the contract allows, and nothing else', () => {
    const allowed = {
      PATH: '/usr/bin',
      HOME: '/home/someone',
      USER: 'someone',
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      LC_TIME: 'C',
      TZ: 'UTC',
      TERM: 'xterm',
      SSH_AUTH_SOCK: '/run/agent',
      HTTP_PROXY: 'http://proxy',
      https_proxy: 'http://proxy',
      NO_PROXY: 'localhost',
      no_proxy: 'localhost',
      ALL_PROXY: 'socks://proxy',
      ANTHROPIC_MODEL: 'sonnet',
      ANTHROPIC_BASE_URL: 'https://gateway',
    }
    const env = buildEnvironment({ ...INPUT, from: { ...planted(CANARIES), ...allowed } })
    expect(env).toEqual({ ...ALWAYS, ...allowed })
  })

  it('has a configuration directory of its own where credentials come by environment', () => {
    for (const name of ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN']) {
      const env = buildEnvironment({
        ...INPUT,
        from: { [name]: 'secret', CLAUDE_CONFIG_DIR: '/home/someone/own' },
      })
      expect(env).toMatchObject({ [name]: 'secret', CLAUDE_CONFIG_DIR: INPUT.configDir })
    }
  })

  it("has the user's own directory where only the login is there", () => {
    expect(buildEnvironment(INPUT)).not.toHaveProperty('CLAUDE_CONFIG_DIR')
    const env = buildEnvironment({
      ...INPUT,
      from: { CLAUDE_CONFIG_DIR: '/home/someone/own', ANTHROPIC_API_KEY: '' },
    })
    expect(env['CLAUDE_CONFIG_DIR']).toBe('/home/someone/own')
  })

  it('says whose it is', () => {
    const env = buildEnvironment({ ...INPUT, taskId: 'TASK-31-1', orchestratorId: 'orch-1', attempt: 3 })
    expect(env).toMatchObject({
      TASK_ID: 'TASK-31-1',
      ORCHESTRATOR_ID: 'orch-1',
      ORCHESTRATOR_INSTANCE_ID: 'orch-1',
      DROVER_ATTEMPT: '3',
    })
  })

  it('has what the spec passes and sets; what it sets wins over the limits, never over the identity', () => {
    const spec = withEnv({
      pass: ['GITHUB_TOKEN', 'NOT_THERE'],
      set: {
        API_TIMEOUT_MS: '1',
        GREETING: 'hello',
        AGENT_ID: 'somebody-else',
        DROVER_SESSION_ID: 'another',
      },
    })
    const env = buildEnvironment({ ...INPUT, spec, from: planted(CANARIES) })
    expect(env).toEqual({
      ...ALWAYS,
      API_TIMEOUT_MS: '1',
      GREETING: 'hello',
      GITHUB_TOKEN: 'canary of GITHUB_TOKEN',
    })
  })

  it("gives up on a silent API before its silence is a stall, the spec's own value first", () => {
    const limits = (input: Partial<EnvironmentInput>): readonly number[] => {
      const env = buildEnvironment({ ...INPUT, ...input })
      return ['API_TIMEOUT_MS', 'CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS'].map((name) => Number(env[name]))
    }
    expect(limits({ idleTimeoutMs: 600_000 })).toEqual([200_000, 60_000])
    expect(limits({ idleTimeoutMs: 86_400_000 })).toEqual([600_000, 180_000])
    expect(limits({ spec: specOf({ idle_timeout_seconds: 300 }) })).toEqual([100_000, 30_000])
    for (const idleTimeoutMs of [60_000, 300_000, 1_800_000]) {
      const [attempt = 0, stream = 0] = limits({ idleTimeoutMs })
      expect(attempt + stream).toBeLessThan(0.6 * idleTimeoutMs)
      // The CLI takes 10 s to 1800 s.
      expect(stream).toBeGreaterThanOrEqual(10_000)
    }
  })

  it('lets the CLI work in the background only where the spec says so', () => {
    const env = buildEnvironment({ ...INPUT, spec: specOf({ background_tasks: true }) })
    expect(env).not.toHaveProperty('CLAUDE_CODE_DISABLE_BACKGROUND_TASKS')
  })
})

describe('of a rehearsal', () => {
  const rehearsal = {
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
    ANTHROPIC_API_KEY: 'rehearsal',
    ANTHROPIC_CUSTOM_HEADERS: 'X-One: 1\nX-Two: 2',
  }

  it('has nothing that could reach an account, even what the spec passes and sets', () => {
    const names = [...CANARIES, ...ACCOUNTS]
    const spec = withEnv({
      pass: names.filter((name) => /^(ANTHROPIC|CLAUDE|AWS|GOOGLE|AZURE)/.test(name)),
      set: planted(['ANTHROPIC_FOUNDRY_API_KEY', 'CLAUDE_CODE_USE_FOUNDRY', 'AWS_BEARER_TOKEN_BEDROCK']),
    })
    const env = buildEnvironment({
      ...INPUT,
      spec,
      rehearsal,
      from: { ...planted(names), HOME: '/home/canary' },
    })
    expect(canariesIn(env)).toEqual([])
    expect(env).toEqual({
      ...ALWAYS,
      ...rehearsal,
      HOME: INPUT.home,
      CLAUDE_CONFIG_DIR: INPUT.configDir,
      NO_PROXY: '127.0.0.1,localhost,::1',
      no_proxy: '127.0.0.1,localhost,::1',
    })
  })

  it("keeps the spec's limits, and reaches loopback past a proxy", () => {
    const spec = specOf({ env: { PASS: [], SET: { CLAUDE_CODE_MAX_RETRIES: '1', API_TIMEOUT_MS: '1000' } } })
    const env = buildEnvironment({
      ...INPUT,
      spec,
      rehearsal,
      from: { HTTPS_PROXY: 'http://proxy', NO_PROXY: 'intra' },
    })
    expect(env).toMatchObject({
      CLAUDE_CODE_MAX_RETRIES: '1',
      API_TIMEOUT_MS: '1000',
      HTTPS_PROXY: 'http://proxy',
      NO_PROXY: 'intra,127.0.0.1,localhost,::1',
      no_proxy: '127.0.0.1,localhost,::1',
    })
  })
})
