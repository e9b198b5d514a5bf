/**
 * F01: a worker dies by SIGKILL at every place of a session's life. Each case has a pod of its own that serves one
 * agent type; all die, then another pod serves all types.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTreeAlive, type FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { FieldPod } from './rig/pod.ts'
import { SHORT_LEASE } from './rig/settings.ts'

const TALK: FakeScript = { lines: 50, delay_ms: 40 }
/** Case by case: what its agent does. The name is the agent type. */
const CASES = {
  'before-lease': {},
  'before-start': {},
  'before-spawn': {},
  'before-init': { delay_init_ms: 1500 },
  'mid-stream': TALK,
  'before-end': {},
  'end-elsewhere': {},
  'before-complete': {},
} satisfies Record<string, FakeScript>
type Case = keyof typeof CASES
const NAMES = Object.keys(CASES) as Case[]

/** BullMQ's look for stalled jobs, and the restart itself on a busy machine. What it takes: bench/recovery.ts. */
const RECOVERY_MS = 2000 + 10_000

let field: Field
const pods = {} as Record<Case, FieldPod>
const ids = {} as Record<Case, string>
/** Agents that lived when their worker died, how long they did after it, and what of that the machine stood still. */
const outlived = new Map<Case, { readonly agentId: string; readonly ms: number; readonly still: number }>()
let rescuedFrom = 0

beforeAll(async () => {
  field = await openField({
    pods: 0,
    types: Object.fromEntries(NAMES.map((name) => [name, {}])),
    times: SHORT_LEASE,
  })
  await Promise.all(
    NAMES.map(async (name) => {
      pods[name] = await field.startPod({ id: `pod-${name}`, types: [name] })
    }),
  )
  const lease = (name: Case): string => field.keys.lease(name, 0)
  pods['before-lease'].proxy.mode({ kind: 'trap', match: lease('before-lease'), at: 'before' })
  pods['before-start'].proxy.mode({ kind: 'trap', match: lease('before-start'), at: 'after' })
  pods['before-spawn'].proxy.mode({ kind: 'trap', match: 'drover.agent.spawned', at: 'after' })
  pods['before-end'].proxy.mode({ kind: 'trap', match: 'drover.session.ended', at: 'before' })
  pods['end-elsewhere'].proxy.mode({ kind: 'trap', match: 'drover.session.ended', at: 'before' })
  pods['before-complete'].proxy.mode({ kind: 'trap', match: 'drover.session.ended', at: 'after' })
  await Promise.all(
    NAMES.map(async (name) => {
      ids[name] = await field.spawn(CASES[name], { agentType: name })
      await die(name)
    }),
  )
  rescuedFrom = field.now()
  const { dataDir } = pods['before-end']
  await Promise.all([
    field.startPod({ id: 'rescue', types: NAMES.filter((name) => name !== 'before-end') }),
    // On this one's disk is the spool with the result; what of it is on the stream is known everywhere.
    field.startPod({ id: 'pod-before-end', types: ['before-end'], dataDir }),
  ])
}, 60_000)
afterAll(() => field.close())

async function die(name: Case): Promise<void> {
  const pod = pods[name]
  if (name === 'before-init' || name === 'mid-stream') {
    const { agentId } = await field.agentOf(ids[name])
    if (name === 'mid-stream') {
      const lines = field.random.integer(3, 10)
      await until(() => linesOf(ids[name], agentId) >= lines)
      // What another pod goes on from.
      await until(async () => (await field.redis.exists(field.keys.transcript(ids[name]))) === 1)
      // What it prints from here on is in its spool only.
      pod.proxy.mode('hole')
      const printed = spoolOf(pod, ids[name], agentId).length
      await until(() => spoolOf(pod, ids[name], agentId).length >= printed + 3)
    }
    await pod.kill()
    const diedAt = field.now()
    await until(() => !isTreeAlive(field.witnessDir, agentId)).catch(() => undefined)
    outlived.set(name, { agentId, ms: field.now() - diedAt, still: field.stoodStill(diedAt) })
    return
  }
  await pod.proxy.sprung()
  await pod.kill()
}

