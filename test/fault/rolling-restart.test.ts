/**
 * F27: pods are replaced one after the other under load. A pod that is told to stop claims nothing from then on;
 * sessions that fit into its grace end there, the others are handed over and resumed by the next pod. No try is used
 * and nothing is lost.
 */
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { AgentRow } from './rig/ledger.ts'
import type { FieldPod } from './rig/pod.ts'
import { livesOfSession, onWitnessClock } from './rig/starts.ts'

const TYPES = ['alpha', 'beta', 'gamma'] as const
/** About a second and a half each. */
const SCRIPT = { lines: 15, delay_ms: 100 }
/** Waiting and running sessions of each type, kept up. */
const LOAD = 2
/** How often the load is looked at. */
const LOOK_MS = 100
const SHORT_GRACE_MS = 100
/** Nobody waits for it: sessions end long before, also where the machine stands still for seconds. */
const LONG_GRACE_MS = 20_000

/** From the CLI's end to the next agent's start, with other tests on the two cores. What it takes: bench/recovery.ts. */
const RESUMED_MS = 4000
const NOT_READY_MS = 1000
/** Behind its grace: the end of its agents by SIGTERM, and its own. */
const STOP_MS = 2500
/** An acquisition that was on its way when it stopped claiming. */
const ON_ITS_WAY_MS = 250

interface Drain {
  readonly pod: FieldPod
  readonly graceMs: number
  /** On the witness' clock. */
  readonly from: number
  /** When it no longer said that it is ready. */
  readonly notReadyAfter: number
  readonly exitCode: number | null
  readonly tookMs: number
  /** Of that the machine stood still. */
  readonly stillMs: number
}

let field: Field
const load = { goesOn: true, over: Promise.resolve() }
const typeOf = new Map<string, string>()
const drains: Drain[] = []

beforeAll(async () => {
  field = await openField({
    pods: 0,
    types: Object.fromEntries(TYPES.map((type) => [type, {}])),
    // SIGTERM is enough, also where the machine stands still before the agent has heard of it.
    times: { killGraceMs: 10_000 },
  })
  let { pod, port } = await start(1, SHORT_GRACE_MS)
  load.over = keepBusy()
  // Heard where it is waited for.
  load.over.catch(() => undefined)
  for (const [at, nextGraceMs] of [SHORT_GRACE_MS, LONG_GRACE_MS, LONG_GRACE_MS].entries()) {
    const current = pod
    const isBusy = (): boolean => current.agents().length > 0
    await until(isBusy, {
      timeoutMs: 15_000,
      message: () => `${current.id} to run something: ${ledgerState()}`,
    })
    const next = await start(at + 2, nextGraceMs)
    // Between two sessions the next one may go to the other pod.
    await until(isBusy, { timeoutMs: 15_000, message: () => `${current.id} to run again: ${ledgerState()}` })
    drains.push(await drain(pod, port, at < 2 ? SHORT_GRACE_MS : LONG_GRACE_MS))
    ;({ pod, port } = next)
  }
  load.goesOn = false
  await load.over
  await field.settled()
}, 90_000)
afterAll(async () => {
  load.goesOn = false
  await load.over.catch(() => undefined)
  await field.close()
})

/** For a wait in vain: what runs where. */
function ledgerState(): string {
  const open = field.accepted.filter((id) => !isOver(id))
  return JSON.stringify(
    open.map((id) => [
      typeOf.get(id),
      field.ledger.session(id)?.status,
      ...field.ledger.agents(id).map((agent) => `${agent.pod_id} ${agent.status}`),
    ]),
  )
}

async function start(number: number, graceMs: number): Promise<{ pod: FieldPod; port: number }> {
  const port = await freePort()
  const env = {
    DROVER_HEALTH_PORT: String(port),
    DROVER_DRAIN_GRACE_MS: String(graceMs),
    // A full pod says that it is not ready: this one never is full.
    DROVER_MAX_SESSIONS: String(TYPES.length + 1),
  }
  return { pod: await field.startPod({ id: `pod-${number}`, env }), port }
}

async function keepBusy(): Promise<void> {
  // On a quick machine the pods are through before a first session ends: the last pod gets another one then.
  while (load.goesOn || field.accepted.length <= LOAD * TYPES.length) {
    for (const type of TYPES) {
      const open = field.accepted.filter((id) => typeOf.get(id) === type && !isOver(id))
      if (open.length < LOAD) typeOf.set(await field.spawn(SCRIPT, { agentType: type }), type)
    }
    await setTimeout(LOOK_MS)
  }
}

function isOver(sessionId: string): boolean {
  return ['completed', 'failed', 'cancelled'].includes(field.ledger.session(sessionId)?.status ?? '')
}

