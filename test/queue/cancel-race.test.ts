/**
 * F34 without processes: kills, restarts by hand, the same request again, mail and two pods that both want a session,
 * in many seeded orders and on connections of their own. The scripts alone must see to it that a session ends once, and
 * that nothing of it starts after its kill was acknowledged. Real processes at each place: `test/fault/kill-race.test.ts`.
 */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId, newSessionId } from '../../src/core/ids.ts'
import { isEnded, isLive } from '../../src/core/state.ts'
import { createMailStore } from '../../src/queue/mail.ts'
import { cancelledEnding, endOf } from '../../src/queue/session-end.ts'
import { createSessionRequests } from '../../src/queue/session-requests.ts'
import { createSessionStore, type SessionRecord, type SessionStore } from '../../src/queue/session-store.ts'
import { chooseSeed, createRandom, type Random } from '../fault/rig/random.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

const CASES = 300
/** At a time: what they do falls between one another's steps. */
const TOGETHER = 20
const ACTOR = { via: 'cli', name: null } as const
const TYPE = 'architect'

let server: TestRedis
let space: TestNamespace
let others: readonly Redis[]
beforeAll(async () => {
  server = await startRedis()
  space = await openNamespace(server.url)
  others = [new Redis(server.url), new Redis(server.url), new Redis(server.url)]
})
afterAll(async () => {
  for (const redis of others) redis.disconnect()
  space.close()
  await server.stop()
})

