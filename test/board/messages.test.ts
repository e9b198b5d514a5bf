import { expect, test } from 'vitest'
import { newId } from '../../src/core/ids.ts'
import type { MailSent } from '../../src/core/mail-events.ts'
import { keysOf } from '../../src/queue/keys.ts'
import { createMailStore } from '../../src/queue/mail.ts'
import { openBoard, type Answered } from './open-board.ts'
import { failed, playSession } from './play-session.ts'
import { boardOfFile } from './board-of-file.ts'

const { redis, board } = await boardOfFile()

const as = (sessionId: string | null): Record<string, string> =>
  sessionId === null ? {} : { 'drover-session': sessionId }
const send = (to: string, text: string, from: string | null = null, more: object = {}): Promise<Answered> =>
  board.post('/api/v1/messages', { to, text, ...more }, as(from))
const inbox = async (reader: string | null, limit?: number): Promise<any> => {
  const { status, body } = await board.post('/api/v1/messages/inbox', { limit }, as(reader))
  return status === 200 ? body : Promise.reject(new Error(JSON.stringify(body)))
}
const texts = async (reader: string | null, limit?: number): Promise<string[]> =>
  (await inbox(reader, limit)).messages.map(
    ({ text, read_before }: { text: string; read_before: boolean }) =>
      read_before ? `${text} (again)` : text,
  )
const take = (messageId: string, by: string | null = null): Promise<Answered> =>
  board.post(`/api/v1/messages/${messageId}/acknowledge`, {}, as(by))
const row = async (messageId: string): Promise<any> =>
  (await board.get(`/api/v1/messages/${messageId}`)).body.message
const events = async (sessionId: string): Promise<any[]> =>
  (await board.get(`/api/v1/sessions/${sessionId}/events`)).body.events
const mailEvents = async (sessionId: string): Promise<string[]> =>
  (await events(sessionId))
    .map(({ type, payload }) => [type, payload])
    .filter(([type]) => type.startsWith('drover.message.'))
    .map(([type, { message_id }]) => `${type} ${message_id}`)

test('reading loses nothing, and what is acknowledged is gone', async () => {
  const session = await board.spawn()
  const { body: first } = await send(session, 'one')
  const { body: second } = await send(session, 'two')
  expect(first).toMatchObject({
    success: true,
    to_session: session,
    to_agent_type: 'architect',
    durability: 'ledger',
    repeated: false,
    thread_id: first.message_id,
  })
  expect(await inbox(session, 1)).toMatchObject({
    session_id: session,
    messages: [{ text: 'one', from_session: null, read_before: false }],
    unread_remaining: 1,
    total: 2,
  })
  // The agent died: the next one sees it again, behind what nobody has read.
  expect(await texts(session)).toEqual(['two', 'one (again)'])
  expect(await row(first.message_id)).toMatchObject({ status: 'delivered', delivered_to: session })
  expect((await take(first.message_id, session)).body).toMatchObject({ success: true, repeated: false })
  expect((await take(first.message_id, session)).body).toMatchObject({ success: true, repeated: true })
  expect(await texts(session)).toEqual(['two (again)'])
  expect(await row(first.message_id)).toMatchObject({ status: 'acknowledged', text: 'one' })
  expect(await mailEvents(session)).toEqual([
    `drover.message.sent ${first.message_id}`,
    `drover.message.sent ${second.message_id}`,
    `drover.message.delivered ${first.message_id}`,
    `drover.message.delivered ${second.message_id}`,
    `drover.message.answered ${first.message_id}`,
  ])
  const all = await events(session)
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
})

test('a type that does not run keeps its mail for its next session; each message is one session’s', async () => {
  const { body: one } = await send('code_developer', 'one')
  const { body: two } = await send('code_developer', 'two')
  expect(await row(one.message_id)).toMatchObject({ status: 'waiting', to_session: null })
  const listed = await board.get('/api/v1/events?type=drover.message')
  expect(listed.body.events.find(({ payload }: any) => payload.message_id === one.message_id)).toMatchObject({
    session_id: null,
    agent_type: 'code_developer',
    type: 'drover.message.sent',
    payload: { channel: 'mail', actor: { via: 'http', name: null } },
  })

  const [first, second, other] = [
    await board.spawn({ agent_type: 'code_developer' }),
    await board.spawn({ agent_type: 'code_developer' }),
    await board.spawn(),
  ]
  expect(await texts(first, 1)).toEqual(['one'])
  expect(await texts(second)).toEqual(['two'])
  expect(await texts(first)).toEqual(['one (again)'])
  expect((await take(two.message_id, first)).body).toMatchObject({ error: 'forbidden' })
  expect((await take(two.message_id, other)).body).toMatchObject({ error: 'forbidden' })
  expect((await board.get(`/api/v1/messages/${two.message_id}`, as(other))).body.error).toBe('forbidden')

  // Its reader ends without having taken it: it goes back to the type.
  await (await playSession(board, first)).end(failed('crashed', 'gone'))
  await expect.poll(async () => (await row(one.message_id)).status).toBe('waiting')
  expect(await texts(second)).toEqual(['one', 'two (again)'])
  expect((await take(one.message_id, second)).status).toBe(200)
  expect((await take(two.message_id)).status).toBe(200)
  expect(await texts(second)).toEqual([])
})

