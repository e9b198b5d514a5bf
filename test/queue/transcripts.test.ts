import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { createTranscripts, type Transcripts } from '../../src/queue/transcripts.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const MARK = { bytes: 3, sha256: 'abc' }
const server = await redisOfFile({ aof: 'always' })
let space: TestNamespace
let transcripts: Transcripts
beforeEach(async () => {
  space = await openNamespace(server.url)
  transcripts = createTranscripts(space.redis, space.keys)
})
afterEach(() => space.close())

const session = { sessionId: '', agentType: 'architect' }

/** A session with a started agent; again for its next one. */
async function start(sessionId = newSessionId()): Promise<AgentRef> {
  const { store, redis, keys } = space
  if ((await store.read(sessionId)) === null) await store.accept(acceptance(sessionId))
  const leaseKey = keys.lease('architect', 0)
  await redis.set(leaseKey, 'me')
  const started = await store.start(
    { ...session, sessionId },
    { leaseKey, token: 'me', agentIdPrefix: 'architect-20260101-', set: {}, events: [] },
  )
  if (!started.ok) throw new Error(started.refused)
  return { ...session, sessionId, agentId: started.agentId, epoch: started.epoch }
}

/** Everything of a session beside its hash and its numbers. */
const keysOfTranscript = (sessionId: string): Promise<string[]> =>
  space.redis.keys(`${space.keys.transcript(sessionId)}*`)

it.each([0, 1, 256 * 1024, 256 * 1024 + 1, 16 * 1024 * 1024])('keeps %i bytes as they are', async (size) => {
  const agent = await start()
  const archive = randomBytes(size)
  const put = await transcripts.put(agent, { podId: 'pod-1', mark: MARK, archive })
  const head = await transcripts.head(agent.sessionId)
  expect(head).toEqual({
    version: put.ok && put.version,
    podId: 'pod-1',
    mark: MARK,
    pieces: Math.ceil(size / 256 / 1024),
  })
  const read = await transcripts.read(agent.sessionId)
  expect(read === null ? size === 0 : archive.equals(read)).toBe(true)
  expect(await keysOfTranscript(agent.sessionId)).toEqual([space.keys.transcript(agent.sessionId)])
})

it('has the latest one, also where it has fewer pieces', async () => {
  const agent = await start()
  await transcripts.put(agent, { podId: 'a', mark: MARK, archive: randomBytes(3_000_000) })
  await transcripts.put(agent, { podId: 'b', mark: MARK, archive: Buffer.from('small') })
  expect((await transcripts.read(agent.sessionId))?.toString()).toBe('small')
  await transcripts.put(agent, { podId: 'c', mark: MARK, archive: null })
  expect(await transcripts.head(agent.sessionId)).toMatchObject({ podId: 'c', pieces: 0 })
  expect(await transcripts.read(agent.sessionId)).toBeNull()
})

it('takes nothing of an agent that was superseded, nor of a session that Redis does not know', async () => {
  const old = await start()
  await transcripts.put(old, { podId: 'a', mark: MARK, archive: Buffer.from('one') })
  const next = await start(old.sessionId)
  expect(await transcripts.put(old, { podId: 'a', mark: MARK, archive: Buffer.from('late') })).toEqual({
    ok: false,
    refused: 'stale',
  })
  expect((await transcripts.read(old.sessionId))?.toString()).toBe('one')
  expect(await transcripts.put(next, { podId: 'b', mark: MARK, archive: Buffer.from('two') })).toMatchObject({
    ok: true,
  })
  const unknown = { ...old, sessionId: newSessionId() }
  expect(await transcripts.put(unknown, { podId: 'a', mark: MARK, archive: Buffer.from('x') })).toEqual({
    ok: false,
    refused: 'missing',
  })
  expect(await keysOfTranscript(unknown.sessionId)).toEqual([])
})

it('shows the old one until the new one is whole; pieces that nobody completes go by themselves', async () => {
  const agent = await start()
  await transcripts.put(agent, { podId: 'a', mark: MARK, archive: Buffer.from('whole') })
  const pieces = space.keys.transcriptPieces(agent.sessionId, agent.epoch)
  await dieAfter(2, () => transcripts.put(agent, { podId: 'a', mark: MARK, archive: randomBytes(4_000_000) }))
  expect(await space.redis.hkeys(pieces)).toContain('piece:2')
  expect(await space.redis.pttl(pieces)).toBeGreaterThan(0)
  expect((await transcripts.read(agent.sessionId))?.toString()).toBe('whole')

  // Its pieces went while it was sending: the last one finds that something is missing.
  const slow = transcripts.put(agent, { podId: 'a', mark: MARK, archive: randomBytes(4_000_000) })
  await space.redis.del(pieces)
  await expect(slow).rejects.toThrow(/took too long/)
  expect((await transcripts.read(agent.sessionId))?.toString()).toBe('whole')

  // And what they leave does not get into the next one.
  await transcripts.put(agent, { podId: 'a', mark: MARK, archive: Buffer.from('next') })
  expect((await transcripts.read(agent.sessionId))?.toString()).toBe('next')
})

/** The process that sends is gone after so many calls. */
async function dieAfter(calls: number, put: () => Promise<unknown>): Promise<void> {
  const scripted = space.redis as unknown as { droverPutTranscript: (...args: unknown[]) => Promise<unknown> }
  const send = scripted.droverPutTranscript.bind(space.redis)
  let sent = 0
  scripted.droverPutTranscript = (...args) =>
    ++sent > calls ? Promise.reject(new Error('gone')) : send(...args)
  await expect(put()).rejects.toThrow('gone')
  scripted.droverPutTranscript = send
}

it('goes when it is told to, at once or later', async () => {
  const agent = await start()
  await transcripts.keepFor(agent.sessionId, 100)
  await transcripts.put(agent, { podId: 'a', mark: MARK, archive: Buffer.from('x') })
  const key = space.keys.transcript(agent.sessionId)
  expect(await space.redis.ttl(key)).toBeGreaterThan(30 * 24 * 3600)
  await transcripts.keepFor(agent.sessionId, 100)
  expect(await space.redis.ttl(key)).toBeLessThanOrEqual(100)
  await transcripts.remove(agent.sessionId)
  expect(await transcripts.head(agent.sessionId)).toBeNull()
  expect(await transcripts.read(agent.sessionId)).toBeNull()
})
