/**
 * F14: one pod is cut off from Redis, in every way a network can do it. Each case has a pod of its own that serves
 * one agent type; another pod that serves all is there as soon as their sessions run.
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { FieldPod } from './rig/pod.ts'
import { livesOfSession, untilGone } from './rig/starts.ts'
import type { ProxyMode } from './rig/proxy.ts'
import { SHORT_LEASE } from './rig/settings.ts'

const CUTS = {
  both: { kind: 'hole' },
  requests: { kind: 'hole', direction: 'up' },
  answers: { kind: 'hole', direction: 'down' },
  reset: { kind: 'reset' },
  /** Its agent finishes, and is paid for, while nobody can be told. */
  paid: { kind: 'hole' },
} satisfies Record<string, ProxyMode>
type Case = keyof typeof CUTS
const NAMES = Object.keys(CUTS) as Case[]

const COST_USD = 0.25
const COST_MICROS = 250_000
/** They talk until the test tells them, by a file, to finish. */
const TALK: FakeScript = { lines: 5000, delay_ms: 80, cost_usd: COST_USD }
/** The guard's tick, SIGKILL and the witness's beat, on a busy machine. */
const KILL_MS = 400
/** BullMQ's look for stalled jobs, and the restart itself on a busy machine. What it takes: bench/recovery.ts. */
const RECOVERY_MS = 2000 + 10_000

let field: Field
const pods = {} as Record<Case, FieldPod>
const ids = {} as Record<Case, string>
/** The agent that was cut off. */
const first = {} as Record<Case, string>
let cutAt = 0
let rescueReadyAt = 0

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
  const begin = async (name: Case): Promise<void> => {
    ids[name] = await field.spawn({ ...TALK, until_file: name }, { agentType: name })
    first[name] = (await field.agentOf(ids[name])).agentId
    await field.recorded(ids[name], 'drover.agent.started')
  }
  await Promise.all(NAMES.map(begin))
  cutAt = field.now()
  for (const name of NAMES) pods[name].proxy.mode(CUTS[name])
  field.tell('paid')
  await untilGone(field, first.paid)
  // Its successor talks until it is told, too: one that is over at once would not be seen.
  rmSync(join(field.workspace, 'paid'))
  await field.startPod({ id: 'rescue' })
  rescueReadyAt = field.now()
  await Promise.all(
    NAMES.map(async (name) => {
      const second = await field.agentOf(ids[name], first[name])
      expect(second.pod.id).toBe('rescue')
    }),
  )
  // Healed while their successors work.
  for (const name of NAMES) pods[name].proxy.mode('pass')
  await Promise.all(
    NAMES.map((name) =>
      until(() => linesOf(name).some((event) => event.late === 1), {
        timeoutMs: 15_000,
        message: `a late line of ${first[name]}`,
      }),
    ),
  )
  for (const name of NAMES) field.tell(name)
}, 60_000)
afterAll(() => field.close())

const beatsOf = (agentId: string): number[] =>
  field
    .witness()
    .filter((record) => record.agent_id === agentId)
    .map((record) => Number(record.mono_ns) / 1e6)

function printed(name: Case): string[] {
  const file = join(pods[name].dataDir, 'sessions', ids[name], 'agents', first[name], 'stdout.ndjson')
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}

const linesOf = (name: Case) =>
  field.ledger.events(ids[name]).filter((event) => event.agent_id === first[name] && event.line !== null)

test.for(NAMES)(
  'F14 %s: the agent is fenced at its deadline, another pod takes over in time',
  async (name) => {
    const { ttlMs, marginMs } = field.times
    const beats = beatsOf(first[name])
    const last = beats.at(-1) ?? Number.NaN
    expect(last).toBeGreaterThan(cutAt)
    expect(last).toBeLessThan(cutAt + ttlMs - marginMs + KILL_MS + field.stoodStill(cutAt, last))
    expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', restarts: 1 })
    const next = livesOfSession(field, ids[name]).find(({ agentId }) => agentId !== first[name])
    const begun = next?.from ?? Number.NaN
    // After the lease, and not long after it.
    expect(begun - cutAt).toBeGreaterThan(ttlMs - field.times.renewMs)
    expect(begun - Math.max(cutAt + ttlMs, rescueReadyAt)).toBeLessThan(RECOVERY_MS)
  },
)

test.for(NAMES)('F14 %s: after the heal the rest of what it printed is published, late', async (name) => {
  await field.ended(ids[name])
  const lines = printed(name)
  await until(() => linesOf(name).length === lines.length, {
    timeoutMs: 15_000,
    message: () => `${lines.length} lines of ${first[name]}; the ledger has ${linesOf(name).length}`,
  })
  expect(field.ledger.agents(ids[name])[0]).toMatchObject({ agent_id: first[name], status: 'superseded' })
})

test('F14 what a superseded agent cost is kept', async () => {
  await field.ended(ids.paid)
  await until(() => field.ledger.agents(ids.paid)[0]?.cost_micros === COST_MICROS, { timeoutMs: 15_000 })
  expect(field.ledger.session(ids.paid)?.estimated_cost_micros).toBe(2 * COST_MICROS)
})

test('F14 a healed pod works again', async () => {
  await Promise.all(NAMES.map((name) => field.ended(ids[name])))
  const rescue = field.pods.find((pod) => pod.id === 'rescue')
  await rescue?.drain()
  for (const name of NAMES) expect(pods[name].isAlive()).toBe(true)
  const again = await Promise.all(NAMES.map((name) => field.spawn({}, { agentType: name })))
  for (const [index, id] of again.entries()) {
    expect(await field.ended(id)).toMatchObject({ status: 'completed', restarts: 0 })
    expect(field.ledger.agents(id)).toMatchObject([{ pod_id: `pod-${NAMES[index]}` }])
  }
})

test('F14 the invariants hold', async () => {
  const figures = await checkInvariants(field)
  expect(figures.sessions).toBe(2 * NAMES.length)
  expect(figures.lateEvents).toBeGreaterThan(0)
})
