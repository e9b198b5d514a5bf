/** What is said to a running session, with real processes: messages, interrupts, answers, and who dies meanwhile. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { fakePrompt, readWitness, violations, type FakeScript } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const SPEC = { permission_mode: 'manual', permission_prompts: 'ask' }
/** Sessions of one type wait for one another. */
const TYPES = ['architect', 'code_developer', 'project_manager', 'code_reviewer'] as const
/** Of a session whose turn the test decides. */
const HELD = 'doc-keeper-haiku'

let server: TestRedis
let house: PodHouse
beforeAll(async () => {
  server = await startRedis()
  house = await openHouse({
    redisUrl: server.url,
    spec: SPEC,
  })
  await house.startPod()
})
afterAll(async () => {
  expect(violations(house.witness)).toEqual([])
  await house.close()
  await server.stop()
})

const LONG = { timeoutMs: 60_000 }
const field = (sessionId: string, name: string) => house.redis.hget(house.keys.session(sessionId), name)
const reaches = (sessionId: string, state: string) =>
  until(async () => (await field(sessionId, 'state')) === state, {
    ...LONG,
    message: `${sessionId} ${state}`,
  })
const startsOf = (sessionId: string, at = house) =>
  readWitness(at.witness).filter((record) => record.kind === 'start' && record.session_id === sessionId)
let spawned = 0
const spawn = (script: FakeScript) =>
  house.spawn(script, { agentType: TYPES[spawned++ % TYPES.length] ?? TYPES[0] })
/** Lets a turn that asks go on. */
const go = (sessionId: string) => house.producer.answer(sessionId, { behavior: 'allow' })
/** Its payload, which must be there. */
function payloadOf(event: Envelope | undefined): Readonly<Record<string, unknown>> {
  if (event === undefined) throw new Error('there is no such event')
  return event.payload as Readonly<Record<string, unknown>>
}
const typesOf = (events: readonly Envelope[]) => events.map((event) => event.type)
const ofType = (events: readonly Envelope[], type: string) => events.filter((event) => event.type === type)
const inbox = async (sessionId: string) => Number((await field(sessionId, 'inbox')) ?? 0)

/** What agents said, in order. */
function saidIn(events: readonly Envelope[]): string[] {
  return ofType(events, 'claude.assistant').flatMap(({ payload }) =>
    (payload as { message: { content: { text: string }[] } }).message.content.map(({ text }) => text),
  )
}

