/**
 * F34: a kill meets its session at every place of its life. It ends once, as cancelled or by its own success, and
 * nothing of it starts after the acknowledgment. F23: an agent that ignores SIGTERM is ended by SIGKILL after the grace.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isDroverError } from '../../src/index.ts'
import type { FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { FieldPod } from './rig/pod.ts'
import { livesOfSession, startsOf } from './rig/starts.ts'

const PLACES = ['queued', 'acquiring', 'spawning', 'running', 'finishing', 'finished', 'back-off'] as const
type Place = (typeof PLACES)[number]
/** Kills at seeded moments, of sessions that live for about half a second. */
const RACES = 12
const RACE: FakeScript = { lines: 4, delay_ms: 40 }
const RACE_SPAN_MS = 900
const BACKOFF_MS = 2000
const STUBBORN: FakeScript = { ignore_term: true, lines: 60, delay_ms: 50 }
/** It talks until it is killed. */
const ENDLESS: FakeScript = { ...STUBBORN, lines: 2000 }
/** What a kill that waits for its grace would be found by. */
const LONG_GRACE_MS = 20_000

let field: Field
let pod: FieldPod

beforeAll(async () => {
  const types = [...PLACES, 'race-1', 'race-2', 'race-3', 'stubborn', 'stubborn-drain']
  field = await openField({ pods: 0, types: Object.fromEntries(types.map((name) => [name, {}])) })
  const served = types.filter((name) => name !== 'queued' && name !== 'stubborn-drain')
  // A back-off that is long enough to be met, and a grace that nobody may wait for.
  const env = {
    DROVER_RESTART_BACKOFF_MS: String(BACKOFF_MS),
    DROVER_KILL_GRACE_MS: String(LONG_GRACE_MS),
  }
  pod = await field.startPod({ id: 'pod-1', types: served, env })
}, 60_000)
afterAll(() => field.close())

interface KillSeen {
  readonly outcome: 'cancelled' | 'ended'
  /** When the answer was there, on the witness' clock. */
  readonly at: number
  readonly answer: Awaited<ReturnType<Field['producer']['kill']>> | null
}

/** Kills it; that it has ended already is an answer too. */
async function kill(sessionId: string, how: { graceSeconds?: number } = {}): Promise<KillSeen> {
  try {
    const answer = await field.producer.kill(sessionId, { reason: 'F34', ...how })
    return { outcome: 'cancelled', at: field.now(), answer }
  } catch (error) {
    if (!isDroverError(error) || error.code !== 'session_ended') throw error
    return { outcome: 'ended', at: field.now(), answer: null }
  }
}

/** Exactly one end, the one that was answered, and no start after the answer. */
async function expectOneEnd(sessionId: string, { outcome, at }: KillSeen): Promise<void> {
  const row = await field.ended(sessionId)
  expect(row.status).toBe(outcome === 'cancelled' ? 'cancelled' : 'completed')
  expect(row.failure_reason).toBe(outcome === 'cancelled' ? 'cancelled' : null)
  const types = field.ledger.events(sessionId).map((event) => event.type)
  expect(types.filter((type) => type === 'drover.session.ended')).toHaveLength(1)
  for (const life of livesOfSession(field, sessionId)) expect(life.from).toBeLessThan(at)
}

const spawn = (place: Place, script: FakeScript = {}): Promise<string> =>
  field.spawn(script, { agentType: place })

test('F34 queued: it ends in the kill itself, and a pod that comes later starts nothing', async () => {
  const id = await spawn('queued')
  const seen = await kill(id)
  expect(seen).toMatchObject({ outcome: 'cancelled', answer: { agentId: null, processesKilled: 0 } })
  await field.startPod({ id: 'late', types: ['queued'] })
  const next = await spawn('queued')
  await field.ended(next)
  await expectOneEnd(id, seen)
  expect(startsOf(field, id)).toHaveLength(0)
})

test('F34 acquiring: a claimed session that waits for the lease ends, and starts nothing', async () => {
  const lease = field.keys.lease('acquiring', 0)
  await field.redis.set(lease, 'somebody-else', 'PX', 60_000)
  const id = await spawn('acquiring')
  await field.recorded(id, 'drover.session.claimed')
  const seen = await kill(id)
  await field.redis.del(lease)
  // The type is free again: the next one runs, and this one did not.
  await field.ended(await spawn('acquiring'))
  await expectOneEnd(id, seen)
  expect(seen.outcome).toBe('cancelled')
  expect(startsOf(field, id)).toHaveLength(0)
})

test('F34 spawning: between the epoch and the init the agent is ended', async () => {
  const id = await spawn('spawning', { delay_init_ms: 5000 })
  await field.recorded(id, 'drover.agent.spawned')
  const seen = await kill(id)
  expect(seen.outcome).toBe('cancelled')
  await expectOneEnd(id, seen)
})

test('F34 running: the agent is ended by SIGTERM, and the kill is recorded with who asked', async () => {
  const id = await spawn('running', { lines: 100, delay_ms: 50 })
  const agent = await field.agentOf(id)
  await field.recorded(id, 'claude.assistant', 2)
  const seen = await kill(id)
  expect(seen.answer).toMatchObject({
    success: true,
    action: 'graceful_kill',
    agentId: agent.agentId,
    pid: agent.pid,
    killSignal: 'SIGTERM',
    killedGracefully: true,
  })
  await expectOneEnd(id, seen)
  const [requested] = field.ledger.payloads(id, 'drover.session.cancel_requested')
  expect(requested).toMatchObject({ reason: 'F34', actor: { via: 'typescript' } })
})

