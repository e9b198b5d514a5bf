import { execFile } from 'node:child_process'
import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { runIdOf } from '../../src/queue/run-id.ts'
import { createSessionStore, type AgentRef, type SessionStore } from '../../src/queue/session-store.ts'
import { createOutbox, type Outbox } from '../../src/worker/outbox.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let scratch: Scratch
let subscriber: Redis
let outbox: Outbox
let store: SessionStore
let resent: string[]
let recorded: string[]
let errors: unknown[]

beforeEach(async () => {
  scratch = await createScratch()
  space = await openNamespace(server.url)
  subscriber = new Redis(server.url)
  resent = []
  recorded = []
  errors = []
  await space.redis.set(space.keys.seeded, await runIdOf(space.redis))
  outbox = await createOutbox({
    redis: space.redis,
    subscriber,
    keys: space.keys,
    spoolOf,
    onResent: (text) => void resent.push(text),
    onError: (error) => void errors.push(error),
  })
  outbox.onRecorded((streamId) => void recorded.push(streamId))
  store = createSessionStore(space.redis, space.keys, outbox.hooks)
})
afterEach(async () => {
  outbox.stop()
  subscriber.disconnect()
  space.close()
  await scratch.check()
})

const spoolOf = ({ agentId }: { readonly agentId: string }): string => join(scratch.dir, `${agentId}.ndjson`)
const session = () => ({ sessionId: newSessionId(), agentType: 'architect' })
const printed = (n: number) => JSON.stringify({ type: 'assistant', n })
const line = (n: number) => ({ type: 'claude.assistant', payloadText: printed(n) })

async function startOn(ref: { sessionId: string; agentType: string }): Promise<AgentRef> {
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, 'pod:1', 'PX', 60_000)
  const started = await store.start(ref, {
    leaseKey,
    token: 'pod:1',
    agentIdPrefix: 'architect-20260101-',
    set: { pod_id: 'pod-1' },
    events: [{ type: 'drover.agent.spawned', payload: {} }],
  })
  if (!started.ok) throw new Error(started.refused)
  return { ...ref, agentId: started.agentId, epoch: started.epoch }
}

/** An agent with two lines, a change between them, and its end. */
async function liveOn(ref: { sessionId: string; agentType: string }): Promise<AgentRef> {
  const agent = await startOn(ref)
  await mkdir(scratch.dir, { recursive: true })
  await writeFile(spoolOf(agent), `${printed(1)}\n${printed(2)}\n${printed(3)}`)
  await store.lines(agent, { first: 1, lines: [line(1)], increments: { 1: { cost_micros: 7 } } })
  await store.change(agent, {
    from: ['starting'],
    to: 'running',
    events: [{ type: 'drover.agent.started', payload: {} }],
  })
  await store.lines(agent, { first: 2, lines: [line(2)] })
  await store.change(agent, {
    to: 'completed',
    set: { ended: '{}' },
    events: [{ type: 'drover.session.ended', payload: {} }],
    last: true,
  })
  return agent
}

/** The server as it was at an earlier moment: a replica that lagged, and is the primary now. */
async function rememberServer(sessionId: string): Promise<() => Promise<void>> {
  const { redis, keys } = space
  const names = [keys.session(sessionId), keys.events]
  const copies = await Promise.all(names.map((name) => redis.dumpBuffer(name)))
  return async () => {
    await redis.del(...names, keys.epoch, keys.agentCounters)
    for (const [index, name] of names.entries()) {
      await redis.restore(name, 0, copies[index] ?? Buffer.alloc(0), 'REPLACE')
    }
  }
}

/** A session that is recorded up to its acceptance; `failOver` loses all that comes after it. */
async function recordedSession() {
  const ref = session()
  await store.accept(acceptance(ref.sessionId))
  const upTo = (await space.store.read(ref.sessionId))?.lastId ?? ''
  return { ref, upTo, failOver: await rememberServer(ref.sessionId) }
}

const restoredText = async (upTo: string): Promise<string> => `${await runIdOf(space.redis)} ${upTo}`

async function sayRestored(upTo: string): Promise<string> {
  const text = await restoredText(upTo)
  await space.redis.set(space.keys.restored, text)
  await space.redis.publish(space.keys.restored, text)
  return text
}

const seen = async () =>
  (await space.events()).map(({ seq, type, agent_id, epoch, line: number, payloadText }) => ({
    seq,
    type,
    agent_id,
    epoch,
    line: number,
    payload: type.startsWith('claude.') ? JSON.parse(payloadText) : null,
  }))

test('what the ledger does not have is sent again, in order, with the same agent and epoch', async () => {
  const { ref, upTo, failOver } = await recordedSession()
  const agent = await liveOn(ref)
  const before = await seen()

  await failOver()
  const text = await sayRestored(upTo)
  await until(() => resent.includes(text))

  expect(await seen()).toEqual(before)
  expect(before.map(({ type }) => type)).toEqual([
    'drover.session.accepted',
    'drover.agent.spawned',
    'claude.assistant',
    'drover.agent.started',
    'claude.assistant',
    'drover.session.ended',
  ])
  const record = await space.store.read(ref.sessionId)
  expect(record).toMatchObject({ state: 'completed', agentId: agent.agentId, epoch: agent.epoch })
  expect(await space.redis.get(space.keys.epoch)).toBe(agent.epoch)
  expect(await space.redis.hget(space.keys.agentCounters, 'architect-20260101-')).toBe('1')
  expect(errors).toEqual([])
})

