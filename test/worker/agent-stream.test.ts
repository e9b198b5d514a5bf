import { appendFile, link, mkdtemp, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { createLinesDigest } from '../../src/core/lines-digest.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { createAgentStream, type AgentStream } from '../../src/worker/agent-stream.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let dir: string
beforeEach(async () => {
  space = await openNamespace(server.url)
  dir = await mkdtemp(join(tmpdir(), 'drover-stream-'))
})
afterEach(async () => {
  space.close()
  await rm(dir, { recursive: true })
})

interface Talk {
  readonly agent: AgentRef
  readonly spool: string
  readonly stream: AgentStream
  say(from: number, to: number): Promise<void>
  /** The lines that are on the stream, in its order. */
  published(): Promise<(number | null)[]>
}

async function talk(): Promise<Talk> {
  const sessionId = newSessionId()
  await space.store.accept(acceptance(sessionId))
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, 'pod:1', 'PX', 60_000)
  const session = { sessionId, agentType: 'architect' }
  const started = await space.store.start(session, {
    leaseKey,
    token: 'pod:1',
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [],
  })
  if (!started.ok) throw new Error(started.refused)
  const agent = { ...session, agentId: started.agentId, epoch: started.epoch }
  const spool = join(dir, 'stdout.ndjson')
  const stream = createAgentStream({
    store: space.store,
    agent,
    spool,
    onFacts: () => undefined,
    onFailure: () => undefined,
  })
  return {
    agent,
    spool,
    stream,
    async say(from, to) {
      const lines = Array.from({ length: to - from + 1 }, (_, index) => `${lineOf(from + index)}\n`)
      await appendFile(spool, lines.join(''))
    },
    published: async () => (await space.events()).filter(({ line }) => line !== null).map(({ line }) => line),
  }
}

const lineOf = (n: number): string => JSON.stringify({ type: 'assistant', n })

/** The hash as it was some lines ago: a Redis that was restored from an older ledger. */
async function forgetLines({ agent }: Talk, cursor: number): Promise<void> {
  await space.redis.hset(space.keys.session(agent.sessionId), `line:${agent.agentId}`, cursor)
}

test('lines that Redis has lost after they were acknowledged are taken from the spool again', async () => {
  const agent = await talk()
  await agent.say(1, 5)
  await until(async () => (await agent.published()).length === 5)
  await forgetLines(agent, 2)
  await agent.say(6, 7)
  const { lines, lines_digest } = await agent.stream.finish()

  expect(await agent.published()).toEqual([1, 2, 3, 4, 5, 3, 4, 5, 6, 7])
  expect(lines).toBe(7)
  const digest = createLinesDigest()
  for (let n = 7; n >= 1; n--) digest.add(n, lineOf(n))
  expect(lines_digest).toBe(digest.hex())
})

test('where the spool is gone too, the agent goes on and the jump is there to be seen', async () => {
  const agent = await talk()
  await agent.say(1, 5)
  await until(async () => (await agent.published()).length === 5)
  await forgetLines(agent, 2)
  // The tail still has the file open, and so has whoever writes to it.
  const other = join(dir, 'moved.ndjson')
  await link(agent.spool, other)
  await unlink(agent.spool)
  await appendFile(other, `${lineOf(6)}\n${lineOf(7)}\n`)
  await agent.stream.finish()

  expect(await agent.published()).toEqual([1, 2, 3, 4, 5, 6, 7])
  const record = await space.store.read(agent.agent.sessionId)
  expect(record?.cursor).toBe(7)
  // A repeat after that is dropped like any other.
  const again = { first: 6, lines: [{ type: 'claude.assistant', payloadText: '{}' }], jump: true }
  expect(await space.store.lines(agent.agent, again)).toMatchObject({ ok: true, streamId: '', cursor: 7 })
})
