import { appendFileSync } from 'node:fs'
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { newSessionId } from '../../src/core/ids.ts'
import type { AgentRef } from '../../src/queue/session-store.ts'
import { createTranscripts, type Transcripts } from '../../src/queue/transcripts.ts'
import { openTranscript } from '../../src/session/transcript.ts'
import { createShipper, type Shipper } from '../../src/worker/transcript-shipper.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { acceptance, openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let scratch: Scratch
let transcripts: Transcripts
let agent: AgentRef
let file: string
let errors: unknown[]
let pins: boolean[]
beforeEach(async () => {
  space = await openNamespace(server.url)
  scratch = await createScratch()
  transcripts = createTranscripts(space.redis, space.keys)
  errors = []
  pins = []
  agent = await newAgent(newSessionId())
  file = join(scratch.dir, 'projects/-w', `${agent.sessionId}.jsonl`)
  await mkdir(join(scratch.dir, 'projects/-w'), { recursive: true })
})
afterEach(async () => {
  space.close()
  await scratch.check()
})

async function newAgent(sessionId: string): Promise<AgentRef> {
  await space.store.accept(acceptance(sessionId))
  const leaseKey = space.keys.lease('architect', 0)
  await space.redis.set(leaseKey, 'me')
  const session = { sessionId, agentType: 'architect' }
  const started = await space.store.start(session, {
    leaseKey,
    token: 'me',
    agentIdPrefix: 'architect-20260101-',
    set: {},
    events: [],
  })
  if (!started.ok) throw new Error(started.refused)
  return { ...session, agentId: started.agentId, epoch: started.epoch }
}

/** Counts what is sent; `intervalMs` is long where only the end is looked at. */
function shipper(
  options: {
    intervalMs?: number
    limit?: number
    wasPinned?: boolean
    settled?: () => Promise<unknown>
  } = {},
): {
  readonly shipper: Shipper
  readonly puts: () => number
  readonly most: () => number
  /** How often the files were looked at. */
  readonly looks: () => number
} {
  const { intervalMs = 20, limit = 1e6, wasPinned = false } = options
  let [puts, now, most, looks] = [0, 0, 0, 0]
  const counted: Transcripts = {
    ...transcripts,
    async put(...args) {
      puts += 1
      most = Math.max(most, ++now)
      return await transcripts.put(...args).finally(() => {
        now -= 1
      })
    },
  }
  const transcript = openTranscript(scratch.dir, agent.sessionId, { packed: limit, raw: 1e9 })
  return {
    shipper: createShipper({
      transcript: {
        ...transcript,
        stamp: () => {
          looks += 1
          return transcript.stamp()
        },
      },
      transcripts: counted,
      podId: 'pod-1',
      intervalMs,
      clock: systemClock,
      wasPinned,
      settled: options.settled ?? (() => Promise.resolve()),
      onPinned: async (_, pinned) => void pins.push(pinned),
      onError: (error) => errors.push(error),
    }),
    puts: () => puts,
    most: () => most,
    looks: () => looks,
  }
}

/** What another machine would find. */
async function arrived(): Promise<boolean> {
  const head = await transcripts.head(agent.sessionId)
  const { mark } = (await openTranscript(scratch.dir, agent.sessionId).pack()) ?? { mark: null }
  return head !== null && mark !== null && head.mark.sha256 === mark.sha256
}

it('copies what has grown, one at a time, and nothing while nothing grows', async () => {
  const { shipper: it, puts, most, looks } = shipper()
  it.start(agent)
  await writeFile(file, 'one\n')
  await until(arrived)
  // All before the next look, on a slow disk too.
  for (let line = 0; line < 20; line++) appendFileSync(file, `line ${line}\n`)
  await until(arrived)
  const sent = puts()
  expect(sent).toBeLessThan(20)
  const looked = looks()
  await until(() => looks() >= looked + 10)
  expect(puts()).toBe(sent)
  await it.finish()
  expect(puts()).toBe(sent)
  expect(most()).toBe(1)
  expect(errors).toEqual([])
})

it('copies the rest when the process is gone, without waiting for the next look', async () => {
  const { shipper: it } = shipper({ intervalMs: 60_000 })
  it.start(agent)
  await writeFile(file, 'all of it\n')
  await it.finish()
  expect(await arrived()).toBe(true)
})

it('copies again what Redis has lost since', async () => {
  const { shipper: it } = shipper()
  it.start(agent)
  await writeFile(file, 'one\n')
  await until(arrived)
  await transcripts.remove(agent.sessionId)
  await it.finish()
  expect(await arrived()).toBe(true)
})

it.each(['the session', 'that the agent began'])('copies the rest when Redis has back %s', async (lost) => {
  const key = space.keys.session(agent.sessionId)
  const { epoch, ...before } = await space.redis.hgetall(key)
  const { shipper: it } = shipper({
    intervalMs: 60_000,
    settled: async () => await space.redis.hset(key, { ...before, epoch }),
  })
  it.start(agent)
  await writeFile(file, 'all of it\n')
  await space.redis.del(key)
  if (lost !== 'the session') await space.redis.hset(key, { ...before, epoch: '0' })
  await it.finish()
  expect(await arrived()).toBe(true)
  expect(errors).toEqual([])
})

it('does nothing where no agent was started, or the session has another one', async () => {
  await writeFile(file, 'one\n')
  await shipper().shipper.finish()
  expect(await transcripts.head(agent.sessionId)).toBeNull()

  const { shipper: old, puts } = shipper()
  await newAgent(agent.sessionId)
  old.start(agent)
  await until(() => puts() === 1)
  await appendFile(file, 'two\n')
  await old.finish()
  expect(puts()).toBe(1)
  expect(await transcripts.head(agent.sessionId)).toBeNull()
  expect(errors).toEqual([])
})

it('goes on after a failure, and says what could not be done', async () => {
  const { shipper: it } = shipper()
  await writeFile(file, 'one\n')
  await space.redis.set(space.keys.transcript(agent.sessionId), 'not a hash')
  it.start(agent)
  await until(() => errors.length > 1)
  expect(String(errors[0])).toContain(`The conversation of session ${agent.sessionId} could not be copied`)
  await space.redis.del(space.keys.transcript(agent.sessionId))
  await until(arrived)
  await it.finish()
})

it('says once that a conversation is too large to travel, and when it can again', async () => {
  const { shipper: large } = shipper({ limit: 1 })
  await writeFile(file, 'one\n')
  large.start(agent)
  await until(() => pins.length === 1)
  await appendFile(file, 'two\n')
  await large.finish()
  expect(pins).toEqual([true])
  expect(await transcripts.head(agent.sessionId)).toMatchObject({ pieces: 0, podId: 'pod-1' })

  const { shipper: still } = shipper({ limit: 1, wasPinned: true })
  still.start(agent)
  await still.finish()
  expect(pins).toEqual([true])
  const { shipper: small } = shipper({ wasPinned: true })
  small.start(agent)
  await small.finish()
  expect(pins).toEqual([true, false])
  expect(await transcripts.read(agent.sessionId)).not.toBeNull()
})
