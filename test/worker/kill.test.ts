/** Kills and restarts from outside, at every point of a session's life, with real processes (F34). */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { createAgentTypeRegistry } from '../../src/queue/agent-types.ts'
import { newSessionId } from '../../src/core/ids.ts'
import { createQueues } from '../../src/queue/jobs.ts'
import { createSessionStore } from '../../src/queue/session-store.ts'
import { isTreeAlive, readWitness, violations } from '../support/fake-claude.ts'
import { acceptance, ARCHITECT } from '../support/namespace.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let house: PodHouse
beforeEach(async () => {
  house = await openHouse({ redisUrl: server.url })
})
afterEach(() => house.close())

const LONG = { timeoutMs: 20_000 }
const starts = () => readWitness(house.witness).filter((record) => record.kind === 'start')
const stateOf = (sessionId: string) => house.redis.hget(house.keys.session(sessionId), 'state')
const reaches = (sessionId: string, state: string) =>
  until(async () => (await stateOf(sessionId)) === state, { ...LONG, message: `${sessionId} ${state}` })
const typesOf = (events: readonly Envelope[]) => events.map((event) => event.type)

/** One end, nothing left of it, and nothing starts afterwards. */
async function endedOnce(sessionId: string, status: 'completed' | 'cancelled'): Promise<Envelope[]> {
  const events = await house.events(sessionId)
  const ends = events.filter((event) => event.type === 'drover.session.ended')
  expect(ends.map((event) => (event.payload as { status: string }).status)).toEqual([status])
  for (const { agent_id } of starts()) {
    await until(() => !isTreeAlive(house.witness, agent_id), { message: `${agent_id} is gone` })
  }
  expect(violations(house.witness)).toEqual([])
  return events
}

test('F34 queued: it ends at once, its job is gone, and no agent ever runs', async () => {
  await createAgentTypeRegistry(house.redis, house.keys).announce([ARCHITECT])
  const sessionId = await house.spawn({})
  const killed = await house.producer.kill(sessionId, { reason: 'not today' })
  expect(killed).toMatchObject({
    success: true,
    action: 'graceful_kill',
    agentId: null,
    pid: null,
    killSignal: null,
    processesKilled: 0,
  })
  const queues = createQueues(house.redis, house.keys, () => {})
  expect(await queues.of('architect').getJob(sessionId)).toBeUndefined()
  await house.startPod()
  // What comes after it in its queue runs.
  const next = await house.spawn({})
  await house.events(next)
  const events = await endedOnce(sessionId, 'cancelled')
  expect(events.at(-1)?.payload).toMatchObject({
    message: 'Cancelled: not today.',
    actor: { via: 'typescript', name: null },
  })
  expect(starts().map((record) => record.session_id)).toEqual([next])
})

test('F34 acquiring: a claim that waits for the lease gives up', async () => {
  await house.redis.set(house.keys.lease('architect', 0), 'another', 'PX', 60_000)
  await house.startPod()
  const sessionId = await house.spawn({})
  const claimed = async () => (await house.redis.hget(house.keys.session(sessionId), 'seq')) === '2'
  await until(claimed, LONG)
  await house.producer.kill(sessionId)
  const queues = createQueues(house.redis, house.keys, () => {})
  await until(async () => (await queues.of('architect').getJob(sessionId))?.isCompleted(), LONG)
  await house.redis.del(house.keys.lease('architect', 0))
  await endedOnce(sessionId, 'cancelled')
  expect(starts()).toEqual([])
})

test('F34 spawning: between the epoch and the init', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ delay_init_ms: 60_000 })
  await reaches(sessionId, 'starting')
  expect(await house.producer.kill(sessionId)).toMatchObject({ success: true, processesKilled: 1 })
  await endedOnce(sessionId, 'cancelled')
})