/** A moment in which the others may do something: none to some turns of the event loop. */
async function pause(random: Random): Promise<void> {
  for (let turns = random.integer(0, 6); turns > 0; turns--) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A session under way, and what is known from outside. */
interface Race {
  readonly sessionId: string
  /** The kill was answered: from now on nothing may start. */
  acknowledged: boolean
  readonly startsAfterIt: string[]
}

/** What a pod does, as far as Redis sees it: it goes on until the session has ended or is another's. */
async function pod(store: SessionStore, race: Race, token: string, random: Random): Promise<void> {
  const session = { sessionId: race.sessionId, agentType: TYPE }
  const leaseKey = space.keys.lease(race.sessionId, 0)
  let mine: string | null = null
  for (let steps = 0; steps < 40; steps++) {
    await pause(random)
    const record = await store.read(race.sessionId)
    if (record === null || isEnded(record.state)) return
    if (!isLive(record.state)) {
      const late = race.acknowledged
      // Whoever comes first has it; now and then the other one takes it over.
      if (random.next() < 0.3) await space.redis.set(leaseKey, token)
      const started = await store.start(session, {
        leaseKey,
        token,
        agentIdPrefix: 'architect-20260101-',
        set: {},
        restarts: record.restarts,
        events: [{ type: 'drover.agent.spawned', payload: {} }],
      })
      if (started.ok && late) race.startsAfterIt.push(started.agentId)
      if (started.ok) mine = started.epoch
      continue
    }
    if (record.epoch !== mine || record.agentId === null) {
      // The other pod's agent: it is lost now and then, and this one looks after it.
      if (random.next() < 0.1) mine = record.epoch
      continue
    }
    await step(store, { ...session, agentId: record.agentId, epoch: record.epoch }, record, random)
  }
}

async function step(
  store: SessionStore,
  agent: { sessionId: string; agentType: string; agentId: string; epoch: string },
  record: SessionRecord,
  random: Random,
): Promise<void> {
  const requests = await createSessionRequests(space.redis, space.keys).read(agent.sessionId)
  if (requests.cancel !== null) {
    await store.change(agent, { ...endOf(record, cancelledEnding(requests.cancel), new Date()), last: true })
    return
  }
  const kind = random.pick(['run', 'say', 'rest', 'pause', 'wait', 'end', 'fail'] as const)
  const to = { rest: 'restarting', pause: 'paused_limit', wait: 'waiting_workspace' } as const
  switch (kind) {
    case 'run':
      await store.change(agent, { from: ['starting'], to: 'running', events: [] })
      return
    case 'say':
      await store.lines(agent, {
        first: record.cursor + 1,
        lines: [{ type: 'claude.assistant', payloadText: '{}' }],
      })
      return
    case 'rest':
    case 'pause':
    case 'wait':
      await store.change(agent, { to: to[kind], events: [], waitMs: 0, over: true })
      return
    case 'end':
    case 'fail': {
      const status = kind === 'end' ? 'completed' : 'failed'
      const ending = {
        status,
        failureReason: null,
        message: '',
        output: null,
        permissionDenials: [],
      } as const
      await store.change(agent, { ...endOf(record, ending, new Date()), last: true })
    }
  }
}

/** Somebody from outside, at some moment. */
async function outside(redis: Redis, race: Race, random: Random): Promise<void> {
  const store = createSessionStore(redis, space.keys)
  const requests = createSessionRequests(redis, space.keys)
  const mail = createMailStore(redis, space.keys)
  const session = { sessionId: race.sessionId, agentType: TYPE }
  const kills = random.integer(0, 12)
  for (let steps = 0; ; steps++) {
    await pause(random)
    const record = await store.read(race.sessionId)
    if (record === null || isEnded(record.state)) return
    if (steps >= kills) {
      const request = { actor: ACTOR, reason: 'race', grace_seconds: null, force: false, at: '' }
      const end = endOf({ ...record, cancel: request }, cancelledEnding(request), new Date())
      const asked = await requests.cancel(record, { request, seq: record.seq, end })
      if (asked.ok) race.acknowledged = true
      continue
    }
    const event = { type: 'drover.session.restarting', payload: { actor: ACTOR } } as const
    const request = { actor: ACTOR, epoch: record.epoch, at: '' }
    const kind = random.pick(['restart', 'again', 'mail', 'nothing'] as const)
    if (kind === 'restart') await requests.restart(session, { request, event, mustLive: false })
    if (kind === 'again') await store.accept(acceptance(race.sessionId))
    if (kind === 'mail') await mail.send(message(race.sessionId), null, null)
  }
}

const message = (to: string) => {
  const id = newId()
  return {
    channel: 'mail' as const,
    message_id: id,
    agent_type: TYPE,
    actor: ACTOR,
    thread_id: id,
    in_reply_to: null,
    broadcast_id: null,
    from_session: null,
    from_agent_type: null,
    to_session: to,
    to_agent_type: TYPE,
    text: 'x',
  }
}

async function race(seed: number): Promise<Race> {
  const random = createRandom(seed)
  const running: Race = { sessionId: newSessionId(), acknowledged: false, startsAfterIt: [] }
  await space.store.accept(acceptance(running.sessionId))
  const [first, second, third] = others.map((redis) => redis)
  await Promise.all([
    pod(createSessionStore(first as Redis, space.keys), running, 'pod:1', random.stream('pod 1')),
    pod(createSessionStore(second as Redis, space.keys), running, 'pod:2', random.stream('pod 2')),
    outside(third as Redis, running, random.stream('outside')),
  ])
  return running
}

test(`F34 ${CASES} seeded orders: one end each, and no start after the acknowledgment`, async () => {
  const seed = chooseSeed()
  const races: Race[] = []
  for (let at = 0; at < CASES; at += TOGETHER) {
    const some = Array.from({ length: TOGETHER }, (_, n) => race(seed + at + n))
    races.push(...(await Promise.all(some)))
  }
  const events = Map.groupBy(await space.events(), (event) => event.session_id)
  const ends = { completed: 0, failed: 0, cancelled: 0 }
  for (const [n, { sessionId, startsAfterIt }] of races.entries()) {
    const of = events.get(sessionId) ?? []
    const types = of.map(({ type }) => type)
    const what = `seed ${seed + n}: ${types.join(' ')}`
    expect(startsAfterIt, what).toEqual([])
    expect(
      of.map(({ seq }) => seq),
      what,
    ).toEqual(of.map((_, index) => index + 1))
    const asked = types.indexOf('drover.session.cancel_requested')
    const end = types.indexOf('drover.session.ended')
    expect(
      types.filter((type) => type === 'drover.session.ended'),
      what,
    ).toHaveLength(1)
    expect(types.slice(end + 1), what).not.toContain('drover.agent.spawned')
    if (asked >= 0) expect(types.slice(asked), what).not.toContain('drover.agent.spawned')
    const { status } = JSON.parse(of[end]?.payloadText ?? '{}') as { status: keyof typeof ends }
    expect((await space.store.read(sessionId))?.state, what).toBe(status)
    ends[status] += 1
  }
  // The orders are worth something only where both happen.
  expect(ends.cancelled).toBeGreaterThan(CASES / 10)
  expect(ends.completed + ends.failed).toBeGreaterThan(CASES / 20)
})
