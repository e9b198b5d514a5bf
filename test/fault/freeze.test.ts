/**
 * F06, F06b and F36: a worker, or a whole pod, that is frozen and thawed. Each case has a pod of its own; another pod
 * that serves the same types is there as soon as their sessions run.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isTreeAlive, type FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { EventRow } from './rig/ledger.ts'
import { BUSY_THAW_LIMIT_MS } from './rig/lives.ts'
import type { FieldPod } from './rig/pod.ts'
import { isAlive, type AgentProcess } from './rig/processes.ts'
import { SHORT_LEASE } from './rig/settings.ts'

type Case = 'worker' | 'whole' | 'short'
const CASES: readonly Case[] = ['worker', 'whole', 'short']
/** Served by one pod alone, to see that it works again. */
const afterwards = (name: Case): string => `after-${name}`
/** It talks until it is told to finish, so that only a fence ends the first agent. */
const talk = (until_file: Case): FakeScript => ({ lines: 5000, delay_ms: 80, until_file })
/** The guard's tick, SIGKILL, and the witness's beat, on a busy machine. */
const KILL_MS = 400

let field: Field
const pods = {} as Record<Case, FieldPod>
const ids = {} as Record<'worker' | 'whole', string>
const first = {} as Record<'worker' | 'whole', AgentProcess>
const frozenAt = {} as Record<'worker' | 'whole', number>

beforeAll(async () => {
  const types = CASES.flatMap((name) => [name, afterwards(name)])
  field = await openField({
    pods: 0,
    types: Object.fromEntries(types.map((name) => [name, {}])),
    times: SHORT_LEASE,
  })
  await Promise.all(
    CASES.map(async (name) => {
      pods[name] = await field.startPod({ id: `pod-${name}`, types: [name, afterwards(name)] })
    }),
  )
  await Promise.all([
    freeze('worker', (pod) => pod.signal('SIGSTOP')),
    freeze('whole', (pod) => pod.freezeAll()),
  ])
  await field.startPod({ id: 'rescue', types: ['worker', 'whole'] })
}, 60_000)
afterAll(() => field.close())

async function freeze(name: 'worker' | 'whole', act: (pod: FieldPod) => void): Promise<void> {
  ids[name] = await field.spawn(talk(name), { agentType: name })
  first[name] = await field.agentOf(ids[name])
  await field.recorded(ids[name], 'drover.agent.started')
  frozenAt[name] = field.now()
  act(pods[name])
}

const lastBeat = (agentId: string): number =>
  Number(field.witness().findLast((record) => record.agent_id === agentId)?.mono_ns) / 1e6

/** Its last sign of life is from before its deadline, counted from the worker's last. */
function expectFenced(agentId: string, frozen: number): void {
  const { ttlMs, marginMs } = field.times
  const last = lastBeat(agentId)
  expect(last).toBeLessThan(frozen + ttlMs - marginMs + KILL_MS + field.stoodStill(frozen, last))
}

/** The pod takes work again, and is still the same process. */
async function worksAgain(name: Case): Promise<void> {
  const id = await field.spawn({}, { agentType: afterwards(name) })
  expect(await field.ended(id)).toMatchObject({ status: 'completed', restarts: 0 })
  // More than one where the machine itself stood still for the lease.
  expect(new Set(field.ledger.agents(id).map((agent) => agent.pod_id))).toEqual(new Set([`pod-${name}`]))
  expect(pods[name].isAlive()).toBe(true)
}

