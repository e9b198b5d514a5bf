/**
 * F16: two recorders. The first one is frozen (SIGSTOP) past its lease at one step of its work, the second takes over,
 * the first one thaws: one of them writes, the ledger refuses the other, which says so and waits for its turn.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { keysOf } from '../../src/queue/keys.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { expectTheWitness, expectWhatTheEventsSay } from '../recorder/expect-witness.ts'
import { writeSessions, type WitnessedSession } from '../recorder/session-writer.ts'
import { startRecorderChild, type RecorderChild } from '../support/recorder-child.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { readTable } from './rig/processes.ts'
import { chooseSeed, createRandom } from './rig/random.ts'

const keys = keysOf('two-recorders')
const random = createRandom(chooseSeed())
const sessions: WitnessedSession[] = []
const children: RecorderChild[] = []
let server: TestRedis
let redis: Redis
let temp: TempLedger

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  await seedRedis(redis, keys)
  temp = createTempLedger()
  await mkdir(join(temp.dir, 'compiled'))
})
afterAll(async () => {
  await endAll()
  redis.disconnect()
  await server.stop()
  temp.remove()
})
// Also after a case that failed: what it left would fail all the others.
afterEach(endAll)

function start(): RecorderChild {
  const child = startRecorderChild({
    redisUrl: server.url,
    namespace: keys.namespace,
    ledger: temp.path,
    cacheDir: join(temp.dir, 'compiled'),
  })
  children.push(child)
  return child
}

async function endAll(): Promise<void> {
  const living = children.splice(0)
  for (const child of living) child.signal('SIGKILL')
  await Promise.all(living.map((child) => child.exited))
  await redis.del(keys.recorderLease)
}

async function write(stop: AbortSignal = AbortSignal.abort()): Promise<void> {
  sessions.push(...(await writeSessions(redis, keys, { agentType: 'writer', random, pauseMs: 2, stop })))
}

async function allIsRecorded(): Promise<void> {
  await until(
    async () => {
      const info = (await redis.xinfo('STREAM', keys.events)) as unknown[]
      return (await redis.get(keys.recorded)) === info[info.indexOf('last-generated-id') + 1]
    },
    { message: () => `all to be recorded: ${children.map((child) => child.log()).join('\n')}` },
  )
}

/** Where the first one is frozen, and whether it holds the ledger's write lock there. */
const STEPS = [
  { when: 'after', step: 'redis xread', holds: false, refused: true },
  { when: 'before', step: 'BEGIN IMMEDIATE', holds: false, refused: true },
  { when: 'before', step: 'COMMIT', holds: true, refused: false },
  { when: 'after', step: 'COMMIT', holds: false, refused: false },
] as const
const isAnnouncement = (one: string): boolean => one.includes("'PUBLISH'")
const SUPERSEDED = 'Another recorder has taken over'
/** The script that asks for the lease: whoever runs it again waits for its turn. */
const isAsking = (one: string): boolean => one.includes("local holder = redis.call('GET'")

test.for(STEPS)('F16 frozen $when $step', async ({ when, step, holds, refused }) => {
  const [first, second] = [start(), start()]
  // The second time: the first is the claim.
  await first.begin({ step, when, nth: 2, signal: 'SIGSTOP' })
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const writing = write(stop.signal)
  expect(await first.fate).toEqual({ step, when })
  // It says so a moment before it is: woken before that, it would be frozen for good.
  await until(() => readTable().find(({ pid }) => pid === first.pid)?.state === 'T', {
    message: 'the first to be frozen',
  })
  // What the ten seconds of its lease would bring.
  await redis.del(keys.recorderLease)
  await second.begin()
  const holder = await until(() => redis.get(keys.recorderLease), { message: 'the second to take over' })
  if (holds) {
    await until(() => second.log().includes('is locked by another process'), {
      message: 'the second to find the ledger locked',
    })
    first.signal('SIGCONT')
  }
  stop.abort()
  await writing
  await allIsRecorded()
  if (!holds) first.signal('SIGCONT')
  if (step === 'COMMIT') {
    await until(() => first.done.some(isAnnouncement), { message: 'the first to say what it had committed' })
    // Not heard: the second has said more since.
    await allIsRecorded()
  }
  await write()
  await allIsRecorded()
  if (refused) {
    // By the ledger; or, frozen for longer than a renewal, by its lease, whose timer may come first.
    await until(() => first.log().includes(SUPERSEDED) || first.done.some(isAsking), {
      message: () => `the first to be refused: ${first.log()}`,
    })
    expect(second.log()).not.toContain(SUPERSEDED)
  }
  // The second one goes on, the first waits for its turn, and gets it.
  expect(await redis.get(keys.recorderLease)).toBe(holder)
  second.signal('SIGKILL')
  await second.exited
  await redis.del(keys.recorderLease)
  await write()
  await allIsRecorded()
  await endAll()
  expectTheWitness(temp, sessions)
})

test('F16 the projections are as the events say', () => {
  expect(() => expectWhatTheEventsSay(temp, sessions)).not.toThrow()
})
