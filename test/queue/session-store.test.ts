import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
beforeEach(async () => {
  space = await openNamespace(server.url)
})
afterEach(() => space.close())

const TOKEN = 'pod:1'

async function accepted(): Promise<{ sessionId: string; agentType: string }> {
  const sessionId = newSessionId()
  await space.store.accept(acceptance(sessionId))
  return { sessionId, agentType: 'architect' }
}

async function startAgent(session: { sessionId: string; agentType: string }): Promise<AgentRef> {
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, TOKEN, 'PX', 60_000)
  const started = await space.store.start(session, {
    leaseKey,
    token: TOKEN,
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [{ type: 'drover.agent.spawned', payload: {} }],
  })
  if (!started.ok) throw new Error(started.refused)
  return { ...session, agentId: started.agentId, epoch: started.epoch }
}

const line = (n: number) => ({ type: 'claude.assistant', payloadText: `{"n":${n}}` })

test('accepting twice makes one session, and says so', async () => {
  const sessionId = newSessionId()
  const first = await space.store.accept(acceptance(sessionId))
  const second = await space.store.accept(acceptance(sessionId))

  expect(first).toMatchObject({ created: true, position: 1 })
  expect(second).toEqual({ created: false, why: 'exists' })
  expect((await space.events()).map((event) => event.type)).toEqual(['drover.session.accepted'])
})

test('a prompt as it was given may be no whole Unicode: nobody who is accepted with it is refused', async () => {
  const [halved, other] = [newSessionId(), newSessionId()]
  const digest = 'of what was given'
  const redacted = { members: ['prompt'], digest }
  const plain = acceptance(halved)
  const both = await Promise.all([
    space.store.accept({
      ...plain,
      accepted: { ...plain.accepted, redacted },
      unredactedPrompt: 'half \uD83D of it',
    }),
    space.store.accept(acceptance(other)),
  ])
  expect(both).toMatchObject([{ created: true }, { created: true }])
  expect(await space.store.read(halved)).toMatchObject({ redacted, unredactedPrompt: 'half \uFFFD of it' })
})

test('events of a session are numbered 1…n without a gap, whoever appends them', async () => {
  const session = await accepted()
  const agent = await startAgent(session)
  await space.store.lines(agent, { first: 1, lines: [line(1), line(2)] })
  await space.store.change(agent, { to: 'running', events: [{ type: 'drover.agent.started', payload: {} }] })
  await space.store.lines(agent, { first: 3, lines: [line(3)] })

  const events = await space.events()
  expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6])
  expect(events.map((event) => event.line)).toEqual([null, null, 1, 2, null, 3])
  expect(events[0]).toMatchObject({ agent_id: null, epoch: 0 })
  expect(events[5]).toMatchObject({ agent_id: agent.agentId, payloadText: '{"n":3}' })
})

test('each agent gets a higher epoch and the next number of its type and day', async () => {
  const one = await startAgent(await accepted())
  const two = await startAgent(await accepted())
  expect(Number(two.epoch)).toBeGreaterThan(Number(one.epoch))
  expect([one.agentId, two.agentId]).toEqual(['architect-20260101-001', 'architect-20260101-002'])
})

test('an epoch grows also where the stored one was lost', async () => {
  const one = await startAgent(await accepted())
  await space.redis.del(space.keys.epoch)
  // From here it counts on Redis' clock alone.
  await until(async () => {
    const [seconds, micros] = (await space.redis.time()).map(Number)
    return (seconds ?? 0) * 1000 + Math.floor((micros ?? 0) / 1000) > Number(one.epoch)
  })
  const two = await startAgent(await accepted())
  expect(Number(two.epoch)).toBeGreaterThan(Number(one.epoch))
})

test('a line is taken once: repeats are dropped, overlaps cut, a jump refused', async () => {
  const agent = await startAgent(await accepted())
  const batch = { first: 1, lines: [line(1), line(2)], increments: { 2: { cost_micros: 7 } } }
  await space.store.lines(agent, batch)
  await space.store.lines(agent, batch)
  await space.store.lines(agent, {
    first: 2,
    lines: [line(2), line(3)],
    increments: { 2: { cost_micros: 7 } },
  })
  const jump = await space.store.lines(agent, { first: 9, lines: [line(9)] })

  expect(jump).toEqual({ ok: false, refused: 'gap', cursor: 3 })
  const lines = (await space.events()).filter((event) => event.line !== null)
  expect(lines.map((event) => event.payloadText)).toEqual(['{"n":1}', '{"n":2}', '{"n":3}'])
  expect((await space.store.read(agent.sessionId))?.costMicros).toBe(7)
})

test('a superseded agent changes no state, but its missing lines and their cost are taken, marked late', async () => {
  const session = await accepted()
  const old = await startAgent(session)
  const successor = await startAgent(session)

  expect(await space.store.change(old, { to: 'completed', events: [] })).toEqual({
    ok: false,
    refused: 'stale',
  })
  await space.store.lines(old, { first: 1, lines: [line(1)], increments: { 1: { cost_micros: 3 } } })

  const record = await space.store.read(session.sessionId)
  expect(record).toMatchObject({ state: 'starting', epoch: successor.epoch, costMicros: 3 })
  expect((await space.events()).at(-1)).toMatchObject({ agent_id: old.agentId, late: true })
})

