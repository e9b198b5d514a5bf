/** What comes while Redis is asked: a step that went on with what was so before has lost it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { newId, newSessionId } from '../../src/core/ids.ts'
import { isSettled, NO_FACTS, observe } from '../../src/core/outcome.ts'
import { createSessionRequests } from '../../src/queue/session-requests.ts'
import type { AgentRef, SessionStore } from '../../src/queue/session-store.ts'
import { createTalkStore, type TalkStore } from '../../src/queue/talk.ts'
import { readLine } from '../../src/session/line.ts'
import { createCorrespondence, type Correspondence, type LastSaid } from '../../src/worker/correspondence.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'
import { until } from '../support/until.ts'

type Change = Parameters<SessionStore['change']>[1]

const server = await redisOfFile()
const actor = { via: 'cli', name: null } as const
let space: TestNamespace
let talk: TalkStore
let agent: AgentRef
let correspondence: Correspondence
/** Given to the agent. */
let inputs: string[]
let isDone: boolean
/** Denials that Redis was asked for. */
let denials: number
/** By how much its clock is ahead of the machine's. */
let aheadMs: number
/** Runs once, when Redis has answered the first change that it is for, and before the worker knows. */
let meanwhile: { readonly when: (change: Change) => boolean; readonly what: () => unknown } | null

beforeEach(async () => {
  space = await openNamespace(server.url)
  talk = createTalkStore(space.redis, space.keys)
  const session = { sessionId: newSessionId(), agentType: 'architect' }
  await space.store.accept(acceptance(session.sessionId))
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, 'pod:1', 'PX', 60_000)
  const start = { leaseKey, token: 'pod:1', agentIdPrefix: 'architect-20260101-', set: {}, events: [] }
  const started = await space.store.start(session, start)
  if (!started.ok) throw new Error(started.refused)
  agent = { ...session, agentId: started.agentId, epoch: started.epoch }
  await space.store.change(agent, { from: ['starting'], to: 'running', events: [] })

  inputs = []
  isDone = false
  denials = 0
  aheadMs = 0
  meanwhile = null
  facts = NO_FACTS
  correspondence = createCorrespondence(
    {
      store: {
        async change(...args) {
          const changed = await space.store.change(...args)
          const now = meanwhile?.when(args[1]) === true ? meanwhile : null
          if (now !== null) meanwhile = null
          await now?.what()
          return changed
        },
      },
      talk: {
        ...talk,
        answer(...args) {
          denials += 1
          return talk.answer(...args)
        },
      },
      clock: { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs },
      agent,
      guarded: {
        input: (line) => void inputs.push(line),
        onSample: () => undefined,
        exited: new Promise(() => undefined),
      },
      given: [],
      waitedMs: 0,
      patience: { permissionMs: 60_000, messageMs: 60_000 },
      silenceMs: 60_000,
      onFailure: (error) => {
        throw error
      },
    },
    () => (isDone = true),
  )
})
afterEach(async () => {
  await correspondence.finish()
  space.close()
})

let facts = NO_FACTS
let lines = 0
/** The CLI prints these, in one batch. */
function print(...messages: object[]): void {
  const batch = messages.map((message) => readLine(Buffer.from(JSON.stringify(message)), ++lines, false))
  facts = batch.reduce((folded, { message }) => observe(folded, message), facts)
  correspondence.observe(batch)
  correspondence.settle(facts, isSettled(facts))
}
const INIT = { type: 'system', subtype: 'init' }
const RESULT = { type: 'result', is_error: false, result: 'done' }
const ABORTED = { type: 'result', is_error: true, terminal_reason: 'aborted_streaming' }
const ASKS = {
  type: 'control_request',
  request_id: 'q',
  request: { subtype: 'can_use_tool', tool_name: 'Bash', tool_use_id: 'call', input: {} },
}
const lifecycle = (id: string, state: string) => ({ type: 'command_lifecycle', command_uuid: id, state })

const hear = async () =>
  correspondence.hear((await createSessionRequests(space.redis, space.keys).read(agent.sessionId)).said)
