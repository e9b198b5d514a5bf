/**
 * F24: the agent leaves processes behind, in the five ways in which tools do it, and ends in five ways. Nothing of it
 * outlives it by 2 s. Each way to end is an agent type of its own.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTreeAlive, type DaemonKind, type FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { FieldPod } from './rig/pod.ts'
import { livesOfSession, untilGone } from './rig/starts.ts'
import { SHORT_LEASE } from './rig/settings.ts'

/** As root or with user namespaces: what the strongest tier needs. Tried, not guessed. */
const HAS_PID_NAMESPACES = [
  ['unshare', '--pid', '--fork', '--mount-proc', 'true'],
  ['bwrap', '--unshare-pid', '--dev-bind', '/', '/', '--proc', '/proc', 'true'],
].some(([file = '', ...args]) => spawnSync(file, args).status === 0)

const KINDS: readonly DaemonKind[] = ['plain', 'setsid', 'double_fork', 'env_clean', 'env_clean_double_fork']
/** A process group cannot hold those that left their environment behind (M15): the documented hole of that tier. */
const HELD_BY_A_GROUP: readonly DaemonKind[] = ['plain', 'setsid', 'double_fork']

/** Until it is told by a file of its name: the test has to see it first. */
const TALK: FakeScript = { lines: 5000, delay_ms: 50 }

const ENDINGS = {
  exits: TALK,
  crashes: { ...TALK, crash_on_attempts: [1] },
  'is-killed': { silence_ms: 60_000 },
  'loses-its-worker': TALK,
  'is-drained': TALK,
} satisfies Record<string, FakeScript>
type Ending = keyof typeof ENDINGS
const NAMES = Object.keys(ENDINGS) as Ending[]
const GONE_MS = 2000

let field: Field
let kinds = KINDS
const pods = {} as Record<'home' | 'dying' | 'leaving', FieldPod>
const ids = {} as Record<Ending, string>
/** What the first agent of a session left, and how long it lived on after the fault. */
const first = {} as Record<Ending, { readonly agentId: string; readonly namespace: string; goneMs: number }>

beforeAll(async () => {
  field = await openField({
    pods: 0,
    types: Object.fromEntries(NAMES.map((name) => [name, {}])),
    times: SHORT_LEASE,
  })
  const start = async (name: keyof typeof pods, types: readonly Ending[]): Promise<void> => {
    pods[name] = await field.startPod({ id: name, types })
  }
  await Promise.all([
    start('home', ['exits', 'crashes', 'is-killed']),
    start('dying', ['loses-its-worker']),
    start('leaving', ['is-drained']),
  ])
  if ((await tierOf('home')) === 'group') kinds = HELD_BY_A_GROUP
  for (const name of NAMES) {
    const script = { ...ENDINGS[name], until_file: name, daemons: kinds, daemon_dir: `left-${name}` }
    ids[name] = await field.spawn(script, { agentType: name })
  }
  await Promise.all(NAMES.map(watchFirst))
  await field.startPod({ id: 'rescue', types: ['loses-its-worker', 'is-drained'] })
}, 60_000)
afterAll(() => field.close())

async function watchFirst(name: Ending): Promise<void> {
  const { agentId, pid } = await field.agentOf(ids[name])
  first[name] = { agentId, namespace: namespaceOf(pid), goneMs: Number.POSITIVE_INFINITY }
  await until(() => kinds.every((kind) => existsSync(join(field.workspace, `left-${name}`, `${kind}.pid`))))
  expect(isTreeAlive(field.witnessDir, agentId), name).toBe(true)
  const faultAt = field.now()
  const ended = fault(name)
  await untilGone(field, agentId)
  const goneAt = field.now()
  await ended
  // The agent that follows it.
  field.tell(name)
  const life = livesOfSession(field, ids[name]).find((one) => one.agentId === agentId)
  // What drains or is asked to end may use its grace first: counted from the CLI's own end.
  const from = name === 'loses-its-worker' ? faultAt : (life?.to ?? 0)
  first[name].goneMs = goneAt - from
  process.stdout.write(`F24: ${name}: all was gone ${Math.round(first[name].goneMs)} ms after the end\n`)
}

async function fault(name: Ending): Promise<void> {
  if (name === 'is-killed') await field.producer.kill(ids[name], { reason: 'F24' })
  else if (name === 'loses-its-worker') await pods.dying.kill()
  else if (name === 'is-drained') await pods.leaving.drain()
  else field.tell(name)
}

function namespaceOf(pid: number | 'self'): string {
  return readlinkSync(`/proc/${pid}/ns/pid`)
}

async function tierOf(podId: string): Promise<string | null> {
  return await field.redis.hget(field.keys.pod(podId), 'tier')
}

test('F24 the strongest tier that this host can do is the one that ran', async () => {
  const own = namespaceOf('self')
  for (const name of NAMES) {
    if (HAS_PID_NAMESPACES) expect(first[name].namespace, name).not.toBe(own)
    else expect(first[name].namespace, name).toBe(own)
  }
  const tier = await tierOf('home')
  if (HAS_PID_NAMESPACES) expect(tier).toBe('pid_namespace')
  else expect(['cgroup', 'group']).toContain(tier)
})

test.for(NAMES)('F24 an agent that %s leaves nothing alive for 2 s', (name) => {
  expect(first[name].goneMs).toBeLessThan(GONE_MS)
})

test.for(NAMES)('F24 the session whose agent %s ends as it should', async (name) => {
  const expected = {
    exits: { status: 'completed', restarts: 0 },
    crashes: { status: 'completed', restarts: 1 },
    'is-killed': { status: 'cancelled', restarts: 0 },
    'loses-its-worker': { status: 'completed', restarts: 1 },
    'is-drained': { status: 'completed', restarts: 0 },
  }[name]
  expect(await field.ended(ids[name])).toMatchObject(expected)
})

test('F24 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ sessions: NAMES.length })
})