test('where nothing was lost sending again changes nothing', async () => {
  const ref = session()
  await store.accept(acceptance(ref.sessionId))
  await liveOn(ref)
  const before = await seen()
  const text = await sayRestored('0-0')
  await until(() => resent.includes(text))
  expect(await seen()).toEqual(before)
  expect((await space.store.read(ref.sessionId))?.costMicros).toBe(7)
})

test('what is recorded is not sent again', async () => {
  const ref = session()
  await store.accept(acceptance(ref.sessionId))
  const failOver = await rememberServer(ref.sessionId)
  await liveOn(ref)
  const upTo = (await space.store.read(ref.sessionId))?.lastId ?? ''
  await failOver()
  const text = await sayRestored(upTo)
  await until(() => resent.includes(text))
  expect((await seen()).map(({ type }) => type)).toEqual(['drover.session.accepted'])
})

test('a change of a session that Redis has lost waits until it is written back', async () => {
  const ref = session()
  await store.accept(acceptance(ref.sessionId))
  const writeBack = await rememberServer(ref.sessionId)
  const upTo = (await space.store.read(ref.sessionId))?.lastId ?? ''
  await space.redis.del(space.keys.session(ref.sessionId), space.keys.seeded)
  const change = store.change(ref, { events: [{ type: 'drover.session.claimed', payload: {} }] })
  await until(async () => (await space.redis.info('commandstats')).includes('cmdstat_mget'))
  await writeBack()
  await sayRestored(upTo)
  expect(await change).toMatchObject({ ok: true })
  expect((await seen()).map(({ type }) => type)).toEqual([
    'drover.session.accepted',
    'drover.session.claimed',
  ])
})

test('announcements are passed on', async () => {
  await space.redis.publish(space.keys.recorded, '5-0')
  await until(() => recorded.length > 1)
  expect(recorded).toEqual(['0-0', '5-0'])
})

test('a change that waits for what Redis has lost is not overtaken by a later one, and taken for done', async () => {
  const ref = session()
  await space.store.accept(acceptance(ref.sessionId))
  const seeded = (await space.redis.getdel(space.keys.seeded)) ?? ''
  let isWaiting = false
  const { hooks } = outbox
  const onLost = (sessionId: string): Promise<void> => {
    isWaiting = true
    return hooks.onLost(sessionId)
  }
  const waiting = createSessionStore(space.redis, space.keys, { ...hooks, onLost })
  const claimed = (by: string) =>
    waiting.change(ref, { events: [{ type: 'drover.session.claimed', payload: { pod_id: by } }] })
  const first = claimed('first')
  await until(() => isWaiting)
  await space.redis.set(space.keys.seeded, seeded)
  await Promise.all([first, claimed('second')])
  const claims = (await space.events()).filter(({ type }) => type === 'drover.session.claimed')
  expect(claims.map(({ payloadText }) => payloadText)).toEqual(['{"pod_id":"first"}', '{"pod_id":"second"}'])
})

test('a new change does not pass before what Redis has lost, though the pod has not heard of that yet', async () => {
  const { ref, upTo, failOver } = await recordedSession()
  const agent = await liveOn(ref)
  const before = await seen()

  await failOver()
  await space.redis.set(space.keys.restored, await restoredText(upTo))
  const closed = store.close(agent, [{ type: 'drover.agent.closed', payload: {} }])
  expect(await closed).toMatchObject({ ok: true })

  expect((await seen()).slice(0, -1)).toEqual(before)
  expect((await seen()).at(-1)?.type).toBe('drover.agent.closed')
  expect(await space.store.read(ref.sessionId)).toMatchObject({ state: 'completed', epoch: agent.epoch })
  expect(resent).toEqual([await restoredText(upTo)])
  expect(errors).toEqual([])
})

test('nor do lines', async () => {
  const { ref, upTo, failOver } = await recordedSession()
  const agent = await startOn(ref)
  await failOver()
  await space.redis.set(space.keys.restored, await restoredText(upTo))
  await store.lines(agent, { first: 1, lines: [line(1)] })
  const events = await space.events()
  expect(events.map(({ type }) => type)).toEqual([
    'drover.session.accepted',
    'drover.agent.spawned',
    'claude.assistant',
  ])
  expect(events.some(({ late }) => late)).toBe(false)
})

test('Redis that loses it once more, while it is being sent again, has all of it in the end', async () => {
  const { ref, upTo, failOver } = await recordedSession()
  const agent = await liveOn(ref)
  const before = await seen()

  // Sending again stands still at the first line until somebody opens the spool for writing.
  const whole = `${spoolOf(agent)}.whole`
  await rename(spoolOf(agent), whole)
  await promisify(execFile)('mkfifo', [spoolOf(agent)])
  await failOver()
  const first = await sayRestored(upTo)
  await until(async () => (await seen()).length === 2)

  await failOver()
  const second = `${await restoredText(upTo)} 2`
  await space.redis.set(space.keys.restored, second)
  // Nothing is written: a pipe has no places to read from, so whoever reads it gives up, maybe before that.
  await (await open(spoolOf(agent), 'a')).close()
  await rename(whole, spoolOf(agent))
  await space.redis.publish(space.keys.restored, second)
  await until(() => resent.includes(second))

  expect(resent).not.toContain(first)
  expect(await seen()).toEqual(before)
  expect(await space.store.read(ref.sessionId)).toMatchObject({ state: 'completed', epoch: agent.epoch })
})
