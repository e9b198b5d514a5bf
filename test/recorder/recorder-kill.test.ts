/**
 * F15: the recorder killed with SIGKILL before and after every statement of its transaction, and around each of its
 * commands to Redis, 200 times while sessions are written: nothing twice, nothing missing.
 *
 * The steps are not listed here: each recorder says which it meets, and the next one dies at the one that was hit least.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { keysOf } from '../../src/queue/keys.ts'
import { chooseSeed, createRandom } from '../fault/rig/random.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import type { Fate } from '../support/fate.ts'
import { startRecorderChild, type RecorderChild } from '../support/recorder-child.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { expectTheWitness, expectWhatTheEventsSay } from './expect-witness.ts'
import { writeSessions } from './session-writer.ts'

const KILLS = Number(process.env['DROVER_KILLS'] ?? 200)
const WRITERS = 4
/** Started ahead, so that most of a round is a recorder at work. */
const STANDBY = 2
/** A step that is rare is not waited for: it dies here at the latest. */
const AT_LATEST = 8000

const keys = keysOf('kill')
const seed = chooseSeed()
const random = createRandom(seed)
let server: TestRedis
let redis: Redis
let temp: TempLedger
const children: RecorderChild[] = []

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
  await seedRedis(redis, keys)
  temp = createTempLedger()
})
afterAll(async () => {
  for (const child of children) child.signal('SIGKILL')
  await Promise.all(children.map((child) => child.exited))
  redis.disconnect()
  await server.stop()
  temp.remove()
})

function startChild(): RecorderChild {
  const child = startRecorderChild({
    redisUrl: server.url,
    namespace: keys.namespace,
    ledger: temp.path,
    cacheDir: join(temp.dir, 'compiled'),
  })
  children.push(child)
  return child
}

/** What ioredis sends by itself. */
const CONNECTING = /^redis (hello|client|info)/

/** How often each step was hit, `before <step>` and `after <step>`. */
const hits = new Map<string, number>()

function meet(steps: readonly string[]): void {
  for (const step of steps.filter((one) => !CONNECTING.test(one)))
    for (const when of ['before', 'after']) hits.set(`${when} ${step}`, hits.get(`${when} ${step}`) ?? 0)
}

/** How often each moment was aimed at: some steps are taken only when there is nothing to record. */
const aims = new Map<string, number>()

/** The moment that was aimed at least so far; the first time it is waited for. */
function nextFate(): Partial<Fate> {
  const weight = (moment: string): number => Math.max(hits.get(moment) ?? 0, aims.get(moment) ?? 0)
  const [moment = ''] = [...hits.keys()].toSorted((a, b) => weight(a) - weight(b))
  const isFirst = moment !== '' && weight(moment) === 0
  aims.set(moment, weight(moment) + 1)
  const [when, ...step] = moment.split(' ')
  return {
    step: step.join(' '),
    when: when === 'after' ? 'after' : 'before',
    nth: isFirst ? 1 : random.pick([1, 1, 2, 3, 8]),
    atLatest: isFirst ? AT_LATEST : random.integer(1, AT_LATEST / 8),
  }
}

/** One recorder from its start to its death. */
async function liveAndDie(child: RecorderChild): Promise<void> {
  await child.begin(nextFate())
  const fate = await child.fate
  if (fate === null) throw new Error(`A recorder ended by itself: ${child.log()}`)
  expect(await child.exited).toBe('SIGKILL')
  meet(child.met)
  const moment = `${fate.when} ${fate.step}`
  hits.set(moment, (hits.get(moment) ?? 0) + 1)
  // Its lease would end by itself after ten seconds.
  await redis.del(keys.recorderLease)
}

async function lastEntry(): Promise<string> {
  const info = (await redis.xinfo('STREAM', keys.events)) as unknown[]
  return String(info[info.indexOf('last-generated-id') + 1])
}

const hitsOf = (name: RegExp): number =>
  [...hits].reduce((sum, [moment, count]) => sum + (name.test(moment) ? count : 0), 0)

it(`F15 killed ${KILLS} times at every statement, it has recorded every event once (seed ${seed})`, async () => {
  await mkdir(join(temp.dir, 'compiled'))
  const stop = new AbortController()
  const writing = Array.from({ length: WRITERS }, (_, index) =>
    writeSessions(redis, keys, {
      agentType: `writer${index}`,
      random: random.stream(`writer ${index}`),
      pauseMs: 8,
      stop: stop.signal,
    }),
  )
  const standby = Array.from({ length: STANDBY }, startChild)
  for (let round = 0; round < KILLS; round++) {
    const child = standby.shift()
    if (child === undefined) throw new Error('no recorder')
    standby.push(startChild())
    await liveAndDie(child)
  }
  stop.abort()
  const sessions = (await Promise.all(writing)).flat()
  await standby[0]?.begin()
  await until(async () => (await redis.get(keys.recorded)) === (await lastEntry()), { timeoutMs: 30_000 })

  const missed = [...hits].filter(([moment, count]) => count === 0 && !moment.includes(' redis '))
  expect(missed).toEqual([])
  for (const kind of MUST_BE_HIT) expect(hitsOf(kind), String(kind)).toBeGreaterThan(0)
  expect(sessions.length).toBeGreaterThan(WRITERS)
  expectTheWitness(temp, sessions)
  expectWhatTheEventsSay(temp, sessions)
  // What was trimmed is gone: had it gone before its commit, the ledger could not have it.
  expect(await redis.xlen(keys.events)).toBeLessThan(
    sessions.reduce((sum, { events }) => sum + events.length, 0) / 2,
  )
}, 600_000)

/** What "every statement, and between commit and trim" comes to. */
const MUST_BE_HIT = [
  /^before BEGIN IMMEDIATE/,
  /^(before|after) UPDATE recorder_position/,
  /^before INSERT INTO session_event/,
  /^after INSERT INTO session_event/,
  /^(before|after) INSERT INTO agent_lifecycle /,
  /^(before|after) INSERT INTO agent_sessions/,
  /^before COMMIT/,
  /^after COMMIT/,
  /^before redis xread/,
  // What it announces after the commit.
  /^before redis eval .*'PUBLISH'/,
  /^after redis eval .*'PUBLISH'/,
  /^before redis xtrim/,
  /^after redis xtrim/,
]