async function drain(pod: FieldPod, port: number, graceMs: number): Promise<Drain> {
  await until(() => isReady(port))
  const from = field.now()
  const exited = pod.drain()
  await until(async () => !(await isReady(port)))
  const notReadyAfter = field.now() - from
  const exitCode = await exited
  const tookMs = field.now() - from
  return { pod, graceMs, from, notReadyAfter, exitCode, tookMs, stillMs: field.stoodStill(from) }
}

async function isReady(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/readyz`).then(
    (answer) => answer.status === 200,
    () => false,
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

interface HandOver {
  readonly id: string
  readonly old: AgentRow
  readonly next: AgentRow
  /** From the end of the one CLI to the start of the other, without what the machine stood still. */
  readonly gapMs: number
}

/** Agents that had begun to talk, and whose session went on on another pod. */
function handedOver(): HandOver[] {
  return field.accepted.flatMap((id) => {
    const agents = field.ledger.agents(id)
    const lives = new Map(livesOfSession(field, id).map((life) => [life.agentId, life]))
    return agents.slice(1).flatMap((next, at) => {
      const old = agents[at]
      if (old === undefined || old.pod_id === next.pod_id || old.spool_lines === 0) return []
      const [from, to] = [lives.get(old.agent_id)?.to ?? 0, lives.get(next.agent_id)?.from ?? 0]
      return [{ id, old, next, gapMs: to - from - field.stoodStill(from, to) }]
    })
  })
}

test('F27 every session completed, and none of them used a try', () => {
  const rows = field.accepted.map((id) => field.ledger.session(id))
  process.stdout.write(`F27: ${rows.length} sessions, ${handedOver().length} handed over\n`)
  expect(rows.length).toBeGreaterThan(LOAD * TYPES.length)
  for (const row of rows) {
    expect(row, row?.session_id).toMatchObject({ status: 'completed', restarts: 0, incomplete: 0 })
  }
})

test('F27 a pod that is told to stop says within a second that it is not ready', () => {
  expect(drains).toHaveLength(3)
  for (const { pod, notReadyAfter, exitCode, stillMs } of drains) {
    expect(notReadyAfter, pod.id).toBeLessThan(NOT_READY_MS + stillMs)
    expect(exitCode, pod.id).toBe(0)
  }
})

test('F27 it starts nothing from then on', () => {
  const spawned = field.accepted
    .flatMap((id) => field.ledger.events(id))
    .filter((event) => event.type === 'drover.agent.spawned')
  for (const { pod, from, notReadyAfter, stillMs } of drains) {
    const own = spawned.filter((event) => event.payload.includes(`"pod_id":"${pod.id}"`))
    const after = own.map((event) => onWitnessClock(field, event.ts) - from)
    expect(own.length, pod.id).toBeGreaterThan(0)
    expect(Math.max(...after), pod.id).toBeLessThan(notReadyAfter + ON_ITS_WAY_MS + stillMs)
  }
})

test('F27 a short grace: what runs is ended by SIGTERM and resumed by the other pod, soon', () => {
  const [first, second] = drains
  const moved = handedOver()
  const gaps = moved.map((move) => Math.round(move.gapMs))
  process.stdout.write(`F27: resumed ${gaps.join(', ')} ms after the end of the CLI\n`)
  expect(moved.length).toBeGreaterThan(0)
  expect(gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)]).toBeLessThan(RESUMED_MS)
  for (const { id, old, next, gapMs } of moved) {
    expect([first?.pod.id, second?.pod.id], id).toContain(old.pod_id)
    // Nobody waited for a lease that was not given back.
    expect(gapMs, id).toBeLessThan(field.times.ttlMs)
    expect(old, id).toMatchObject({ status: 'killed', exit_code: 143, tail_unknown: 0 })
    expect(next.command, id).toContain('--resume')
  }
  for (const { pod, tookMs, graceMs, stillMs } of [first, second].flatMap((one) => one ?? [])) {
    expect(tookMs, pod.id).toBeLessThan(graceMs + STOP_MS + stillMs)
  }
})

test('F27 a long grace: what runs ends where it is', () => {
  const last = drains.at(-1)
  const agents = field.ledger.agents().filter((agent) => agent.pod_id === last?.pod.id)
  expect(agents.length).toBeGreaterThan(0)
  for (const { agent_id: agentId, status, error_message: message } of agents) {
    // An agent that was ended before it said a word leaves no conversation: the next one begins afresh.
    if (status === 'failed') expect(message, agentId).toContain('no conversation to resume')
    else expect(status, agentId).toBe('completed')
  }
  expect(last?.tookMs).toBeLessThan(LONG_GRACE_MS)
})

test('F27 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ tailsUnknown: 0, lateEvents: 0 })
})