test.concurrent(
  'F06 a worker frozen past its lease: fenced by its guard, taken over, harmless when thawed',
  async () => {
    const { ttlMs } = field.times
    const { agentId } = first.worker
    const second = await field.agentOf(ids.worker, agentId)
    expect(second.pod.id).toBe('rescue')
    expect(lastBeat(agentId)).toBeGreaterThan(frozenAt.worker)
    expectFenced(agentId, frozenAt.worker)
    expect(isTreeAlive(field.witnessDir, agentId)).toBe(false)
    // For two leases at least, and thawed while its successor works.
    await until(() => field.now() - frozenAt.worker > 2 * ttlMs)
    pods.worker.signal('SIGCONT')
    // What the agent printed meanwhile comes late, and while its successor works.
    const isLate = ({ agent_id, late }: EventRow): boolean => agent_id === agentId && late === 1
    await until(() => field.ledger.events(ids.worker).some(isLate), { timeoutMs: 15_000 })
    field.tell('worker')

    expect(await field.ended(ids.worker)).toMatchObject({ status: 'completed', restarts: 1 })
    await worksAgain('worker')
    const agents = field.ledger.agents(ids.worker)
    expect(agents[0]).toMatchObject({ agent_id: agentId, status: 'superseded', pod_id: 'pod-worker' })
    expect(agents.at(-1)).toMatchObject({ status: 'completed', pod_id: 'rescue' })
    expect(field.ledger.payloads(ids.worker, 'drover.session.restarting')[0]).toMatchObject({
      reason: 'worker_lost',
    })
  },
)

test.concurrent(
  'F06b a whole pod frozen past its lease: its agent is dead 250 ms after the thaw, and changes nothing',
  async () => {
    const { agentId, pid } = first.whole
    const second = await field.agentOf(ids.whole, agentId)
    expect(second.pod.id).toBe('rescue')
    const successor = field.now()
    const extraMs = field.random.integer(0, 500)
    await until(() => field.now() - successor >= extraMs)

    expect(isAlive(pid)).toBe(true)
    const thawedAt = field.now()
    pods.whole.thawAll()
    await until(() => !isAlive(pid), { message: 'the thawed agent to be dead' })
    field.tell('whole')
    expect(field.now() - thawedAt).toBeLessThan(BUSY_THAW_LIMIT_MS + field.stoodStill(thawedAt))

    expect(await field.ended(ids.whole)).toMatchObject({ status: 'completed', restarts: 1 })
    await worksAgain('whole')
    const events = field.ledger.events(ids.whole)
    const takenOver = events.findIndex((event) => event.agent_id === second.agentId)
    const stale = events.slice(takenOver).filter((event) => event.agent_id === agentId && event.late === 0)
    expect(stale).toEqual([])
  },
)

test.concurrent(
  'F36 a worker that does nothing for less than the margin: nothing happens; for longer: fenced',
  async () => {
    const { ttlMs, marginMs } = field.times
    const pod = pods.short
    const id = await field.spawn(talk('short'), { agentType: 'short' })
    const { agentId } = await field.agentOf(id)
    await field.recorded(id, 'drover.agent.started')
    const blockedMs = field.random.integer(marginMs / 2, marginMs - 50)
    const blockedAt = field.now()
    pod.signal('SIGSTOP')
    await until(() => field.now() - blockedAt >= blockedMs)
    pod.signal('SIGCONT')
    // Beyond what it was trusted for when it was blocked: its lease was renewed since.
    await until(() => field.now() - blockedAt > ttlMs)
    expect(isTreeAlive(field.witnessDir, agentId)).toBe(true)
    expect(field.ledger.agents(id).length).toBe(1)

    const stoppedAt = field.now()
    pod.signal('SIGSTOP')
    await until(() => !isTreeAlive(field.witnessDir, agentId))
    expectFenced(agentId, stoppedAt)
    await until(() => field.now() - stoppedAt > ttlMs)
    pod.signal('SIGCONT')
    field.tell('short')
    // Nobody else serves the type: the same worker goes on with the session.
    expect(await field.ended(id)).toMatchObject({ status: 'completed' })
    const agents = field.ledger.agents(id)
    expect(agents[0]).toMatchObject({ agent_id: agentId, pod_id: 'pod-short' })
    expect(agents[0]?.status).not.toBe('completed')
    expect(agents.at(-1)).toMatchObject({ status: 'completed', pod_id: 'pod-short' })
    await worksAgain('short')
  },
)

test('F06 F06b F36 the invariants hold', async () => {
  const figures = await checkInvariants(field)
  expect(figures.sessions).toBe(field.accepted.length)
})
