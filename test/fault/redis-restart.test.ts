/**
 * F07: Redis is killed and comes back with its data (AOF `always`). For less than the trust in a lease nothing
 * happens; for longer the guard ends the agents, their sessions go on later, and no try is used. What finished
 * meanwhile is not run again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { livesOfSession, startsOf } from './rig/starts.ts'

/** `short` runs when Redis is away for a moment, the others when it is away for long. */
type Name = 'short' | 'fenced' | 'finishing'
/** It talks until the file is there. */
const talk = (until_file: string): FakeScript => ({ lines: 5000, delay_ms: 50, until_file })

const TIMES = { ttlMs: 2600, renewMs: 300, marginMs: 500 }
/** An agent is trusted for that long at least when Redis goes. */
const SHORT_MS = TIMES.ttlMs - TIMES.marginMs - TIMES.renewMs
/** After Redis is back: the quarantine of one lease, and at most another one for pods that have to send again. */
const RECOVERY_MS = 2 * TIMES.ttlMs + 10_000

let field: Field
const ids = {} as Record<Name | 'waiting', string>
/** On the witness' clock. */
const down = { from: 0, to: 0 }

beforeAll(async () => {
  field = await openField({ pods: 2, times: TIMES, types: { short: {}, fenced: {}, finishing: {} } })
}, 60_000)
afterAll(() => field.close())

/** Spawns it and waits until it has begun to talk. */
async function begin(name: Name, script: FakeScript): Promise<void> {
  ids[name] = await field.spawn(script, { agentType: name })
  await field.recorded(ids[name], 'claude.assistant')
}

test('F07 away for less than the margin: the session does not notice', async () => {
  // How quickly Redis starts is not the test's to say: on a machine that stood still meanwhile, once more.
  for (let away = Number.POSITIVE_INFINITY, turn = 1; away >= SHORT_MS; turn++) {
    await begin('short', talk(`back-${turn}`))
    const from = field.now()
    await field.killRedis()
    await until(() => field.now() - from > 0.2 * field.times.marginMs)
    await field.startRedisAgain()
    away = field.now() - from
    process.stdout.write(`F07: Redis was away for ${Math.round(away)} ms\n`)
    field.tell(`back-${turn}`)
    await field.ended(ids.short)
  }
  expect(await field.ended(ids.short)).toMatchObject({ status: 'completed', restarts: 0, incomplete: 0 })
  expect(startsOf(field, ids.short)).toHaveLength(1)
  expect(field.ledger.agents(ids.short)).toMatchObject([{ status: 'completed', exit_code: 0 }])
})

test('F07 away for two leases: the guard ends the agent in time, and the session goes on without a try', async () => {
  await begin('fenced', talk('back'))
  await begin('finishing', { ...talk('away'), text: 'while Redis was away' })
  // It waits in the queue all the time.
  ids.waiting = await field.spawn({ lines: 1 }, { agentType: 'fenced' })
  await field.killRedis()
  down.from = field.now()
  field.tell('away')
  const [first] = livesOfSession(field, ids.fenced)
  await until(() => field.pods.every((pod) => pod.agents().length === 0), {
    message: 'the guards to end what they cannot trust any more',
  })
  await until(() => field.now() - down.from > 2 * field.times.ttlMs)
  await field.startRedisAgain()
  down.to = field.now()
  field.tell('back')

  expect(await field.ended(ids.fenced)).toMatchObject({ status: 'completed', restarts: 0 })
  const [old, next] = livesOfSession(field, ids.fenced)
  expect(old?.agentId).toBe(first?.agentId)
  // Before anybody else could have had the lease.
  expect(old?.to).toBeLessThan(down.from + field.times.ttlMs + field.stoodStill(down.from, old?.to))
  expect(next?.from).toBeGreaterThan(down.to)
  const recovery = (next?.from ?? Number.POSITIVE_INFINITY) - down.to
  process.stdout.write(`F07: the session went on ${Math.round(recovery)} ms after Redis was back\n`)
  expect(recovery).toBeLessThan(RECOVERY_MS)
  const agents = field.ledger.agents(ids.fenced)
  expect(agents).toMatchObject([
    { status: 'killed', exit_signal: 'SIGKILL', tail_unknown: 0 },
    { status: 'completed' },
  ])
  expect(agents.at(-1)?.command).toContain('--resume')
})

test('F07 a session that finished meanwhile is recorded, and not run again', async () => {
  const row = await field.ended(ids.finishing)
  expect(row).toMatchObject({ status: 'completed', restarts: 0, result: 'while Redis was away' })
  const [life] = livesOfSession(field, ids.finishing)
  expect(life?.to).toBeGreaterThan(down.from)
  expect(life?.to).toBeLessThan(down.to)
  expect(startsOf(field, ids.finishing)).toHaveLength(1)
})

test('F07 what waited in the queue is still there', async () => {
  expect(await field.ended(ids.waiting)).toMatchObject({ status: 'completed', restarts: 0 })
})

test('F07 while Redis is away a pod does not flood its log', () => {
  for (const pod of field.pods) {
    const lines = pod.log().split('\n').length
    const seconds = (down.to - down.from) / 1000
    // A line per kind per 10 s, and what is said besides.
    expect(lines, pod.log()).toBeLessThan(20 + 10 * seconds)
  }
})

test('F07 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ sessions: field.accepted.length, tailsUnknown: 0 })
})