test('parent, reply and operator: an exchange in one thread, each taken by its answer', async () => {
  const parent = await board.spawn()
  const { body } = await board.post(
    '/api/v1/sessions',
    { agent_type: 'architect', prompt: 'Help', workspace_dir: '/srv/shop' },
    as(parent),
  )
  const child: string = body.session_id
  const { body: question } = await send('parent', 'Which port?', child)
  expect(question.to_session).toBe(parent)
  expect((await send('parent', 'x', parent)).body.issues).toMatchObject([{ path: 'to' }])
  expect((await send('parent', 'x')).body.issues).toMatchObject([{ path: 'to' }])

  expect((await inbox(parent)).messages).toMatchObject([
    { from_session: child, from_agent_type: 'architect', text: 'Which port?' },
  ])
  const reply = (id: string, text: string, by: string | null, more: object = {}): Promise<Answered> =>
    board.post(`/api/v1/messages/${id}/reply`, { text, ...more }, as(by))
  expect((await reply(question.message_id, 'x', child)).body.error).toBe('forbidden')
  const replyId = newId()
  const { body: answer } = await reply(question.message_id, '4680', parent, { message_id: replyId })
  expect(answer).toMatchObject({ to_session: child, thread_id: question.message_id, message_id: replyId })
  expect((await reply(question.message_id, '4680', parent, { message_id: replyId })).body).toMatchObject({
    repeated: true,
    created_at: answer.created_at,
  })
  expect(await texts(parent)).toEqual([])
  expect((await inbox(child)).messages).toMatchObject([
    { text: '4680', in_reply_to: question.message_id, from_session: parent },
  ])
  expect((await events(parent)).at(-1)).toMatchObject({
    type: 'drover.message.answered',
    payload: { message_id: question.message_id, reply_id: replyId, actor: { name: parent } },
  })

  // A person's message is answered to the operator.
  const { body: asked } = await send(child, 'How far?')
  await reply(asked.message_id, 'Half way', child)
  expect(await texts(null)).toEqual(['Half way'])
  expect((await inbox(null)).messages).toMatchObject([{ read_before: true, thread_id: asked.message_id }])
  const { body: thread } = await board.get(`/api/v1/messages?thread_id=${asked.message_id}`)
  expect(thread.messages.map(({ text }: { text: string }) => text)).toEqual(['Half way', 'How far?'])
  const { body: own } = await board.get('/api/v1/messages', as(parent))
  expect(own.messages.map(({ text }: { text: string }) => text)).toEqual(['4680', 'Which port?'])
})

test('a broadcast reaches each session that has an agent, once, and not its sender', async () => {
  const [one, queued] = [await board.spawn(), await board.spawn()]
  const played = await playSession(board, one)
  const sender = await board.spawn({ agent_type: 'code_developer' })
  const other = await playSession(board, sender)
  await expect
    .poll(async () => (await board.get('/api/v1/sessions?status=running')).body.sessions.length)
    .toBe(2)
  const broadcast_id = newId()
  const all = { text: 'Frozen until 14:00', broadcast_id }
  const { body } = await board.post('/api/v1/messages/broadcast', all, as(sender))
  expect(body).toMatchObject({
    success: true,
    durability: 'ledger',
    messages: [{ to_session: one }],
    refused: [],
  })
  expect((await board.post('/api/v1/messages/broadcast', all, as(sender))).body.messages).toEqual(
    body.messages,
  )
  expect((await inbox(one)).messages).toMatchObject([{ text: 'Frozen until 14:00', broadcast_id }])
  expect(await texts(queued)).toEqual([])
  const only = { text: 'x', agent_type: 'code_developer' }
  expect((await board.post('/api/v1/messages/broadcast', only)).body.messages).toMatchObject([
    { to_session: sender },
  ])

  const message_id = newId()
  await send(one, 'in time', null, { message_id })

  // Nobody reads it any more.
  await played.end()
  await other.end()
  await expect.poll(async () => (await row(body.messages[0].message_id)).status).toBe('undeliverable')
  expect((await send(one, 'late')).body).toMatchObject({ error: 'session_ended', session_id: one })
  expect((await send(one, 'in time', null, { message_id })).body).toMatchObject({
    repeated: true,
    to_session: one,
  })
  const another = { message_id, to: sender }
  expect((await send(one, 'in time', null, another)).body.error).toBe('idempotency_conflict')
  expect((await board.post('/api/v1/messages/inbox', {}, as(one))).body.error).toBe('session_ended')
  await expect.poll(() => board.redis.exists(board.keys.inbox(`session:${one}`))).toBe(0)
})

test('the same id is the same message, also at the same time, and for another text a conflict', async () => {
  const session = await board.spawn()
  const message_id = newId()
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => send(session, 'once', null, { message_id })),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
  expect(answers.filter(({ body }) => body.repeated === false)).toHaveLength(1)
  expect(await texts(session)).toEqual(['once'])
  await take(message_id, session)
  await board.redis.del(board.keys.message(message_id))
  expect((await send(session, 'once', null, { message_id })).body).toMatchObject({ repeated: true })
  expect((await send(session, 'twice', null, { message_id })).body.error).toBe('idempotency_conflict')
  expect(await texts(session)).toEqual([])
})

