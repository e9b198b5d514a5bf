import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient, createProducer, type Client, type Producer } from '../../src/index.ts'
import { newToken, tokenHash } from '../../src/core/token.ts'
import { openBoard, WORKSPACE, type TestBoard } from '../board/open-board.ts'
import { failed, PID, playSession, says } from '../board/play-session.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const token = newToken()
let redis: TestRedis
let board: TestBoard
let client: Client
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url, { tokens: [`service:admin:${tokenHash(token)}`] })
  client = createClient({ url: `${board.url}/`, token })
})
afterAll(async () => {
  await board.stop()
  await redis.stop()
})

const work = { agentType: 'architect', prompt: 'Design it', workspaceDir: WORKSPACE } as const

test('a client is a producer: whatever one can do, the other can', async () => {
  const producer: Producer = client
  const ofRedis = createProducer({ redisUrl: redis.url, namespace: board.namespace })
  expect(Object.keys(producer)).toEqual(expect.arrayContaining(Object.keys(ofRedis)))
  await Promise.all([ofRedis.close(), producer.close()])
})

test('a session is asked for, followed and answered under the names of TypeScript', async () => {
  const session = await client.spawn({ ...work, timeoutSeconds: 50, idempotencyKey: 'order-1' })
  expect(session).toMatchObject({ success: true, status: 'queued', durability: 'ledger', timeoutSeconds: 50 })
  expect(await client.spawn({ ...work, timeoutSeconds: 50, idempotencyKey: 'order-1' })).toMatchObject({
    sessionId: session.sessionId,
    repeated: true,
  })

  const played = await playSession(board, session.sessionId)
  const started = client.spawn({ ...work, timeoutSeconds: 50, idempotencyKey: 'order-1', wait: 'started' })
  await expect(started).resolves.toMatchObject({ agentId: played.agent.agentId, pid: PID })
  await played.print(says('hello'))
  const denial = { tool_name: 'Bash', tool_input: { file_path: '/x' } }
  await played.end({ permission_denials: [denial] })

  const types: string[] = []
  for await (const event of client.events(session.sessionId)) types.push(event.type)
  expect(types[0]).toBe('drover.session.accepted')
  expect(types).toContain('claude.assistant')
  const result = await client.result(session.sessionId)
  expect(result).toMatchObject({ success: true, output: 'The spec is written.', numTurns: 0 })
  // What is not ours keeps its names.
  expect(result.permissionDenials).toEqual([denial])

  const document = await client.session(session.sessionId)
  expect(document.session.createdAt).toBe(session.createdAt)
  expect(document.agents[0]?.agentId).toBe(played.agent.agentId)
  expect(document.tree.rootSessionId).toBe(session.sessionId)
  expect(document.answer?.permissionDenials).toEqual([denial])
  const page = await client.allEvents({ sessionId: session.sessionId, type: 'claude' })
  expect(page.events[0]).toMatchObject({ session_id: session.sessionId, type: 'claude.assistant' })
  expect(page.nextCursor).toBeNull()
})

test('what is asked for is recorded as the token’s', async () => {
  const { sessionId } = await client.spawn(work)
  for await (const event of client.events(sessionId)) {
    expect(event.payload).toMatchObject({ actor: { via: 'typescript', name: 'service' } })
    break
  }
  const killed = await client.kill(sessionId, { graceSeconds: 1, reason: 'not needed' })
  expect(killed).toMatchObject({ success: true, sessionId, gracePeriodSeconds: 1 })
  expect(await client.result(sessionId)).toMatchObject({ success: false, failureReason: 'cancelled' })
})

test('a failed session is restarted as a new one', async () => {
  const { sessionId } = await client.spawn(work)
  const { end } = await playSession(board, sessionId)
  await end(failed('crashed', 'It crashed.'))
  await until(async () => (await client.session(sessionId)).session.status === 'failed')
  const { sessions } = await client.sessions({ status: 'failed', failureReason: 'crashed' })
  expect(sessions.map((session) => session.sessionId)).toEqual([sessionId])
  expect(await client.restart(sessionId)).toMatchObject({ restartOf: sessionId, maxRetries: 3 })
})

test('tasks, types, agents and costs are there too', async () => {
  const added = await client.addTasks([
    { taskId: 'A', agentType: 'architect', prompt: 'first' },
    { taskId: 'B', agentType: 'architect', prompt: 'second', dependsOn: ['A'], priorityNumber: 3 },
  ])
  expect(added).toMatchObject({ added: 2, tasks: [{ taskId: 'A' }, { taskId: 'B', waitingFor: ['A'] }] })
  expect((await client.task('A')).dependents).toEqual(['B'])
  const session = await client.spawn({ agentType: 'architect', taskId: 'B' })
  expect(session).toMatchObject({ taskId: 'B', waitingFor: ['A'] })
  const { agentTypes } = await client.agentTypes()
  expect(agentTypes.find(({ name }) => name === 'architect')).toMatchObject({ maxInstances: 1 })
  expect((await client.cost({ by: 'agent_type' })).rows[0]).toMatchObject({ costUsd: 0 })
  expect((await client.agents({ agentType: 'architect' })).agents.length).toBeGreaterThan(0)
})

test('errors have their code and details', async () => {
  await expect(client.spawn({ ...work, agentType: 'architekt' })).rejects.toMatchObject({
    code: 'agent_type_not_found',
  })
  await expect(client.session(crypto.randomUUID())).rejects.toMatchObject({ code: 'session_not_found' })
  const stranger = createClient({ url: board.url })
  await expect(stranger.sessions()).rejects.toMatchObject({ code: 'unauthorized', exitCode: 4 })
})

test('what cannot be a key, an address or a parent is refused before anything is asked', async () => {
  const ofRedis = createProducer({ redisUrl: redis.url, namespace: board.namespace })
  for (const door of [ofRedis, client]) {
    for (const idempotencyKey of ['', 'two\nlines', 'ключ']) {
      const key = { code: 'invalid_request', message: /idempotency.?key: must/i }
      await expect(door.spawn({ ...work, idempotencyKey })).rejects.toMatchObject({
        ...key,
        message: expect.stringMatching(key.message) as string,
      })
    }
  }
  await expect(
    ofRedis.spawn({ ...work, prompt: ' ', createdBy: 'me', idempotencyKey: '' }),
  ).rejects.toMatchObject({
    details: {
      issues: [{ path: 'idempotencyKey' }, { path: 'createdBy' }, { path: 'prompt' }],
    },
  })
  await ofRedis.close()
  expect(() => createClient({ url: 'board' })).toThrow(/url: must be an http/)
  expect(() => createProducer({ redisUrl: 'redis' })).toThrow(/redisUrl: must be the address of a Redis/)
})