describe.concurrent('one pod', { timeout: 120_000 }, () => {
  test('a message to a running session is its next turn, once, and recorded with who sent it and who got it', async () => {
    const sessionId = await spawn({ ask: ['go'], text: 'first' })
    await reaches(sessionId, 'waiting_input')
    const text = fakePrompt({ text: 'second' }, 'And now?')
    const sent = await house.producer.send(sessionId, text, { idempotencyKey: 'k' })
    expect(sent).toMatchObject({
      success: true,
      status: 'waiting_input',
      repeated: false,
      agentId: expect.any(String),
    })
    expect(await house.producer.send(sessionId, text, { idempotencyKey: 'k' })).toMatchObject({
      messageId: sent.messageId,
      repeated: true,
    })
    await expect(house.producer.send(sessionId, 'other', { idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
    await go(sessionId)
    const result = await house.producer.result(sessionId)
    expect(result).toMatchObject({ success: true, output: 'second', restarts: 0, numTurns: 2 })
    const events = await house.events(sessionId)
    expect(ofType(events, 'drover.message.sent')).toHaveLength(1)
    expect(ofType(events, 'drover.message.sent')[0]?.payload).toMatchObject({
      message_id: sent.messageId,
      text,
      actor: { via: 'typescript' },
    })
    const delivered = ofType(events, 'drover.message.delivered')
    expect(delivered.map((event) => [event.agent_id, event.payload])).toEqual([
      [sent.agentId, { message_id: sent.messageId }],
    ])
    expect(startsOf(sessionId)).toHaveLength(1)
    expect(await inbox(sessionId)).toBe(0)
    // After the end: the same message again is the same; another one is refused.
    expect(await house.producer.send(sessionId, text, { idempotencyKey: 'k' })).toMatchObject({
      repeated: true,
    })
    await expect(house.producer.send(sessionId, 'more')).rejects.toMatchObject({ code: 'session_ended' })
    expect(await house.redis.ttl(house.keys.talk(sessionId))).toBeGreaterThan(0)
  })

  test('a message to a session that waits is kept, within bounds, and its first agent gets it after its prompt', async () => {
    await house.redis.set(house.keys.lease(HELD, 0), 'another', 'PX', 60_000)
    const sessionId = await house.spawn({ text: 'first' }, { agentType: HELD })
    const one = await house.producer.send(sessionId, fakePrompt({ text: 'second' }))
    const two = await house.producer.send(sessionId, fakePrompt({ text: 'third' }))
    expect(one).toMatchObject({ status: 'queued', agentId: null })
    await house.redis.del(house.keys.lease(HELD, 0))
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'third' })
    const delivered = ofType(await house.events(sessionId), 'drover.message.delivered')
    expect(delivered.map((event) => payloadOf(event)['message_id'])).toEqual([one.messageId, two.messageId])

    await house.redis.set(house.keys.lease(HELD, 0), 'another', 'PX', 60_000)
    const full = await house.spawn({}, { agentType: HELD })
    await Promise.all(Array.from({ length: 100 }, (_, n) => house.producer.send(full, `message ${n}`)))
    await expect(house.producer.send(full, 'one too many')).rejects.toMatchObject({
      code: 'inbox_full',
      details: { session_id: full },
    })
    expect(await inbox(full)).toBe(100)
    await expect(house.producer.send(full, ' ')).rejects.toMatchObject({ code: 'invalid_request' })
    await house.producer.kill(full)
    await house.redis.del(house.keys.lease(HELD, 0))
  })

  test('an agent that ends by itself in the moment of a message is followed by one that gets it', async () => {
    const sessionId = await spawn({ ask: ['go'], exit_after_result: true, text: 'first' })
    await reaches(sessionId, 'waiting_input')
    await house.producer.send(sessionId, fakePrompt({ text: 'second' }))
    await go(sessionId)
    expect(await house.producer.result(sessionId)).toMatchObject({
      success: true,
      output: 'second',
      restarts: 0,
    })
    const events = await house.events(sessionId)
    expect(startsOf(sessionId)).toHaveLength(2)
    expect(ofType(events, 'drover.message.delivered')).toHaveLength(1)
    expect(ofType(events, 'drover.session.restarting')[0]?.payload).toMatchObject({ reason: 'message' })
  })

  test('a crash before the message is taken up: the next agent gets it, once', async () => {
    const sessionId = await spawn({ silence_ms: 60_000 })
    await reaches(sessionId, 'running')
    const { messageId } = await house.producer.send(sessionId, fakePrompt({ text: 'second' }))
    const isRead = async () =>
      (await house.redis.xrange(house.keys.events, '-', '+')).some(
        ([, fields]) => fields[1]?.includes('"state":"queued"') && fields[1].includes(messageId),
      )
    await until(isRead, LONG)
    process.kill(Number(await field(sessionId, 'pid')), 'SIGKILL')
    await until(() => startsOf(sessionId).length === 2, LONG)
    // The first turn again, which is silent: it is stopped, and then the message is the next turn.
    await reaches(sessionId, 'running')
    await until(async () => (await house.producer.interrupt(sessionId)).acknowledged, LONG)
    expect(await house.producer.result(sessionId)).toMatchObject({
      success: true,
      output: 'second',
      restarts: 1,
    })
    const delivered = ofType(await house.events(sessionId), 'drover.message.delivered')
    expect(delivered.map(({ agent_id }) => agent_id)).toEqual([startsOf(sessionId)[1]?.agent_id])
  })

  test('a crash after the message was taken up: the conversation has it, and it is not given again', async () => {
    const sessionId = await spawn({ text: 'first', ask: ['go'] })
    await reaches(sessionId, 'waiting_input')
    const { messageId } = await house.producer.send(
      sessionId,
      fakePrompt({ crash_on_attempts: [1], text: 'second' }),
    )
    await go(sessionId)
    await until(() => startsOf(sessionId).length === 2, LONG)
    await reaches(sessionId, 'waiting_input')
    await go(sessionId)
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, restarts: 1 })
    const events = await house.events(sessionId)
    expect(ofType(events, 'drover.message.delivered')).toHaveLength(1)
    const taken = ofType(events, 'claude.command_lifecycle').filter(
      ({ payload }) => (payload as { command_uuid: string }).command_uuid === messageId,
    )
    expect(new Set(taken.map(({ agent_id }) => agent_id))).toEqual(
      new Set([startsOf(sessionId)[0]?.agent_id]),
    )
  })

  test('a program that says nothing of its messages has had them when its turns are over', async () => {
    const sessionId = await spawn({ no_lifecycle: true, text: 'first', ask: ['go'] })
    await reaches(sessionId, 'waiting_input')
    await house.producer.send(sessionId, fakePrompt({ no_lifecycle: true, text: 'second' }))
    await go(sessionId)
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'second' })
    expect(ofType(await house.events(sessionId), 'drover.message.delivered')[0]?.payload).toMatchObject({
      confirmed: false,
    })
  })

  test('an interrupt stops the turn, and the session goes on with the next message', async () => {
    const sessionId = await spawn({ silence_ms: 60_000, text: 'first' })
    await reaches(sessionId, 'running')
    expect(await house.producer.interrupt(sessionId)).toMatchObject({
      action: 'interrupt',
      acknowledged: true,
    })
    await reaches(sessionId, 'waiting_input')
    await house.producer.send(sessionId, fakePrompt({ text: 'instead' }))
    expect(await house.producer.result(sessionId)).toMatchObject({
      success: true,
      output: 'instead',
      restarts: 0,
    })
    const events = await house.events(sessionId)
    expect(
      typesOf(events).filter((type) => type.startsWith('drover.') && !/agent\.(exited|killed)/.test(type)),
    ).toEqual([
      'drover.session.accepted',
      'drover.session.claimed',
      'drover.agent.spawned',
      'drover.agent.started',
      'drover.session.interrupt_requested',
      'drover.agent.interrupted',
      'drover.session.waiting_input',
      'drover.message.sent',
      'drover.message.delivered',
      'drover.session.resumed',
      'drover.agent.closed',
      'drover.session.ended',
    ])
    expect(startsOf(sessionId)).toHaveLength(1)
  })

  test('a question waits for a person: allow, deny and another input reach the agent', async () => {
    const sessionId = await spawn({ ask: ['rm one', 'rm two'], text: 'first' })
    await reaches(sessionId, 'waiting_input')
    await until(async () => ofType(await soFar(sessionId), 'drover.session.waiting_input').length === 2)
    const asked = ofType(await soFar(sessionId), 'drover.session.waiting_input').map(
      ({ payload }) => payload as { request_id: string; input: { command: string }; tool_name: string },
    )
    expect(asked.map(({ input }) => input.command)).toEqual(['rm one', 'rm two'])
    await expect(house.producer.answer(sessionId, { behavior: 'allow' })).rejects.toMatchObject({
      code: 'invalid_request',
    })
    await expect(
      house.producer.answer(sessionId, { behavior: 'allow', requestId: 'x' }),
    ).rejects.toMatchObject({
      code: 'question_not_found',
    })
    const [one, two] = asked
    const allow = {
      behavior: 'allow',
      requestId: one?.request_id ?? '',
      updatedInput: { command: 'ls' },
    } as const
    expect(await house.producer.answer(sessionId, allow)).toMatchObject({ toolName: 'Bash', repeated: false })
    expect(await house.producer.answer(sessionId, allow)).toMatchObject({ repeated: true })
    await expect(
      house.producer.answer(sessionId, { ...allow, behavior: 'deny', updatedInput: undefined } as never),
    ).rejects.toMatchObject({ code: 'already_answered' })
    expect(await house.producer.answer(sessionId, { behavior: 'deny', message: 'No.' })).toMatchObject({
      requestId: two?.request_id,
    })
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'first' })
    const events = await house.events(sessionId)
    expect(saidIn(events)).toContain('rm one: {"behavior":"allow","updatedInput":{"command":"ls"}}')
    expect(saidIn(events)).toContain('rm two: {"behavior":"deny","message":"No."}')
    expect(ofType(events, 'drover.message.answered')).toHaveLength(2)
    expect(ofType(events, 'drover.session.resumed')).toHaveLength(1)
  })

  test('a question ends with its agent: the next one asks again, and an old answer is none', async () => {
    const sessionId = await spawn({ ask: ['rm one'], text: 'first' })
    await reaches(sessionId, 'waiting_input')
    const question = async () =>
      ofType(await soFar(sessionId), 'drover.session.waiting_input').map(
        ({ payload }) => (payload as { request_id: string }).request_id,
      )
    const [first = ''] = await question()
    await house.producer.restart(sessionId)
    await until(async () => (await question()).length === 2, LONG)
    await expect(
      house.producer.answer(sessionId, { behavior: 'allow', requestId: first }),
    ).rejects.toMatchObject({ code: 'question_not_found' })
    process.kill(Number(await field(sessionId, 'pid')), 'SIGKILL')
    await until(async () => (await question()).length === 3, LONG)
    expect(await house.producer.answer(sessionId, { behavior: 'allow' })).toMatchObject({ behavior: 'allow' })
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, restarts: 1 })
  })

  test('a kill while a person is waited for', async () => {
    const sessionId = await spawn({ ask: ['rm one'] })
    await reaches(sessionId, 'waiting_input')
    await house.producer.kill(sessionId)
    await expect(house.producer.answer(sessionId, { behavior: 'allow' })).rejects.toMatchObject({
      code: 'session_ended',
    })
    await expect(house.producer.send(sessionId, 'x')).rejects.toMatchObject({ code: 'session_ended' })
  })

  test('a denial that stops the turn waits for a message too', async () => {
    const sessionId = await spawn({ ask: ['rm one'] })
    await reaches(sessionId, 'waiting_input')
    await house.producer.answer(sessionId, { behavior: 'deny', message: 'No.', interrupt: true })
    await until(async () => Number(await field(sessionId, 'interrupted_until')) > 0, LONG)
    await house.producer.send(sessionId, fakePrompt({ text: 'instead' }))
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'instead' })
  })
})