test('F34 running: SIGTERM is enough, and a repeat answers the same', async () => {
  // It hears of it by the doorbell: no beat comes, and a grace that was waited for would be the test's end.
  await house.startPod({ DROVER_LEASE_TTL_MS: '600000', DROVER_LEASE_RENEW_MS: '120000' })
  const sessionId = await house.spawn({ silence_ms: 60_000 })
  await reaches(sessionId, 'running')
  const killed = await house.producer.kill(sessionId, { graceSeconds: 60 })
  expect(killed).toMatchObject({
    action: 'graceful_kill',
    killSignal: 'SIGTERM',
    killedGracefully: true,
    gracePeriodSeconds: 60,
    pid: expect.any(Number) as number,
  })
  const events = await endedOnce(sessionId, 'cancelled')
  expect(typesOf(events)).toContain('drover.session.cancel_requested')
  expect(events.find((event) => event.type === 'drover.agent.killed')?.payload).toMatchObject({
    reason: 'cancel',
    actor: { via: 'typescript' },
  })
  expect(await house.producer.kill(sessionId)).toEqual(killed)
  expect(await house.events(sessionId)).toHaveLength(events.length)
})

test('F34 running, ignoring SIGTERM: SIGKILL after the grace; force shortens a grace that runs', async () => {
  await house.startPod()
  const slow = await house.spawn({ silence_ms: 60_000, ignore_term: true })
  const stubborn = await house.spawn(
    { silence_ms: 60_000, ignore_term: true },
    { agentType: 'code_developer' },
  )
  await Promise.all([reaches(slow, 'running'), reaches(stubborn, 'running')])
  expect(await house.producer.kill(slow, { graceSeconds: 0.2 })).toMatchObject({
    killSignal: 'SIGKILL',
    killedGracefully: false,
    gracePeriodSeconds: 0.2,
  })
  const graceful = house.producer.kill(stubborn, { graceSeconds: 600 })
  await until(async () => (await house.redis.hexists(house.keys.session(stubborn), 'cancel')) === 1)
  expect(await house.producer.kill(stubborn, { force: true })).toMatchObject({ action: 'force_kill' })
  expect(await graceful).toMatchObject({ killSignal: 'SIGKILL' })
  await endedOnce(slow, 'cancelled')
  await endedOnce(stubborn, 'cancelled')
})

test('F34 finishing: a success that is there stands, and the kill says so', async () => {
  await house.startPod({ DROVER_END_GRACE_MS: '60000' })
  const sessionId = await house.spawn({ hang_after_result: true, text: 'Done.' })
  await until(
    async () => Number(await house.redis.hget(house.keys.session(sessionId), 'num_turns')) > 0,
    LONG,
  )
  await expect(house.producer.kill(sessionId)).rejects.toMatchObject({
    code: 'session_ended',
    details: { status: 'completed' },
  })
  await endedOnce(sessionId, 'completed')
})

test('F34 at any moment of a short session: one end, whichever', async () => {
  await house.startPod()
  for (let after = 0; after < 12; after++) {
    const sessionId = await house.spawn({ lines: 2, delay_ms: 5 })
    // Not a wait for anything: a different moment each time.
    await new Promise((resolve) => setTimeout(resolve, after * 25))
    const killed = await house.producer.kill(sessionId).then(
      () => 'cancelled' as const,
      () => 'completed' as const,
    )
    const startsThen = starts().length
    await endedOnce(sessionId, killed)
    expect(starts()).toHaveLength(startsThen)
  }
}, 60_000)

test('F34 in back-off: it ends at once, and the waiting pod lets it go', async () => {
  await house.startPod({ DROVER_RESTART_BACKOFF_MS: '60000' })
  const sessionId = await house.spawn({ crash_on_attempts: [1] })
  await reaches(sessionId, 'restarting')
  expect(await house.producer.kill(sessionId)).toMatchObject({ killSignal: null, processesKilled: 0 })
  await endedOnce(sessionId, 'cancelled')
  // Its place is free again, long before the back-off is over.
  const next = await house.spawn({})
  await house.events(next)
  expect(starts().map((record) => record.session_id)).toEqual([sessionId, next])
})

