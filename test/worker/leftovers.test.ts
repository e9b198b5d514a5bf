import { existsSync } from 'node:fs'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { writeAgentRecord } from '../../src/session/agent-record.ts'
import { createSessionDirectory } from '../../src/session/directory.ts'
import { identityOf } from '../../src/setup/identity.ts'
import { createTranscripts } from '../../src/queue/transcripts.ts'
import { FULL_SPEED } from '../../src/worker/flow.ts'
import { sendLeftovers } from '../../src/worker/leftovers.ts'
import { createSpoolKeeper } from '../../src/worker/spool-keeper.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let scratch: Scratch
beforeEach(async () => {
  scratch = await createScratch()
  space = await openNamespace(server.url)
})
afterEach(async () => {
  space.close()
  await scratch.check()
})

const dataDir = () => join(scratch.dir, 'data')
const DEAD = { pid: 999_999_999, start_time: '1' }
const printed = (n: number) => JSON.stringify({ type: 'assistant', n })

async function startAgent(sessionId: string): Promise<AgentRef> {
  const session = { sessionId, agentType: 'architect' }
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
  return { ...session, agentId: started.agentId, epoch: started.epoch }
}

/** An agent whose first line of two was taken, when its worker died. */
async function leave(agent: AgentRef, worker = DEAD): Promise<void> {
  const directory = createSessionDirectory(dataDir(), agent.sessionId)
  await directory.create()
  const dir = await directory.createAgent(agent.agentId)
  await writeAgentRecord(dir, {
    agent_id: agent.agentId,
    session_id: agent.sessionId,
    agent_type: agent.agentType,
    epoch: agent.epoch,
    worker,
  })
  await writeFile(join(dir, 'stdout.ndjson'), `${printed(1)}\n${printed(2)}\n`)
  await space.store.lines(agent, {
    first: 1,
    lines: [{ type: 'claude.assistant', payloadText: printed(1) }],
  })
}

async function accepted(): Promise<string> {
  const sessionId = newSessionId()
  await space.store.accept(acceptance(sessionId))
  return sessionId
}

const send = (sessionId: string) => sendLeftovers({ store: space.store, dataDir: dataDir() }, sessionId)
const ofAgent = async ({ agentId }: AgentRef) =>
  (await space.events())
    .filter((event) => event.agent_id === agentId)
    .map(({ type, line, late }) => [type, line, late === true])

test('a superseded agent: the rest of its lines and its closing event, late, and once', async () => {
  const sessionId = await accepted()
  const first = await startAgent(sessionId)
  await leave(first)
  await startAgent(sessionId)

  expect(await send(sessionId)).toBe(true)
  expect(await send(sessionId)).toBe(true)

  expect(await ofAgent(first)).toEqual([
    ['drover.agent.spawned', null, false],
    ['claude.assistant', 1, false],
    ['claude.assistant', 2, true],
    ['drover.agent.closed', null, true],
  ])
  const closed = (await space.events()).find(({ type }) => type === 'drover.agent.closed')
  expect(JSON.parse(closed?.payloadText ?? '')).toMatchObject({
    lines: 2,
    sha256: expect.any(String),
    tail_unknown: false,
  })
})

test('the last agent of its session: its lines; whoever takes the session on closes it', async () => {
  const agent = await startAgent(await accepted())
  await leave(agent)
  await send(agent.sessionId)
  expect(await ofAgent(agent)).toEqual([
    ['drover.agent.spawned', null, false],
    ['claude.assistant', 1, false],
    ['claude.assistant', 2, false],
  ])
})

test('the agent of a live worker is left to it', async () => {
  const agent = await startAgent(await accepted())
  await leave(agent, (await identityOf(process.pid)) ?? DEAD)
  expect(await send(agent.sessionId)).toBe(false)
  expect(await ofAgent(agent)).toHaveLength(2)
})

test('what a pod has of a session that Redis has forgotten goes when it is a month old, and not while Redis is in doubt', async () => {
  const agent = await startAgent(await accepted())
  await leave(agent)
  await space.redis.del(space.keys.session(agent.sessionId))
  const said: unknown[] = []
  const keeper = createSpoolKeeper({
    redis: space.redis,
    keys: space.keys,
    store: space.store,
    transcripts: createTranscripts(space.redis, space.keys),
    dataDir: dataDir(),
    flow: FULL_SPEED,
    keep: false,
    isRunning: () => false,
    onError: (error) => void said.push(error),
  })
  const { path, agents } = createSessionDirectory(dataDir(), agent.sessionId)
  const [dir = ''] = await agents()
  const lastMonth = new Date(Date.now() - 31 * 86_400_000)
  for (const old of [path, dir]) await utimes(old, lastMonth, lastMonth)
  // Its spool is young.
  await keeper.pass()
  for (const name of await readdir(dir)) await utimes(join(dir, name), lastMonth, lastMonth)
  const seeded = (await space.redis.getdel(space.keys.seeded)) ?? ''
  await keeper.pass()
  expect([existsSync(path), said]).toEqual([true, []])
  await space.redis.set(space.keys.seeded, seeded)
  await keeper.pass()
  expect(existsSync(path)).toBe(false)
  expect(String(said[0])).toContain('last written 31 days ago, are removed')
})