test('F34 finishing: a result that is there stands', async () => {
  const id = await spawn('finishing', { hang_after_result: true, text: 'first' })
  await field.recorded(id, 'claude.result.success')
  const seen = await kill(id)
  expect(seen.outcome).toBe('ended')
  await expectOneEnd(id, seen)
})

test('F34 after the end the kill says so, and changes nothing', async () => {
  const id = await spawn('finished')
  await field.ended(id)
  const before = field.ledger.events(id).length
  const seen = await kill(id)
  expect(seen.outcome).toBe('ended')
  await expectOneEnd(id, seen)
  expect(field.ledger.events(id)).toHaveLength(before)
})

test('F34 back-off: it ends at once, and no further agent starts', async () => {
  const id = await spawn('back-off', { crash_on_attempts: [1] })
  await field.recorded(id, 'drover.session.restarting')
  const asked = field.now()
  const seen = await kill(id)
  expect(seen.at - asked).toBeLessThan(BACKOFF_MS / 2 + field.stoodStill(asked))
  // The back-off is over for the next one of the type: the pod has let go.
  await field.ended(await spawn('back-off'))
  await expectOneEnd(id, seen)
  expect(startsOf(field, id)).toHaveLength(1)
})

test('F34 a kill twice at once is one kill, with one answer', async () => {
  const id = await spawn('running', { lines: 100, delay_ms: 50 })
  await field.agentOf(id)
  const [one, two] = await Promise.all([kill(id), kill(id)])
  expect(one.answer).toEqual(two.answer)
  await expectOneEnd(id, one)
  expect(field.ledger.payloads(id, 'drover.session.cancel_requested')).toHaveLength(1)
})

test(`F34 ${RACES} kills at seeded moments: each session ends once`, async () => {
  const random = field.random.stream('kills')
  const seen = await Promise.all(
    Array.from({ length: RACES }, async (_, at) => {
      // Four of a type, so that some are still queued.
      const id = await field.spawn(RACE, { agentType: `race-${(at % 3) + 1}` })
      const due = field.now() + random.next() * RACE_SPAN_MS
      await until(() => field.now() >= due)
      return { id, seen: await kill(id) }
    }),
  )
  for (const race of seen) await expectOneEnd(race.id, race.seen)
  const cancelled = seen.filter((race) => race.seen.outcome === 'cancelled').length
  process.stdout.write(`F34: ${cancelled} of ${RACES} were cancelled, the others had ended\n`)
  expect(cancelled).toBeGreaterThan(0)
})

test('F23 an agent that ignores SIGTERM is killed by SIGKILL after the grace', async () => {
  const id = await field.spawn(ENDLESS, { agentType: 'stubborn' })
  await field.agentOf(id)
  await field.recorded(id, 'claude.assistant')
  const asked = field.now()
  const seen = await kill(id, { graceSeconds: field.times.killGraceMs / 1000 })
  expect(seen.answer).toMatchObject({ killSignal: 'SIGKILL', killedGracefully: false })
  expect(seen.at - asked).toBeGreaterThan(field.times.killGraceMs)
  expect(seen.at - asked).toBeLessThan(field.times.killGraceMs + 2000 + field.stoodStill(asked))
  await expectOneEnd(id, seen)
  expect(field.ledger.agents(id)).toMatchObject([{ status: 'killed', exit_signal: 'SIGKILL' }])
})

test('F23 a forced kill waits for nothing', async () => {
  const id = await field.spawn(ENDLESS, { agentType: 'stubborn' })
  await field.agentOf(id)
  await field.recorded(id, 'claude.assistant')
  const asked = field.now()
  const answer = await field.producer.kill(id, { force: true })
  expect(answer).toMatchObject({ action: 'force_kill', killSignal: 'SIGKILL', gracePeriodSeconds: 0 })
  expect(field.now() - asked).toBeLessThan(LONG_GRACE_MS / 2)
})

test('F23 a drain ends it too, and the session goes on elsewhere', async () => {
  const leaving = await field.startPod({ id: 'leaving', types: ['stubborn-drain'] })
  const id = await field.spawn(STUBBORN, { agentType: 'stubborn-drain' })
  await field.agentOf(id)
  await field.recorded(id, 'claude.assistant')
  const asked = field.now()
  expect(await leaving.drain()).toBe(0)
  await field.startPod({ id: 'next', types: ['stubborn-drain'] })
  const [life] = livesOfSession(field, id)
  expect((life?.to ?? 0) - asked).toBeGreaterThan(field.times.killGraceMs)
  expect(await field.ended(id)).toMatchObject({ status: 'completed', restarts: 0 })
  const agents = field.ledger.agents(id)
  expect(agents).toMatchObject([
    { pod_id: 'leaving', status: 'killed', exit_signal: 'SIGKILL' },
    { pod_id: 'next', status: 'completed' },
  ])
})

test('F23 F34 the invariants hold', async () => {
  await checkInvariants(field)
  expect(pod.isAlive()).toBe(true)
})
