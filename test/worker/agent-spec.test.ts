/** What each member of an agent spec does to a session: one type per member, all on one pod. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SPEC_KEYS } from '../../src/config/spec-schema.ts'
import type { Producer } from '../../src/index.ts'
import type { FakeScript } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { initRepository } from '../support/repository.ts'

interface Case {
  readonly spec: Readonly<Record<string, unknown>>
  readonly script?: FakeScript
  /** Of its result. @default a success without a restart */
  readonly result?: object
  /** Arguments of its command line. */
  readonly args?: readonly string[]
  /** Of the event that says that its agent was begun. */
  readonly spawned?: object
}

const LONG: FakeScript = { silence_ms: 60_000 }
const CRASH: FakeScript = { crash_on_attempts: [1, 2, 3, 4, 5] }
const failed = (failureReason: string, restarts = 0): object => ({ success: false, failureReason, restarts })

/** By the member; the type has its name. */
const CASES: Readonly<Record<string, Case>> = {
  model: { spec: { model: 'haiku' }, args: ['--model=haiku'], spawned: { model: 'haiku' } },
  fallback_model: { spec: { fallback_model: 'sonnet' }, args: ['--fallback-model=sonnet'] },
  system_prompt: { spec: { system_prompt: ['Be', 'brief.'] }, args: ['--append-system-prompt=Be\nbrief.'] },
  allowed_tools: { spec: { allowed_tools: ['Read', 'Grep'] }, args: ['--allowedTools=Read,Grep'] },
  disallowed_tools: { spec: { disallowed_tools: ['Bash'] }, args: ['--disallowedTools=Bash'] },
  permission_mode: { spec: { permission_mode: 'plan' }, args: ['--permission-mode=plan'] },
  permission_prompts: {
    spec: { permission_prompts: 'ask', permission_mode: 'manual' },
    args: ['--permission-prompt-tool=stdio'],
  },
  // Nobody answers: it is denied, and the agent goes on.
  permission_wait_seconds: {
    spec: { permission_prompts: 'ask', permission_mode: 'manual', permission_wait_seconds: 0.3 },
    script: { ask: ['Bash'] },
  },
  setting_sources: { spec: { setting_sources: ['user', 'local'] }, args: ['--setting-sources=user,local'] },
  max_turns: { spec: { max_turns: 7 }, args: ['--max-turns=7'] },
  max_budget_usd: { spec: { max_budget_usd: 0.5 }, args: ['--max-budget-usd=0.5'] },
  workspace: {
    spec: { workspace: 'worktree' },
    spawned: { worktree_branch: expect.stringMatching(/^drover\//) },
  },
  expect_files: { spec: { expect_files: ['made.txt', 'missing.txt'] }, result: failed('missing_files') },
  timeout: { spec: { timeout: 1 }, script: LONG, result: failed('timeout') },
  startup_timeout_seconds: {
    spec: { startup_timeout_seconds: 0.3, auto_restart: false },
    script: { delay_init_ms: 60_000 },
    result: failed('startup_timeout'),
  },
  stall_timeout_seconds: {
    spec: { stall_timeout_seconds: 0.5, auto_restart: false },
    script: { stop_self: true, ...LONG },
    result: failed('stalled'),
  },
  idle_timeout_seconds: {
    spec: { idle_timeout_seconds: 0.5, auto_restart: false },
    script: LONG,
    result: failed('stalled'),
  },
  auto_restart: { spec: { auto_restart: false }, script: CRASH, result: failed('crashed') },
  max_restarts: { spec: { max_restarts: 1 }, script: CRASH, result: failed('crashed', 1) },
}

/** Where the effect of the others is tested. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  description: 'test/core/search-types.test.ts',
  use_cases: 'test/core/search-types.test.ts',
  mcp_config: 'test/worker/mcp-servers.test.ts',
  require_mcp: 'test/worker/mcp-servers.test.ts',
  agent: 'test/worker/mcp-servers.test.ts',
  templates: 'test/board/templates.test.ts',
  orchestrator_tools: 'test/session/prepared-files.test.ts',
  max_instances: 'test/worker/served-types.test.ts',
  env: 'test/session/environment.test.ts',
  background_tasks: 'test/session/environment.test.ts',
}

interface Ran {
  readonly result: Awaited<ReturnType<Producer['result']>>
  readonly spawned: { readonly command: readonly string[] }
}

let server: TestRedis
let house: PodHouse
const ran = new Map<string, Ran>()
beforeAll(async () => {
  server = await startRedis()
  const names = Object.keys(CASES)
  const specOf = Object.fromEntries(names.map((name) => [name, CASES[name]?.spec ?? {}]))
  house = await openHouse({ redisUrl: server.url, types: names, specOf })
  const { dir } = initRepository(join(house.workspace, 'shop'), { 'made.txt': 'made\n' })
  await house.startPod({
    DROVER_STALL_TIMEOUT_MS: '120000',
    DROVER_IDLE_TIMEOUT_MS: '120000',
    DROVER_STARTUP_TIMEOUT_MS: '60000',
    DROVER_MAX_SESSIONS: '6',
  })
  await Promise.all(
    names.map(async (name) => {
      const id = await house.spawn(CASES[name]?.script ?? {}, { agentType: name, workspaceDir: dir })
      const result = await house.producer.result(id)
      const spawned = (await house.events(id)).find(({ type }) => type === 'drover.agent.spawned')
      ran.set(name, { result, spawned: spawned?.payload as Ran['spawned'] })
    }),
  )
}, 120_000)
afterAll(async () => {
  await house.close()
  await server.stop()
})

test.each(Object.entries(CASES))('%s', (name, { result, args = [], spawned = {} }) => {
  expect(ran.get(name)?.result).toMatchObject(result ?? { success: true, restarts: 0 })
  expect(ran.get(name)?.spawned).toMatchObject(spawned)
  expect(ran.get(name)?.spawned.command).toEqual(expect.arrayContaining([...args]))
})

test('no member is without a test of its effect', () => {
  expect([...Object.keys(CASES), ...Object.keys(ELSEWHERE)].toSorted()).toEqual(SPEC_KEYS.toSorted())
})
