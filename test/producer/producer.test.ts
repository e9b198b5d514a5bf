import { afterEach, beforeEach, expect, test } from 'vitest'
import { createProducer, type Producer } from '../../src/index.ts'
import { createQueues } from '../../src/queue/jobs.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let producer: Producer
beforeEach(async () => {
  space = await openNamespace(server.url)
  producer = createProducer({ redisUrl: server.url, namespace: space.keys.namespace })
})
afterEach(async () => {
  await producer.close()
  space.close()
})

const SPAWN = { agentType: 'architect', prompt: 'Design it', workspaceDir: '/tmp' }

test('a spawn is an event with the whole request, and a job that carries references only', async () => {
  const session = await producer.spawn({ ...SPAWN, priority: 7 })
  expect(session).toMatchObject({ success: true, status: 'queued', queuePosition: 1, timeoutSeconds: 60 })

  const [event] = await space.events()
  expect(event).toMatchObject({ type: 'drover.session.accepted', session_id: session.sessionId, seq: 1 })
  expect(JSON.parse(event?.payloadText ?? '')).toMatchObject({
    request: { prompt: 'Design it', priority: 7 },
  })
  const queues = createQueues(space.redis, space.keys, () => {})
  const job = await queues.of('architect').getJob(session.sessionId)
  expect(job?.data).toEqual({ session_id: session.sessionId, agent_type: 'architect' })
  expect(job?.opts.priority).toBe(7)
})

test('without a workspace it is the current directory, as on the command line', async () => {
  await producer.spawn({ agentType: 'architect', prompt: '…', wait: 'accepted' })
  const [event] = await space.events()
  expect(JSON.parse(event?.payloadText ?? '')).toMatchObject({ request: { workspace_dir: process.cwd() } })
})

test('the position counts those that run before it', async () => {
  await producer.spawn({ ...SPAWN, priority: 500 })
  await producer.spawn({ ...SPAWN, priority: 500 })
  const later = await producer.spawn({ ...SPAWN, priority: 500 })
  const sooner = await producer.spawn({ ...SPAWN, priority: 1 })
  expect(later).toMatchObject({ queuePosition: 3 })
  expect(sooner).toMatchObject({ queuePosition: 1 })
})

test('the same key is the same session, in sequence and at once; another body is a conflict', async () => {
  const first = await producer.spawn({ ...SPAWN, idempotencyKey: 'k' })
  const again = await producer.spawn({ ...SPAWN, idempotencyKey: 'k' })
  const many = await Promise.all(
    Array.from({ length: 50 }, () => producer.spawn({ ...SPAWN, idempotencyKey: 'k' })),
  )
  expect(again).toMatchObject({ sessionId: first.sessionId, repeated: true })
  expect(new Set(many.map((session) => session.sessionId))).toEqual(new Set([first.sessionId]))
  expect(await space.events()).toHaveLength(1)
  await expect(producer.spawn({ ...SPAWN, prompt: 'Other', idempotencyKey: 'k' })).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
})

test('all problems of a request at once, and nothing is accepted', async () => {
  const bad = { agentType: 'Architect', prompt: ' ', workspaceDir: 'relative', priority: 0 }
  await expect(producer.spawn(bad)).rejects.toMatchObject({
    code: 'invalid_request',
    details: {
      issues: [{ path: 'agent_type' }, { path: 'prompt' }, { path: 'workspace_dir' }, { path: 'priority' }],
    },
  })
  expect(await space.events()).toEqual([])
})

test('an unknown agent type is refused with the near one', async () => {
  await expect(producer.spawn({ ...SPAWN, agentType: 'architct' })).rejects.toMatchObject({
    code: 'agent_type_not_found',
    message: expect.stringContaining('Did you mean "architect"?') as string,
  })
})

test('Redis not there: the spawn fails with a sentence, without the password', async () => {
  const lost = createProducer({ redisUrl: 'redis://user:hunter2@127.0.0.1:1' })
  const failure = await lost.spawn(SPAWN).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'redis_unavailable' })
  expect(String(failure)).not.toContain('hunter2')
  await lost.close()
})

test('events are followed from the beginning to the end, each once; the result is the answer', async () => {
  const session = await producer.spawn(SPAWN)
  const ref = { sessionId: session.sessionId, agentType: 'architect' }
  const seen: number[] = []
  const following = (async () => {
    for await (const event of producer.events(session.sessionId)) seen.push(event.seq ?? 0)
  })()
  const result = producer.result(session.sessionId)
  const other = await producer.spawn(SPAWN)
  for (let n = 0; n < 30; n++) {
    await space.store.change(ref, { events: [{ type: 'drover.session.claimed', payload: { n } }] })
    await space.store.change(
      { ...ref, sessionId: other.sessionId },
      {
        events: [{ type: 'drover.session.claimed', payload: { n } }],
      },
    )
  }
  const ended = {
    status: 'failed',
    failure_reason: 'api_error',
    message: 'The API refused.',
    output: null,
    cost_micros: 1500,
    usage: { input_tokens: 1, output_tokens: 2, cache_read_tokens: 3, cache_creation_tokens: 4 },
    num_turns: 1,
    duration_ms: 5,
    restarts: 0,
    permission_denials: [],
    completed_at: '2026-01-01T00:00:00.000Z',
  }
  await space.store.change(ref, {
    to: 'failed',
    set: { ended: JSON.stringify(ended) },
    last: true,
    events: [{ type: 'drover.session.ended', payload: ended }],
  })
  await following
  expect(seen).toEqual(Array.from({ length: 32 }, (_, index) => index + 1))
  expect(await result).toMatchObject({
    success: false,
    error: 'session_failed',
    failureReason: 'api_error',
    cost: 0.0015,
    usage: { inputTokens: 1, cacheReadTokens: 3 },
  })
})

test('a session that Redis does not know is an error, not an endless wait', async () => {
  await expect(producer.result('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({
    code: 'session_not_found',
  })
})

test('nor is one that Redis has lost and may get back: it is not known yet', async () => {
  const { sessionId } = await producer.spawn(SPAWN)
  const waiting = producer.result(sessionId)
  const reading = (async () => {
    for await (const _ of producer.events(sessionId)) continue
  })()
  await until(async () => (await space.redis.pubsub('NUMSUB', space.keys.live(sessionId)))[1] === 1)
  await space.redis.del(space.keys.seeded, space.keys.session(sessionId))
  const lost = { code: 'redis_unavailable', details: { retry_after_seconds: 2 } }
  // As an event would, so that it is looked at now.
  const ring = setInterval(() => void space.redis.publish(space.keys.live(sessionId), '"type":"drover.'), 20)
  const told = await Promise.allSettled([waiting, reading, producer.kill(sessionId)])
  clearInterval(ring)
  for (const one of told) expect(one).toMatchObject({ status: 'rejected', reason: lost })
})