function linesOf(sessionId: string, agentId: string): number {
  return field.ledger.events(sessionId).filter((event) => event.agent_id === agentId && event.line !== null)
    .length
}

function spoolOf(pod: FieldPod, sessionId: string, agentId: string): string[] {
  const file = join(pod.dataDir, 'sessions', sessionId, 'agents', agentId, 'stdout.ndjson')
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}

const startsOf = (name: Case): number =>
  field.witness().filter((record) => record.kind === 'start' && record.session_id === ids[name]).length
const reasonsOf = (name: Case): unknown[] =>
  field.ledger.payloads(ids[name], 'drover.session.restarting').map((payload) => payload['reason'])

test('F01 what a killed worker ran is gone within a second', () => {
  expect([...outlived.keys()].toSorted()).toEqual(['before-init', 'mid-stream'])
  for (const [name, { ms, still }] of outlived) expect(ms, name).toBeLessThan(1000 + still)
})

test.for(['before-lease', 'before-start'] as const)(
  'F01 killed %s: the session starts once, elsewhere, and no try is used',
  async (name) => {
    expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', restarts: 0 })
    expect(startsOf(name)).toBe(1)
    expect(field.ledger.agents(ids[name])).toMatchObject([{ pod_id: 'rescue' }])
  },
)

test.for(['before-spawn', 'before-init', 'mid-stream'] as const)(
  'F01 killed at %s: the session goes on elsewhere as worker_lost, in time',
  async (name) => {
    expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', restarts: 1 })
    // A second one is the fresh start of a conversation that had not begun; it costs no try.
    expect(reasonsOf(name)[0]).toBe('worker_lost')
    const agents = field.ledger.agents(ids[name])
    expect(agents[0]).toMatchObject({ pod_id: `pod-${name}`, status: 'superseded' })
    expect(agents.at(-1)).toMatchObject({ pod_id: 'rescue', status: 'completed' })
    const [next] = field.witness().filter((record) => record.agent_id === agents[1]?.agent_id)
    const waited = Number(next?.mono_ns) / 1e6 - rescuedFrom
    expect(waited).toBeLessThan(field.times.ttlMs + RECOVERY_MS)
  },
)

test('F01 the conversation of a session that was under way is resumed', async () => {
  await field.ended(ids['mid-stream'])
  expect(reasonsOf('mid-stream')).toEqual(['worker_lost'])
  expect(field.ledger.agents(ids['mid-stream']).at(-1)?.command).toContain('--resume')
})

test('F01 what a killed worker had not sent is published when its pod comes back', async () => {
  const name = 'mid-stream'
  await field.ended(ids[name])
  const { agentId } = outlived.get(name) ?? { agentId: '' }
  const spool = spoolOf(pods[name], ids[name], agentId)
  const before = linesOf(ids[name], agentId)
  expect(before).toBeLessThan(spool.length)
  await field.startPod({ id: 'pod-mid-stream', types: [name], dataDir: pods[name].dataDir })
  await until(() => linesOf(ids[name], agentId) === spool.length, {
    timeoutMs: 15_000,
    message: () => `${spool.length} lines of ${agentId}; the ledger has ${linesOf(ids[name], agentId)}`,
  })
  const rest = field.ledger
    .events(ids[name])
    .filter((event) => event.agent_id === agentId && (event.line ?? 0) > before)
  expect(rest.every((event) => event.late === 1)).toBe(true)
})

test.for(['before-end', 'end-elsewhere'] as const)(
  'F01 killed between the result and the end (%s): the result stands, no second agent',
  async (name) => {
    expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', restarts: 0, result: 'done' })
    expect(startsOf(name)).toBe(1)
  },
)

test('F01 killed between the end and the completion: the session is not run again', async () => {
  const name = 'before-complete'
  expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', restarts: 0 })
  // Another pod takes the job, finds the end and finishes it.
  const active = `${field.keys.queuePrefix}:${name}:active`
  await until(async () => (await field.redis.llen(active)) === 0, {
    timeoutMs: 15_000,
    message: 'the job to be finished',
  })
  expect(startsOf(name)).toBe(1)
})

test('F01 the invariants hold', async () => {
  const figures = await checkInvariants(field)
  expect(figures.sessions).toBe(NAMES.length)
})
