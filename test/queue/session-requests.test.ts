import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Actor } from '../../src/core/envelope.ts'
import { newSessionId } from '../../src/core/ids.ts'
import { cancelledEnding, endOf } from '../../src/queue/session-end.ts'
import { createSessionRequests, type SessionRequests } from '../../src/queue/session-requests.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const ACTOR: Actor = { via: 'cli', name: null }
const TOKEN = 'pod:1'

const server = await redisOfFile()
let space: TestNamespace
let requests: SessionRequests
beforeEach(async () => {
  space = await openNamespace(server.url)
  requests = createSessionRequests(space.redis, space.keys)
})
afterEach(() => space.close())

const types = async (): Promise<string[]> => (await space.events()).map((event) => event.type)

async function accepted(): Promise<{ sessionId: string; agentType: string }> {
  const sessionId = newSessionId()
  await space.store.accept(acceptance(sessionId))
  return { sessionId, agentType: 'architect' }
}

async function start(session: { sessionId: string; agentType: string }) {
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, TOKEN, 'PX', 60_000)
  return await space.store.start(session, {
    leaseKey,
    token: TOKEN,
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [{ type: 'drover.agent.spawned', payload: {} }],
  })
}

async function running(): Promise<AgentRef> {
  const session = await accepted()
  const started = await start(session)
  if (!started.ok) throw new Error(started.refused)
  const agent = { ...session, agentId: started.agentId, epoch: started.epoch }
  await space.store.change(agent, { to: 'running', events: [{ type: 'drover.agent.started', payload: {} }] })
  return agent
}

async function cancel(sessionId: string, more: { force?: boolean; seq?: number; epoch?: string } = {}) {
  const record = await space.store.read(sessionId)
  if (record === null) throw new Error('no record')
  const request = {
    actor: ACTOR,
    reason: 'enough',
    grace_seconds: null,
    force: more.force ?? false,
    at: '2026-01-01T00:00:00.000Z',
  }
  const end = endOf({ ...record, cancel: request }, cancelledEnding(request), new Date())
  return await requests.cancel(record, { request, seq: more.seq ?? record.seq, end, epoch: more.epoch })
}

async function restart(agent: AgentRef, more: { epoch?: string; mustLive?: boolean } = {}) {
  return await requests.restart(agent, {
    request: { actor: ACTOR, epoch: more.epoch ?? agent.epoch, at: '2026-01-01T00:00:00.000Z' },
    event: { type: 'drover.session.restarting', payload: { actor: ACTOR } },
    mustLive: more.mustLive ?? false,
  })
}

test('a session without an agent ends in the step that cancels it, and nothing starts any more', async () => {
  const session = await accepted()
  expect(await cancel(session.sessionId)).toMatchObject({ ok: true, found: 'ended' })

  expect(await space.store.read(session.sessionId)).toMatchObject({
    state: 'cancelled',
    cancel: { reason: 'enough', actor: ACTOR },
    ended: { status: 'cancelled', message: 'Cancelled: enough.', actor: ACTOR },
  })
  expect(await types()).toEqual([
    'drover.session.accepted',
    'drover.session.cancel_requested',
    'drover.session.ended',
  ])
  expect(await start(session)).toEqual({ ok: false, refused: 'ended' })
  expect(await space.redis.ttl(space.keys.session(session.sessionId))).toBeGreaterThan(0)
  expect(await cancel(session.sessionId)).toEqual({ ok: false, refused: 'ended' })
})

test('an end that was put together before something else happened is refused', async () => {
  const session = await accepted()
  expect(await cancel(session.sessionId, { seq: 7 })).toEqual({ ok: false, refused: 'moved' })
  expect(await types()).toEqual(['drover.session.accepted'])
  expect((await space.store.read(session.sessionId))?.cancel).toBeNull()
})