test('a crash in the moment of the kill ends as cancelled, not as a restart', async () => {
  await house.startPod({ DROVER_RESTART_BACKOFF_MS: '60000', DROVER_LEASE_RENEW_MS: '700' })
  const sessionId = await house.spawn({ silence_ms: 60_000 })
  await reaches(sessionId, 'running')
  const pid = Number(await house.redis.hget(house.keys.session(sessionId), 'pid'))
  const killing = house.producer.kill(sessionId, { graceSeconds: 30 })
  process.kill(pid, 'SIGKILL')
  expect(await killing).toMatchObject({ success: true })
  await endedOnce(sessionId, 'cancelled')
})

test('a kill whose ring nobody heard is seen with the next beat', async () => {
  await house.startPod()
  const sessionId = await house.spawn({ silence_ms: 60_000 })
  await reaches(sessionId, 'running')
  const request = {
    actor: { via: 'cli', name: null },
    reason: 'silent',
    grace_seconds: null,
    force: false,
    at: '2026-01-01T00:00:00.000Z',
  }
  // As the script would, but for the ring.
  await house.redis.hset(house.keys.session(sessionId), 'cancel', JSON.stringify(request))
  const events = await endedOnce(sessionId, 'cancelled')
  expect(events.at(-1)?.payload).toMatchObject({ message: 'Cancelled: silent.' })
})

test('a session whose pod does not answer: the kill says so and stands; the next pod starts nothing', async () => {
  // Nobody serves it: as after a worker's death.
  await createAgentTypeRegistry(house.redis, house.keys).announce([ARCHITECT])
  const sessionId = await house.spawn({})
  await house.redis.hset(house.keys.session(sessionId), {
    state: 'running',
    epoch: '5',
    agent_id: 'architect-20260101-001',
    pod_id: 'lost',
  })
  const impatient = AbortSignal.timeout(300)
  await expect(house.producer.kill(sessionId, { signal: impatient })).rejects.toMatchObject({
    code: 'kill_failed',
    details: { pod_id: 'lost', status: 'running' },
  })
  await house.startPod()
  const events = await endedOnce(sessionId, 'cancelled')
  expect(typesOf(events).slice(-3)).toEqual([
    'drover.agent.exited',
    'drover.agent.closed',
    'drover.session.ended',
  ])
  expect(starts()).toEqual([])
})