test('nobody says anything: a question is denied, an interrupted session ends, and both are recorded as that', async () => {
  const hasty = await openHouse({ redisUrl: server.url, spec: SPEC })
  await hasty.startPod({ DROVER_MESSAGE_WAIT_MS: '300', DROVER_PERMISSION_WAIT_MS: '200' })
  const asks = await hasty.spawn({ ask: ['rm one'], text: 'first' })
  const stays = await hasty.spawn({ silence_ms: 60_000 }, { agentType: 'code_developer' })
  await until(async () => (await hasty.redis.hget(hasty.keys.session(stays), 'state')) === 'running', LONG)
  await hasty.producer.interrupt(stays)
  expect(await hasty.producer.result(asks)).toMatchObject({ success: true })
  const [answered] = ofType(await hasty.events(asks), 'drover.message.answered')
  expect(answered?.payload).toMatchObject({
    behavior: 'deny',
    actor: { via: 'drover', name: 'permission_wait' },
  })
  expect(await hasty.producer.result(stays)).toMatchObject({
    success: false,
    status: 'cancelled',
    failureReason: 'cancelled',
    message: 'The last turn was interrupted, and no message followed.',
  })
  await expect(hasty.producer.interrupt(stays)).rejects.toMatchObject({ code: 'session_ended' })
  await hasty.close()
})