test('no agent starts without the lease, before its gate, after a cancel or after the end', async () => {
  const session = await accepted()
  const leaseKey = space.keys.lease('architect', 0)
  const start = () =>
    space.store.start(session, { leaseKey, token: TOKEN, agentIdPrefix: 'a-', set: {}, events: [] })

  expect(await start()).toEqual({ ok: false, refused: 'lease' })
  await space.redis.set(leaseKey, TOKEN)
  await space.store.change(session, { waitMs: 60_000, events: [] })
  const early = await start()
  expect(early).toMatchObject({ ok: false, refused: 'early' })
  expect(!early.ok && early.refused === 'early' && early.waitMs).toBeGreaterThan(50_000)
  await space.redis.hset(space.keys.session(session.sessionId), { not_before: 0, cancel: '{}' })
  expect(await start()).toEqual({ ok: false, refused: 'cancelled' })
  await space.store.change(session, { to: 'cancelled', events: [] })
  expect(await start()).toEqual({ ok: false, refused: 'ended' })
})

test('an end is for ever', async () => {
  const agent = await startAgent(await accepted())
  await space.store.change(agent, {
    to: 'completed',
    last: true,
    events: [{ type: 'drover.session.ended', payload: {} }],
  })
  expect(await space.store.change(agent, { to: 'failed', events: [] })).toEqual({
    ok: false,
    refused: 'ended',
  })
  expect((await space.store.read(agent.sessionId))?.state).toBe('completed')
  expect(await space.redis.ttl(space.keys.session(agent.sessionId))).toBeGreaterThan(3600)
})

test('a renewal needs the token, and tells of a cancel', async () => {
  const agent = await startAgent(await accepted())
  const renewal = {
    leaseKey: space.keys.lease('architect', 0),
    token: TOKEN,
    ttlMs: 9000,
    beat: { cpu_ms: 5 },
  }
  expect(await space.store.renew(agent, renewal)).toMatchObject({ ok: true, cancel: null, restart: null })
  expect(await space.redis.pttl(renewal.leaseKey)).toBeLessThanOrEqual(9000)
  expect(await space.redis.hget(space.keys.session(agent.sessionId), 'cpu_ms')).toBe('5')
  await space.redis.hset(space.keys.session(agent.sessionId), 'cancel', '{}')
  expect(await space.store.renew(agent, renewal)).toMatchObject({ ok: true, cancel: {}, restart: null })
  expect(await space.store.renew(agent, { ...renewal, token: 'other' })).toEqual({
    ok: false,
    refused: 'lease',
  })
})

test('the payload arrives byte for byte', async () => {
  const agent = await startAgent(await accepted())
  const odd = '{"b":1.0,"2":1,"a":"\\u2028 ,\\"payload\\": é 漢","1":1e400}'
  await space.store.lines(agent, { first: 1, lines: [{ type: 'claude.x', payloadText: odd }] })
  expect((await space.events()).at(-1)?.payloadText).toBe(odd)
})

test('a change without an event answers where the last event is', async () => {
  const session = await accepted()
  const { lastId } = (await space.store.read(session.sessionId)) ?? {}
  expect(await space.store.change(session, { events: [], set: { priority: 5 } })).toEqual({
    ok: true,
    streamId: lastId,
  })
})

test('an agent that is over changes nothing any more, and what it still says is late', async () => {
  const agent = await startAgent(await accepted())
  await space.store.change(agent, { to: 'restarting', over: true, events: [] })
  expect(await space.store.change(agent, { to: 'completed', events: [] })).toEqual({
    ok: false,
    refused: 'stale',
  })
  await space.store.lines(agent, { first: 1, lines: [line(1)] })
  expect((await space.events()).at(-1)).toMatchObject({ line: 1, late: true })
})

test('a start that has read other counters than there are is to read again', async () => {
  const session = await accepted()
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, TOKEN, 'PX', 60_000)
  const start = { leaseKey, token: TOKEN, agentIdPrefix: 'architect-20260101-', set: {}, events: [] }
  expect(await space.store.start(session, { ...start, restarts: 1 })).toEqual({
    ok: false,
    refused: 'early',
    waitMs: 0,
  })
  expect(await space.store.start(session, { ...start, restarts: 0 })).toMatchObject({ ok: true })
})

test('of two claims that have read the same, with a lease each, one starts an agent', async () => {
  const session = await accepted()
  const starts = await Promise.all(
    [0, 1].map(async (slot) => {
      const leaseKey = space.keys.lease('architect', slot)
      await space.redis.set(leaseKey, TOKEN, 'PX', 60_000)
      return await space.store.start(session, {
        leaseKey,
        token: TOKEN,
        agentIdPrefix: 'architect-20260101-',
        set: {},
        events: [{ type: 'drover.agent.spawned', payload: {} }],
        epoch: '0',
        restarts: 0,
      })
    }),
  )
  expect(starts).toMatchObject([{ ok: true }, { ok: false, refused: 'early', waitMs: 0 }])
})