test('a result that its dead worker had not sent yet stands against the kill', async () => {
  const store = createSessionStore(house.redis, house.keys)
  const session = { sessionId: newSessionId(), agentType: 'architect' }
  await store.accept({
    ...acceptance(session.sessionId),
    request: { agent_type: 'architect', prompt: 'Go on', workspace_dir: house.workspace },
  })
  const leaseKey = house.keys.lease('architect', 0)
  await house.redis.set(leaseKey, 'dead', 'PX', 300)
  const dead = await store.start(session, {
    leaseKey,
    token: 'dead',
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [{ type: 'drover.agent.spawned', payload: {} }],
  })
  if (!dead.ok) throw new Error(dead.refused)
  const dir = join(house.dataDir, 'sessions', session.sessionId, 'agents', dead.agentId)
  await mkdir(dir, { recursive: true })
  const result = { type: 'result', subtype: 'success', is_error: false, result: 'All done.', num_turns: 1 }
  const lines = [
    { type: 'system', subtype: 'init', model: 'opus' },
    { ...result, result_index: 0 },
  ]
  await writeFile(join(dir, 'stdout.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  await createQueues(house.redis, house.keys, () => {}).add({ ...session, priority: 1 })

  const refused = house.producer.kill(session.sessionId).catch((error: unknown) => error)
  await until(async () => (await house.redis.hexists(house.keys.session(session.sessionId), 'cancel')) === 1)
  await house.startPod()
  expect(await refused).toMatchObject({ code: 'session_ended' })
  await endedOnce(session.sessionId, 'completed')
  expect(starts()).toEqual([])
})

test('restart of a living agent: ended, followed at once by a resume, counters at 0', async () => {
  await house.startPod({ DROVER_KILL_GRACE_MS: '10000' })
  const sessionId = await house.spawn({ lines: 1, silence_ms: 60_000 })
  await reaches(sessionId, 'running')
  const [first] = starts()
  // As after two crashes; they are set while nothing of the session changes.
  await house.redis.hset(house.keys.session(sessionId), { restarts: 2, free_steps: 5 })
  const restarted = await house.producer.restart(sessionId)
  expect(restarted).toMatchObject({
    success: true,
    action: 'restart',
    oldAgentId: first?.agent_id,
    sessionId,
    restartOf: null,
    retryCount: 0,
    backoffSeconds: 0,
  })
  await until(() => starts().length === 2, LONG)
  expect(starts()[1]?.agent_id).toBe(restarted.newAgentId)
  expect(starts()[1]?.argv).toContain(`--resume=${sessionId}`)
  expect(await house.redis.hget(house.keys.session(sessionId), 'restarts')).toBe('0')
  await reaches(sessionId, 'running')
  await house.producer.kill(sessionId)
  const events = await endedOnce(sessionId, 'cancelled')
  const asked = events.filter((event) => event.type === 'drover.session.restarting')
  expect(asked.map((event) => event.payload)).toMatchObject([{ restarts: 0, actor: { via: 'typescript' } }])
  expect(events.find((event) => event.type === 'drover.agent.killed')?.payload).toMatchObject({
    reason: 'restart',
    signal: 'SIGTERM',
  })
})

test('restart in a back-off: the gate opens', async () => {
  await house.startPod({ DROVER_RESTART_BACKOFF_MS: '600000' })
  const sessionId = await house.spawn({ crash_on_attempts: [1] })
  await reaches(sessionId, 'restarting')
  const restarted = await house.producer.restart(sessionId)
  await until(() => starts().length === 2, LONG)
  expect(starts()[1]?.agent_id).toBe(restarted.newAgentId)
  // Its counters began again, so this is attempt 1, which crashes.
  await reaches(sessionId, 'restarting')
  expect(await house.redis.hget(house.keys.session(sessionId), 'restarts')).toBe('1')
  await house.producer.kill(sessionId)
  await endedOnce(sessionId, 'cancelled')
})

test('restart of an ended session: one new session, however often it is asked for', async () => {
  await house.startPod({ DROVER_MAX_RESTARTS: '0' })
  const failed = await house.spawn({ crash_on_attempts: [1] })
  expect(await house.producer.result(failed)).toMatchObject({ failureReason: 'crashed' })
  const restarted = await house.producer.restart(failed)
  expect(restarted).toMatchObject({ restartOf: failed, retryCount: 1, taskId: null })
  expect(restarted.sessionId).not.toBe(failed)
  await house.events(restarted.sessionId)
  expect(starts()).toHaveLength(2)
  // Its own end is another matter, and the old session is not touched.
  await expect(house.producer.restart(failed)).rejects.toMatchObject({
    code: 'session_ended',
    details: { session_id: restarted.sessionId, restart_of: failed },
  })
  expect(await stateOf(failed)).toBe('failed')
})

test('restart refuses what a restart does not mend, but for force', async () => {
  await house.startPod()
  const done = await house.spawn({})
  await house.events(done)
  await expect(house.producer.restart(done)).rejects.toMatchObject({ code: 'session_ended' })
  const missing = await house.spawn({}, { workspaceDir: house.dataDir })
  await house.events(missing)
  await expect(house.producer.restart(missing)).rejects.toMatchObject({
    code: 'non_retryable_error',
    details: { failure_reason: 'invalid_config' },
  })
  expect(await house.producer.restart(missing, { force: true })).toMatchObject({ restartOf: missing })
  await expect(house.producer.restart('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({
    code: 'session_not_found',
  })
})
