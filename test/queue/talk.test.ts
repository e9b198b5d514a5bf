/** What is said to a session, at the script that keeps it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MessageAnswered } from '../../src/core/events.ts'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { createTalkStore, type TalkStore } from '../../src/queue/talk.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let talk: TalkStore
let agent: AgentRef
beforeEach(async () => {
  space = await openNamespace(server.url)
  talk = createTalkStore(space.redis, space.keys)
  const session = { sessionId: newSessionId(), agentType: 'architect' }
  await space.store.accept(acceptance(session.sessionId))
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, 'pod:1', 'PX', 60_000)
  const started = await space.store.start(session, {
    leaseKey,
    token: 'pod:1',
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [{ type: 'drover.agent.spawned', payload: {} }],
  })
  if (!started.ok) throw new Error(started.refused)
  agent = { ...session, agentId: started.agentId, epoch: started.epoch }
})
afterEach(() => space.close())

const typesOf = async (): Promise<string[]> => (await space.events()).map(({ type }) => type)
const send = (id: string) =>
  talk.send(agent, { message_id: id, text: id, priority: 'next', actor: { via: 'cli', name: null } })
const waiting = async () => (await talk.read(agent.sessionId)).messages.map(({ message_id }) => message_id)

async function ask(requestId: string): Promise<void> {
  const question = {
    requestId,
    toolName: 'Bash',
    toolUseId: null,
    input: {},
    description: null,
    agentId: agent.agentId,
    until: '2026-01-01T00:00:00.000Z',
  }
  const asked = { [requestId]: JSON.stringify(question) }
  await space.store.change(agent, { to: 'waiting_input', talk: { asked }, events: [] })
}
const answerOf = (via: 'cli' | 'drover', behavior: 'allow' | 'deny'): MessageAnswered => ({
  request_id: 'one',
  tool_name: 'Bash',
  behavior,
  message: null,
  updated_input: null,
  interrupt: false,
  actor: { via, name: null },
})

test('of many answers at once, the denial of the wait among them, the first one counts, for all', async () => {
  await ask('one')
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      talk.answer(agent, n % 2 === 0 ? answerOf('cli', 'allow') : answerOf('drover', 'deny')),
    ),
  )
  expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
  const kept = (await talk.read(agent.sessionId)).answers.get('one')
  for (const answer of answers) {
    if (!answer.ok) expect(answer).toEqual({ ok: false, refused: 'answered', given: kept })
  }
  expect((await typesOf()).filter((type) => type === 'drover.message.answered')).toHaveLength(1)
})

test('a question ends with its agent: an answer after that is refused, and not recorded', async () => {
  await ask('one')
  await space.store.change(agent, { to: 'restarting', over: true, events: [] })
  expect((await talk.read(agent.sessionId)).questions).toEqual([])
  const before = await typesOf()
  expect(await talk.answer(agent, answerOf('cli', 'allow'))).toEqual({ ok: false, refused: 'unknown' })
  expect(await typesOf()).toEqual(before)
})

test('an inbox that is closed while a message waits stays open, and nothing has changed', async () => {
  await send('given')
  await send('new')
  const delivered = { type: 'drover.message.delivered', payload: { message_id: 'given' } } as const
  const close = { close: true, talk: { done: ['given'] }, events: [delivered] }
  const before = await typesOf()
  expect(await space.store.change(agent, close)).toEqual({ ok: false, refused: 'waiting' })
  expect(await waiting()).toEqual(['given', 'new'])
  expect(await typesOf()).toEqual(before)
  expect(await send('another')).toMatchObject({ ok: true })

  const all = { ...close, talk: { done: ['given', 'new', 'another', 'unknown'] } }
  expect(await space.store.change(agent, all)).toMatchObject({ ok: true })
  expect(await waiting()).toEqual([])
  expect(await space.redis.hmget(space.keys.session(agent.sessionId), 'inbox', 'inbox_bytes')).toEqual([
    '0',
    '0',
  ])
  expect(await send('late')).toEqual({ ok: false, refused: 'ending' })
})