test('a person may think for longer than the idle timeout, and for longer than the session may take', async () => {
  const idle = await openHouse({ redisUrl: server.url, spec: SPEC })
  await idle.startPod({ DROVER_IDLE_TIMEOUT_MS: '1000' })
  const sessionId = await idle.spawn({ ask: ['rm one'], text: 'first' }, { timeoutSeconds: 3 })
  const since = performance.now()
  await until(
    async () => (await idle.redis.hget(idle.keys.session(sessionId), 'state')) === 'waiting_input',
    LONG,
  )
  await until(() => performance.now() - since > 4000)
  await idle.producer.answer(sessionId, { behavior: 'allow' })
  expect(await idle.producer.result(sessionId)).toMatchObject({ success: true, restarts: 0 })
  const [resumed] = ofType(await idle.events(sessionId), 'drover.session.resumed')
  expect(payloadOf(resumed)['waited_ms']).toBeGreaterThan(1000)
  await idle.close()
})

test('what was interrupted is not gone on with by a hand-over: the message is', async () => {
  const moving = await openHouse({ redisUrl: server.url, spec: SPEC })
  const state = (sessionId: string) => moving.redis.hget(moving.keys.session(sessionId), 'state')
  const one = await moving.startPod()
  const sessionId = await moving.spawn({ silence_ms: 60_000, text: 'first' })
  await until(async () => (await state(sessionId)) === 'running', LONG)
  await moving.producer.interrupt(sessionId)
  await until(async () => (await state(sessionId)) === 'waiting_input', LONG)
  await one.stop(0)
  expect(await state(sessionId)).toBe('queued')
  await expect(moving.producer.interrupt(sessionId)).rejects.toMatchObject({ code: 'session_not_running' })
  await moving.startPod()
  await moving.producer.send(sessionId, fakePrompt({ text: 'instead' }))
  expect(await moving.producer.result(sessionId)).toMatchObject({ success: true, output: 'instead' })
  const [, second] = ofType(await moving.events(sessionId), 'drover.agent.spawned')
  expect(payloadOf(second)['prompt']).toContain('"instead"')
  expect(startsOf(sessionId, moving)).toHaveLength(2)
  await moving.close()
})

