/** Mail between agents by their tools, with the official client, through both doors; and where it is recorded. */
import { afterEach, describe, expect, test } from 'vitest'
import { newSessionToken, tokenHash } from '../../src/core/token.ts'
import { WORKSPACE } from '../board/open-board.ts'
import { playSession } from '../board/play-session.ts'
import { until } from '../support/until.ts'
import { connectMcp, type McpConnection } from './connect-mcp.ts'
import { boardOfFile } from '../board/board-of-file.ts'

const { board } = await boardOfFile({ types: ['architect', 'code_developer', 'code_reviewer'] })

const TOOLS = 'send_message,broadcast,check_inbox,reply_to,acknowledge,spawn_agent_async'

/** What the ledger says of a message. */
const recorded = async (messageId: string): Promise<any> =>
  (await board.get(`/api/v1/messages/${messageId}`)).body.message
/** Type, message and who did it, of what is recorded of a session's mail. */
const history = async (sessionId: string): Promise<unknown[]> =>
  (await board.get(`/api/v1/events?session_id=${sessionId}&type=drover.message`)).body.events
    .map(({ type, payload }: any) => [type, payload.message_id, payload.actor.via, payload.actor.name])
    .toReversed()

describe.each(['stdio', 'HTTP'] as const)('over %s', (door) => {
  const connections: McpConnection[] = []
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()))
  })

  /** The tools as the agent of a session has them, with the token that its session was given; `null` is a person. */
  async function agentOf(sessionId: string | null, tools = TOOLS): Promise<McpConnection> {
    let access = {}
    if (sessionId !== null) {
      const token = newSessionToken(sessionId)
      await board.redis.hset(board.keys.session(sessionId), { token_hash: tokenHash(token), tools })
      access =
        door === 'HTTP'
          ? { headers: { authorization: `Bearer ${token}` } }
          : { env: { DROVER_SESSION_ID: sessionId, DROVER_TOKEN: token, DROVER_TOOLS: tools } }
    }
    const connection = await connectMcp(door, board, access)
    connections.push(connection)
    return connection
  }

  /** Calls a tool that must do its work. */
  async function done(mcp: McpConnection, name: string, args: object = {}): Promise<any> {
    const { isError, document } = await mcp.call(name, args)
    expect({ name, isError, document }).toMatchObject({ isError: false })
    return document
  }

  const read = async (mcp: McpConnection): Promise<any[]> => (await done(mcp, 'check_inbox')).messages
  const texts = async (mcp: McpConnection): Promise<string[]> => (await read(mcp)).map(({ text }) => text)

  test('a child asks its parent, who answers; each takes what it has read', async () => {
    const parentId = await board.spawn()
    const parent = await agentOf(parentId)
    const task = { agent_type: 'code_developer', task: 'Implement it', workspace_dir: WORKSPACE }
    const { session_id: childId } = await done(parent, 'spawn_agent_async', task)
    const child = await agentOf(childId)

    const question = await done(child, 'send_message', { to: 'parent', text: 'Which port?' })
    expect(question).toMatchObject({ success: true, to_session: parentId, durability: 'ledger' })
    expect(await read(parent)).toEqual([
      expect.objectContaining({
        message_id: question.message_id,
        text: 'Which port?',
        from_session: childId,
        from_agent_type: 'code_developer',
        read_before: false,
      }),
    ])
    // It is there until it is taken, whoever reads it.
    expect(await read(parent)).toMatchObject([{ text: 'Which port?', read_before: true }])
    const reply = await done(parent, 'reply_to', { message_id: question.message_id, text: '4680' })
    expect(await read(parent)).toEqual([])

    expect(await read(child)).toMatchObject([
      {
        message_id: reply.message_id,
        in_reply_to: question.message_id,
        thread_id: question.message_id,
        text: '4680',
      },
    ])
    const taken = await child.call('acknowledge', { message_id: question.message_id })
    expect(taken).toMatchObject({ isError: true, document: { success: false, error: 'forbidden' } })
    await done(child, 'acknowledge', { message_id: reply.message_id })
    expect(await done(child, 'acknowledge', { message_id: reply.message_id })).toMatchObject({
      repeated: true,
    })
    expect(await read(child)).toEqual([])

    await until(async () => (await recorded(reply.message_id))?.status === 'acknowledged')
    expect(await recorded(question.message_id)).toMatchObject({
      status: 'acknowledged',
      from_session: childId,
      to_session: parentId,
      delivered_to: parentId,
    })
    expect(await history(parentId)).toEqual([
      ['drover.message.sent', question.message_id, 'mcp', childId],
      ['drover.message.delivered', question.message_id, 'mcp', parentId],
      ['drover.message.answered', question.message_id, 'mcp', parentId],
    ])
    expect(await history(childId)).toEqual([
      ['drover.message.sent', reply.message_id, 'mcp', parentId],
      ['drover.message.delivered', reply.message_id, 'mcp', childId],
      ['drover.message.answered', reply.message_id, 'mcp', childId],
    ])
  })

  test('a message to a session is its own; one to a type that does not run waits for its next session', async () => {
    const [oneId, otherId] = [await board.spawn(), await board.spawn()]
    const [one, other] = [await agentOf(oneId), await agentOf(otherId)]
    await done(one, 'send_message', { to: otherId, text: 'For you alone' })
    expect(await texts(one)).toEqual([])
    expect(await texts(other)).toEqual(['For you alone'])

    const waiting = await done(one, 'send_message', { to: 'code_reviewer', text: 'Review my branch' })
    expect(waiting).toMatchObject({ to_session: null, to_agent_type: 'code_reviewer' })
    expect(await recorded(waiting.message_id)).toMatchObject({ status: 'waiting', from_session: oneId })
    expect(await texts(other)).toEqual(['For you alone'])

    const nextId = await board.spawn({ agent_type: 'code_reviewer' })
    const next = await agentOf(nextId)
    expect(await read(next)).toMatchObject([
      { text: 'Review my branch', from_session: oneId, to_session: null, to_agent_type: 'code_reviewer' },
    ])
    await done(next, 'reply_to', { message_id: waiting.message_id, text: 'No objections' })
    expect(await texts(one)).toEqual(['No objections'])
    await until(async () => (await recorded(waiting.message_id)).status === 'acknowledged')

    // People have an inbox too.
    const person = await agentOf(null)
    await done(other, 'send_message', { to: 'operator', text: `Look at me (${door})` })
    const [mail] = (await read(person)).filter(({ from_session }) => from_session === otherId)
    expect(mail).toMatchObject({ text: `Look at me (${door})`, from_agent_type: 'architect' })
    await done(person, 'acknowledge', { message_id: mail.message_id })
  })

  test('a broadcast reaches all that run, but its sender; of one type, only those', async () => {
    const [senderId, developerId, queuedId] = [
      await board.spawn(),
      await board.spawn({ agent_type: 'code_developer' }),
      await board.spawn(),
    ]
    const played = [await playSession(board, senderId), await playSession(board, developerId)]
    const running = async (): Promise<number> =>
      (await board.get('/api/v1/sessions?status=running')).body.sessions.length
    await until(async () => (await running()) === 2)
    const [sender, developer, queued] = [
      await agentOf(senderId),
      await agentOf(developerId),
      await agentOf(queuedId),
    ]
    const sent = await done(sender, 'broadcast', { text: 'Frozen until 14:00' })
    expect(sent).toMatchObject({ success: true, messages: [{ to_session: developerId }], refused: [] })
    const person = await agentOf(null)
    const only = await done(person, 'broadcast', { text: 'Stop', agent_type: 'architect' })
    expect(only.messages).toEqual([{ message_id: expect.any(String), to_session: senderId }])

    expect(await read(developer)).toMatchObject([
      { text: 'Frozen until 14:00', from_session: senderId, broadcast_id: sent.broadcast_id },
    ])
    expect(await texts(sender)).toEqual(['Stop'])
    expect(await texts(queued)).toEqual([])
    // What nobody took before the end is said, and kept.
    for (const agent of played) await agent.end()
    const [message] = sent.messages
    await until(async () => (await recorded(message.message_id)).status === 'undeliverable')
    const late = await queued.call('send_message', { to: developerId, text: 'Late' })
    expect(late).toMatchObject({ isError: true, document: { success: false, error: 'session_ended' } })
  })

  test('what cannot be sent or taken is an error of the tool, with what to do', async () => {
    const mcp = await agentOf(await board.spawn())
    const bound = await agentOf(await board.spawn(), 'check_inbox')
    const nobody = '00000000-0000-4000-8000-000000000000'
    const refusals = [
      [mcp, 'send_message', { to: 'parent', text: 'Hello' }, 'invalid_request'],
      [mcp, 'send_message', { to: nobody, text: 'Hello' }, 'session_not_found'],
      [mcp, 'send_message', { to: 'code_reviever', text: 'Hello' }, 'agent_type_not_found'],
      [mcp, 'send_message', { to: 'architect', text: ' ' }, 'invalid_request'],
      [mcp, 'broadcast', { text: 'Hello', agent_type: 'code_reviever' }, 'agent_type_not_found'],
      [mcp, 'reply_to', { message_id: nobody, text: 'Hello' }, 'message_not_found'],
      [mcp, 'acknowledge', { message_id: nobody }, 'message_not_found'],
    ] as const
    for (const [by, name, args, error] of refusals) {
      const called = await by.call(name, args)
      expect({ name, args, ...called }).toMatchObject({ isError: true, document: { success: false, error } })
    }
    // A tool that its spec does not grant, it does not have.
    expect((await bound.client.listTools()).tools.map(({ name }) => name)).toEqual(['check_inbox'])
    await expect(bound.client.callTool({ name: 'send_message', arguments: {} })).rejects.toThrow(
      /send_message/,
    )
  })
})