test('an inbox is bounded, a page of it too, and no secret is in it', async () => {
  const session = await board.spawn()
  const long = 'x'.repeat(200_000)
  const sent = await Promise.all(Array.from({ length: 6 }, (_, n) => send(session, `${n}${long}`)))
  expect(sent.every(({ status }) => status === 200)).toBe(true)
  expect(await inbox(session)).toMatchObject({ messages: { length: 5 }, unread_remaining: 1, total: 6 })
  const { redis: direct, keys } = board
  const key = `sk-ant-api03-${'A1b2C3d4'.repeat(12)}`
  await send(session, `use ${key}`)
  const [found] = (await inbox(session, 1)).messages
  expect(found.text.startsWith('5')).toBe(true)
  expect((await inbox(session, 1)).messages[0].text).toBe('use [redacted:anthropic_key]')

  // As full as it may be, without sending 500.
  const filling = Array.from({ length: 493 }, (_, n) => [String(n), `filler-${n}`]).flat()
  await direct.zadd(keys.inbox(`session:${session}`), ...filling)
  expect((await send(session, 'too much')).body).toMatchObject({ error: 'inbox_full', to: session })
  const before = await direct.xlen(keys.events)
  expect((await send(session, 'too much')).status).toBe(409)
  expect(await direct.xlen(keys.events)).toBe(before)
})

test('all that is wrong is said, and nothing is kept of it', async () => {
  const { redis: direct, keys } = board
  const before = [await direct.xlen(keys.events), await direct.dbsize()]
  const wrong = await board.post('/api/v1/messages', { to: '', text: ' ', message_id: 'x', extra: 1 })
  expect(wrong.status).toBe(400)
  expect(wrong.body.issues.map(({ path }: { path: string }) => path).toSorted()).toEqual([
    'extra',
    'message_id',
    'text',
    'to',
  ])
  const session = await board.spawn()
  expect((await send('architekt', 'x')).body).toMatchObject({ error: 'agent_type_not_found' })
  expect((await send(newId(), 'x')).body).toMatchObject({ error: 'session_not_found' })
  expect((await send('architect', 'x', newId())).body.issues).toMatchObject([{ path: 'Drover-Session' }])
  expect((await send('architect', 'y'.repeat(256 * 1024 + 1))).status).toBe(400)
  expect((await take(newId())).body).toMatchObject({ error: 'message_not_found' })
  expect((await board.get(`/api/v1/messages/${newId()}`)).body.error).toBe('message_not_found')
  const badQuery = await board.get('/api/v1/messages?status=wait&limit=0&since=x&no=1')
  expect(badQuery.body.issues).toHaveLength(4)
  expect(await direct.xlen(keys.events)).toBe((before[0] ?? 0) + 1)
  expect(await direct.exists(keys.inbox('type:architect'), keys.inbox(`session:${session}`))).toBe(0)
})

test('what was taken or answered, and is not recorded yet, is known when it is asked again', async () => {
  const namespace = 'behind'
  const keys = keysOf(namespace)
  // Another recorder has the lease, so this board records nothing.
  await board.redis.set(keys.recorderLease, 'another')
  const behind = await openBoard(redis.url, { namespace })
  try {
    const mail = createMailStore(behind.redis, keys)
    const actor = { via: 'http', name: null } as const
    const sent = (more: Partial<MailSent> = {}): MailSent => {
      const id = newId()
      return {
        channel: 'mail',
        message_id: id,
        thread_id: id,
        in_reply_to: null,
        broadcast_id: null,
        from_session: null,
        from_agent_type: null,
        to_session: null,
        to_agent_type: null,
        agent_type: 'architect',
        text: 'Which port?',
        actor,
        ...more,
      }
    }
    const taken = (message_id: string, reply_id: string | null) =>
      ({ channel: 'mail', message_id, agent_type: 'architect', actor, reply_id }) as const
    const [first, second] = [sent({ to_agent_type: 'architect' }), sent({ to_agent_type: 'architect' })]
    const reply = sent({ thread_id: second.message_id, in_reply_to: second.message_id, text: '4680' })
    for (const message of [first, second]) await mail.send(message, null, null)
    await mail.take(taken(first.message_id, null), null)
    await mail.send(reply, taken(second.message_id, reply.message_id), null)
    // Taken as well, by whom it was for.
    await mail.take(taken(reply.message_id, null), null)

    const { body } = await behind.post(`/api/v1/messages/${first.message_id}/acknowledge`, {})
    expect(body).toMatchObject({ success: true, repeated: true })
    const again = { text: '4680', message_id: reply.message_id }
    expect((await behind.post(`/api/v1/messages/${second.message_id}/reply`, again)).body).toMatchObject({
      success: true,
      repeated: true,
      message_id: reply.message_id,
      thread_id: second.message_id,
      durability: 'redis',
    })
  } finally {
    await behind.stop()
  }
})