test('a question ends with a pod that is stopped: the next one asks again, and the wait is nobody’s time', async () => {
  const moving = await openHouse({ redisUrl: server.url, spec: SPEC })
  const key = (sessionId: string) => moving.keys.session(sessionId)
  const isWaiting = async (sessionId: string) =>
    (await moving.redis.hget(key(sessionId), 'state')) === 'waiting_input'
  const one = await moving.startPod()
  const sessionId = await moving.spawn({ ask: ['rm one'], text: 'first' })
  await until(() => isWaiting(sessionId), LONG)
  await one.stop(0)
  expect(await moving.redis.hmget(key(sessionId), 'state', 'waiting_since')).toEqual(['queued', ''])
  await expect(moving.producer.answer(sessionId, { behavior: 'allow' })).rejects.toMatchObject({
    code: 'question_not_found',
  })
  await moving.startPod()
  await until(() => isWaiting(sessionId), LONG)
  await moving.producer.answer(sessionId, { behavior: 'allow' })
  expect(await moving.producer.result(sessionId)).toMatchObject({
    success: true,
    output: 'first',
    restarts: 0,
  })
  const waited = ofType(await moving.events(sessionId), 'drover.session.resumed').map((event) =>
    Number(payloadOf(event)['waited_ms']),
  )
  expect(waited).toHaveLength(2)
  expect(waited[0]).toBeGreaterThan(0)
  expect(waited[1]).toBeGreaterThan(waited[0] ?? 0)
  await moving.close()
})

/** Events of a session that has not ended. */
async function soFar(sessionId: string): Promise<Envelope[]> {
  const entries = await house.redis.xrange(house.keys.events, '-', '+')
  return entries
    .map(([, fields]) => JSON.parse(fields[1] ?? 'null') as Envelope)
    .filter((event) => event.session_id === sessionId)
}