async function send(): Promise<string> {
  const message = { message_id: newId(), text: 'instead', priority: 'next', actor } as const
  expect(await talk.send(agent, message)).toMatchObject({ ok: true })
  await hear()
  await until(() => inputs.some((line) => line.includes(message.message_id)))
  return message.message_id
}
/** Somebody stops the turn. */
async function interrupt(): Promise<void> {
  await talk.interrupt(agent, { request_id: 'stop', epoch: agent.epoch, actor, at: '' })
  await hear()
}
async function obey(): Promise<void> {
  await until(() => inputs.some((line) => line.includes('interrupt')))
  print({ type: 'control_response', response: { subtype: 'success', request_id: 'stop' } }, ABORTED)
}
const field = (name: string) => space.redis.hget(space.keys.session(agent.sessionId), name)
const isWaiting = async () => (await field('state')) === 'waiting_input'
async function own(): Promise<string[]> {
  const events = await space.events()
  return events.map(({ type }) => type.replace('drover.', '')).slice(1)
}
/** A turn is stopped, and a message given instead. */
async function sendInstead(): Promise<string> {
  correspondence.begin()
  print(INIT)
  await interrupt()
  await obey()
  await until(isWaiting)
  return await send()
}
const AFTER_INTERRUPT = ['session.interrupt_requested', 'agent.interrupted', 'session.waiting_input']

test('a turn that begins and ends while its message is written as taken up: the wait is over, and said to be', async () => {
  const id = await sendInstead()
  meanwhile = {
    when: ({ talk: said }) => said?.started?.includes(id) === true,
    what: () => print(INIT, lifecycle(id, 'completed'), RESULT),
  }
  print(lifecycle(id, 'started'))
  await until(() => isDone)
  expect(await own()).toEqual([...AFTER_INTERRUPT, 'message.sent', 'message.delivered', 'session.resumed'])
  expect(await field('state')).toBe('running')
  expect(await field('interrupted_until')).toBe('')
})

const closing = ({ close }: Change) => close === true
const sendAnother = () => talk.send(agent, { message_id: newId(), text: 'x', priority: 'next', actor })

test('a turn that begins, and somebody stops it, while the inbox is closed: a message can be sent, and is waited for', async () => {
  correspondence.begin()
  meanwhile = {
    when: closing,
    async what() {
      print(INIT)
      await interrupt()
    },
  }
  print(INIT, RESULT)
  await obey()
  await until(isWaiting)
  expect(isDone).toBe(false)
  const id = await send()
  print(INIT, lifecycle(id, 'started'), lifecycle(id, 'completed'), RESULT)
  await until(() => isDone)
  expect(await own()).toEqual([...AFTER_INTERRUPT, 'message.sent', 'message.delivered', 'session.resumed'])
})

test('a question that is asked while the inbox is closed is told, answered, and the inbox open meanwhile', async () => {
  correspondence.begin()
  meanwhile = { when: closing, what: () => print(INIT, ASKS) }
  print(INIT, RESULT)
  await until(isWaiting)
  expect(await sendAnother()).toMatchObject({ ok: true })
  await talk.answer(agent, {
    request_id: 'q',
    tool_name: 'Bash',
    behavior: 'allow',
    message: null,
    updated_input: null,
    interrupt: false,
    actor,
  })
  await hear()
  await until(() => inputs.some((line) => line.includes('"allow"')))
  await until(async () => !(await isWaiting()))
  expect(isDone).toBe(false)
})

test('a question that is late when its session is cancelled is not denied over and over until the agent has ended', async () => {
  correspondence.begin()
  print(INIT, ASKS)
  await until(isWaiting)
  const request = JSON.stringify({ actor, reason: '', grace_seconds: 60, force: false, at: '' })
  await space.redis.hset(space.keys.session(agent.sessionId), 'cancel', request)
  aheadMs = 61_000
  correspondence.hear({ version: 1, interrupt: null })
  await until(() => denials > 0)
  // Each takes one turn of the same connection.
  for (let turn = 0; turn < 20; turn++) await space.redis.ping()
  expect(denials).toBeLessThan(3)
})

test('an agent that ends in the moment in which its wait is over has ended it', async () => {
  const id = await sendInstead()
  meanwhile = {
    when: ({ talk: said }) => said?.started?.includes(id) === true,
    what() {
      print(INIT, lifecycle(id, 'completed'), RESULT)
      ended.resolve(correspondence.finish())
    },
  }
  const ended = Promise.withResolvers<LastSaid>()
  print(lifecycle(id, 'started'))
  expect(await ended.promise).toEqual({ waitedMs: null, talk: { started: [], done: [id] }, events: [] })
  expect(await own()).toContain('session.resumed')
  expect(isDone).toBe(false)
})

test('an agent that ends in the moment in which somebody has stopped it is followed by none before a message is', async () => {
  correspondence.begin()
  print(INIT)
  await interrupt()
  const ended = Promise.withResolvers<LastSaid>()
  meanwhile = {
    when: ({ events }) => events.some(({ type }) => type === 'drover.agent.interrupted'),
    what: () => ended.resolve(correspondence.finish()),
  }
  await obey()
  expect(await ended.promise).toMatchObject({ waitedMs: null })
  expect(await own()).toEqual(AFTER_INTERRUPT)
  expect(Number(await field('interrupted_until'))).toBeGreaterThan(0)
})
