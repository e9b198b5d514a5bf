/**
 * F35: the agent cannot be started. The session fails within 10 s with a reason that names the cause; what a repeat
 * cannot mend is not repeated.
 */
import { chmod, copyFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDrover } from '../support/drover.ts'
import { FAKE_CLAUDE, type FakeScript } from '../support/fake-claude.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { startsOf } from './rig/starts.ts'

const LIMIT_MS = 10_000

/** A CLI that works when its pod starts, and no longer when the agent does. */
const BROKEN = {
  'is-gone': async (path) => await rm(path),
  'may-not-be-run': async (path) => await chmod(path, 0o600),
  'is-no-program': async (path) => await writeFile(path, '\u007FELF but nothing more', { mode: 0o755 }),
  'has-no-interpreter': async (path) => await writeFile(path, '#!/nowhere/node\n', { mode: 0o755 }),
} satisfies Record<string, (path: string) => Promise<void>>
type BrokenName = keyof typeof BROKEN
const BROKEN_NAMES = Object.keys(BROKEN) as BrokenName[]

/** As one argument too long for the kernel (M18: 131,072 bytes). */
const LONG_TOOLS = Array.from({ length: 40 }, (_, at) => `Bash(${'x'.repeat(4000)}${at})`)

/** What is wrong with the session or its spec; the CLI is a good one. */
interface Fault {
  readonly spec?: Readonly<Record<string, unknown>>
  readonly script?: FakeScript
  /** Below the workspace root. @default the workspace */
  readonly workspace?: string
  readonly reason: string
  /** Agents that started. @default 0 */
  readonly starts?: number
}

const FAULTS = {
  'workspace-missing': { workspace: 'nowhere', reason: 'invalid_config' },
  'workspace-a-file': { workspace: 'file', reason: 'invalid_config' },
  'mcp-config-missing': { spec: { mcp_config: 'nowhere.mcp.json' }, reason: 'invalid_config' },
  'mcp-config-broken': { spec: { mcp_config: 'broken.mcp.json' }, reason: 'invalid_config' },
  'argument-too-long': { spec: { allowed_tools: LONG_TOOLS }, reason: 'spawn_failed' },
  'no-credentials': {
    script: { result: 'error', api_error_status: 401 },
    reason: 'auth_error',
    starts: 1,
  },
} satisfies Record<string, Fault>
type FaultName = keyof typeof FAULTS
const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]

let field: Field
const ids = {} as Record<BrokenName | FaultName, string>
let askedAt = 0

beforeAll(async () => {
  const broken = BROKEN_NAMES.map((name) => [name, {}] as const)
  const faults = FAULT_NAMES.map((name) => [name, (FAULTS[name] as Fault).spec ?? {}] as const)
  field = await openField({ pods: 0, types: Object.fromEntries([...broken, ...faults]) })
  await writeFile(join(field.scratch.dir, 'broken.mcp.json'), '{"mcpServers": ')
  await writeFile(join(field.workspace, 'file'), '')
  await Promise.all([field.startPod({ id: 'good', types: FAULT_NAMES }), ...BROKEN_NAMES.map(startBroken)])
  askedAt = field.now()
  for (const name of BROKEN_NAMES) ids[name] = await field.spawn({}, { agentType: name })
  for (const name of FAULT_NAMES) {
    const { script = {}, workspace = '' }: Fault = FAULTS[name]
    const workspaceDir = join(field.workspace, workspace)
    ids[name] = await field.spawn(script, { agentType: name, workspaceDir })
  }
}, 60_000)
afterAll(() => field.close())

async function startBroken(name: BrokenName): Promise<void> {
  const path = await copyOfFake(name)
  await field.startPod({ id: name, types: [name], env: { DROVER_CLAUDE_PATH: path } })
  await BROKEN[name](path)
}

async function copyOfFake(name: string): Promise<string> {
  const dir = join(field.scratch.dir, 'cli', name)
  await mkdir(dir, { recursive: true })
  await copyFile(FAKE_CLAUDE, join(dir, 'claude.mjs'))
  await chmod(join(dir, 'claude.mjs'), 0o755)
  await symlink(FAKE_CLAUDE.replace(/\.mjs$/, ''), join(dir, 'fake-claude'))
  return join(dir, 'claude.mjs')
}

/** Failed in time, with a reason and a sentence; not tried again. */
async function expectFailure(name: BrokenName | FaultName, reason: string): Promise<void> {
  const row = await field.ended(ids[name])
  process.stdout.write(`F35: ${name}: ${row.failure_reason}: ${row.error_message}\n`)
  expect(row).toMatchObject({ status: 'failed', failure_reason: reason, restarts: 0 })
  const ended = field.ledger.events(ids[name]).at(-1)
  expect(Date.parse(ended?.ts ?? '') - Date.parse(row.created_at)).toBeLessThan(LIMIT_MS)
  expect(row.error_message).toMatch(/^[A-Z].{20,}\.$/s)
}

const SAID: Readonly<Record<BrokenName, string>> = {
  'is-gone': 'does not exist',
  'may-not-be-run': 'may not be executed',
  'is-no-program': 'Exec format error',
  'has-no-interpreter': 'not found',
}

test.for(BROKEN_NAMES)('F35 a CLI that %s: spawn_failed at once, with what the system said', async (name) => {
  await expectFailure(name, 'spawn_failed')
  expect(startsOf(field, ids[name])).toHaveLength(0)
  const { error_message: message } = await field.ended(ids[name])
  expect(message).toContain(SAID[name])
})

test.for(FAULT_NAMES)('F35 %s: the session fails at once, and is not tried again', async (name) => {
  const { reason, starts = 0 }: Fault = FAULTS[name]
  await expectFailure(name, reason)
  expect(startsOf(field, ids[name])).toHaveLength(starts)
})

test('F35 the message names what is wrong', async () => {
  const messageOf = async (name: FaultName): Promise<string> =>
    (await field.ended(ids[name])).error_message ?? ''
  expect(await messageOf('workspace-missing')).toContain('nowhere')
  expect(await messageOf('mcp-config-missing')).toContain('nowhere.mcp.json')
  expect(await messageOf('mcp-config-broken')).toContain('broken.mcp.json')
  expect(await messageOf('argument-too-long')).toContain('E2BIG')
})

test('F35 a CLI that does not say its version: the pod does not start, and says why', async () => {
  const path = join(field.scratch.dir, 'old-claude')
  await writeFile(path, '#!/bin/sh\necho "not a version"\n', { mode: 0o755 })
  const from = performance.now()
  const ran = await openDrover(field.scratch).run(['worker', '--json'], {
    env: {
      REDIS_URL: `redis://127.0.0.1:${field.redis.options.port}`,
      DROVER_NAMESPACE: field.namespace,
      DROVER_CLAUDE_PATH: path,
    },
  })
  expect(performance.now() - from).toBeLessThan(LIMIT_MS)
  expect(ran.code).toBeGreaterThan(0)
  expect(ran.json()).toMatchObject({ success: false, error: 'setup_failed' })
  expect(ran.json()['message']).toContain(path)
})

test('F35 every pod still works', async () => {
  expect(field.pods.every((pod) => pod.isAlive())).toBe(true)
  expect(field.now() - askedAt).toBeGreaterThan(0)
})

test('F35 the invariants hold', async () => {
  const sessions = BROKEN_NAMES.length + FAULT_NAMES.length
  expect(await checkInvariants(field)).toMatchObject({ sessions })
})