test('with a living agent only the request is recorded; the renewal answers it', async () => {
  const agent = await running()
  expect(await cancel(agent.sessionId)).toMatchObject({ ok: true, found: 'live' })
  expect(await cancel(agent.sessionId)).toMatchObject({ ok: true, found: 'live', streamId: '' })
  expect((await types()).slice(-2)).toEqual(['drover.agent.started', 'drover.session.cancel_requested'])

  const renewal = { leaseKey: space.keys.lease('architect', 0), token: TOKEN, ttlMs: 60_000, beat: {} }
  expect(await space.store.renew(agent, renewal)).toMatchObject({ ok: true, cancel: { force: false } })
  // A forced one after it counts, and does so once.
  await cancel(agent.sessionId, { force: true })
  await cancel(agent.sessionId)
  expect(await requests.read(agent.sessionId)).toMatchObject({ ended: false, cancel: { force: true } })
})

test.each(['queued', 'restarting', 'paused_limit', 'waiting_workspace'] as const)(
  'a cancelled session does not come to rest as %s',
  async (to) => {
    const agent = await running()
    await cancel(agent.sessionId)
    const change = { to, events: [{ type: 'drover.agent.exited' as const, payload: {} }] }
    expect(await space.store.change(agent, change)).toEqual({ ok: false, refused: 'cancelled' })
    expect(await types()).not.toContain('drover.agent.exited')
    expect(await space.store.change(agent, { to: 'cancelled', events: [] })).toMatchObject({ ok: true })
  },
)

test('a kill of an agent means that agent alone', async () => {
  const agent = await running()
  expect(await cancel(agent.sessionId, { epoch: '1' })).toEqual({ ok: false, refused: 'moved' })
  await space.store.change(agent, { to: 'restarting', events: [] })
  expect(await cancel(agent.sessionId, { epoch: agent.epoch })).toEqual({ ok: false, refused: 'moved' })
  expect((await space.store.read(agent.sessionId))?.state).toBe('restarting')
})

test('a restart of a living agent carries its epoch, and is asked for once', async () => {
  const agent = await running()
  expect(await restart(agent)).toMatchObject({ ok: true, found: 'live' })
  expect(await restart(agent)).toMatchObject({ ok: true, found: 'live', streamId: '' })
  expect(await requests.read(agent.sessionId)).toMatchObject({ restart: { epoch: agent.epoch } })
  expect((await types()).filter((type) => type === 'drover.session.restarting')).toHaveLength(1)
  expect(await restart(agent, { epoch: '1' })).toEqual({ ok: false, refused: 'moved' })
})

test('a restart opens the gate and resets the counters', async () => {
  const agent = await running()
  const set = { restarts: 2, free_steps: 3 }
  await space.store.change(agent, { to: 'paused_limit', set, waitMs: 60_000, events: [] })
  expect(await restart(agent, { mustLive: true })).toEqual({ ok: false, refused: 'moved' })
  expect(await restart(agent)).toMatchObject({ ok: true, found: 'waiting' })
  expect(await space.store.read(agent.sessionId)).toMatchObject({
    state: 'restarting',
    restarts: 0,
    freeSteps: 0,
    notBefore: 0,
  })
  expect(await start(agent)).toMatchObject({ ok: true })
})

test('a restart of what waits for its turn changes nothing; of what is being killed it is refused', async () => {
  const session = await accepted()
  const queued = { ...session, agentId: '', epoch: '0' }
  expect(await restart(queued)).toMatchObject({ ok: true, found: 'queued' })
  expect(await types()).toEqual(['drover.session.accepted'])

  const agent = await running()
  await cancel(agent.sessionId)
  expect(await restart(agent)).toEqual({ ok: false, refused: 'cancelled' })
})

test('each request rings the doorbell with the id of the session', async () => {
  const subscriber = space.redis.duplicate()
  const heard: string[] = []
  subscriber.on('message', (_channel: string, sessionId: string) => heard.push(sessionId))
  await subscriber.subscribe(space.keys.doorbell)
  const one = await running()
  await restart(one)
  await cancel(one.sessionId)
  const two = await accepted()
  await cancel(two.sessionId)
  await until(() => heard.length === 3)
  expect(heard).toEqual([one.sessionId, one.sessionId, two.sessionId])
  subscriber.disconnect()
})

test('of a session that Redis has lost nothing is known', async () => {
  expect(await requests.read(newSessionId())).toEqual({
    ended: false,
    cancel: null,
    said: { version: 0, interrupt: null },
    inbox: 0,
    interruptedUntil: 0,
    restart: null,
    notBefore: 0,
  })
})
