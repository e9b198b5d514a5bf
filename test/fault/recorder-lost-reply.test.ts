/**
 * F12 for the recorder: each kind of its commands is applied once and its answer lost with the connection, while it
 * records and while it writes back what Redis lost. It sends it again: nothing happens twice, nothing is missing.
 */
import { Redis, type Command } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keysOf } from '../../src/queue/keys.ts'
import { runIdOf } from '../../src/queue/run-id.ts'
import { createRecorder, type Recorder } from '../../src/recorder/recorder.ts'
import { createStreamCut } from '../../src/recorder/stream-cut.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { expectTheWitness, expectWhatTheEventsSay } from '../recorder/expect-witness.ts'
import { writeSessions, type WitnessedSession } from '../recorder/session-writer.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { createProxy, type Proxy } from './rig/proxy.ts'
import { chooseSeed, createRandom } from './rig/random.ts'

/** What the bytes of a command contain, by its name as the coverage check has it. */
const command = (name: string): string => `\r\n${name}\r\n`

const WHILE_RECORDING = {
  'the lease: acquire': 'if holder and holder ~= ARGV[1]',
  'the lease: renew': "redis.call('PEXPIRE', KEYS[1], ARGV[2])",
  'the look at the life of Redis': 'local function less(a, b)',
  xread: command('xread'),
  mget: command('mget'),
  'what it announces': "redis.call('PUBLISH', KEYS[2], ARGV[2])\nend",
  'the count of what is kept': command('get'),
  // Sent only when there is nothing to read.
  xlen: command('xlen'),
  xtrim: command('xtrim'),
  'the lease: release': "return redis.call('DEL', KEYS[1]) end return 0",
} as const
const WHILE_WRITING_BACK = {
  'sessions written back': 'local written, at = 0, 2',
  'epoch and counters raised': 'for i = 3, #ARGV, 2 do',
  restored: "redis.call('SET', KEYS[2], ARGV[2])\nredis.call('PUBLISH'",
  time: command('time'),
  set: command('set'),
  zrange: command('zrange'),
  hmget: command('hmget'),
  xrevrange: command('xrevrange'),
  seeded: "return 'early'",
} as const
const ALL = { ...WHILE_RECORDING, ...WHILE_WRITING_BACK }
/** ioredis' own, and what answers nobody. */
const CONNECTING = new Set(['hello', 'client', 'info', 'auth', 'select'])
/** After the answer was lost, everything is in the ledger so soon. */
const BOUND_MS = 8000

const keys = keysOf('lost-reply')
const random = createRandom(chooseSeed())
const sessions: WitnessedSession[] = []
/** What the recorder sent: the bytes that `match` is looked for in. */
const sent = new Set<string>()
let server: TestRedis
let redis: Redis
let behind: Redis
let proxy: Proxy
let temp: TempLedger
let recorder: Recorder
const { sendCommand } = Redis.prototype

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  proxy = await createProxy(() => server.port, random.stream('proxy'))
  watchWhatIsSent()
  behind = new Redis(proxy.port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 20 })
  behind.on('error', () => undefined)
  await seedRedis(redis, keys)
  await redis.zadd(keys.pods, Date.now(), 'pod-1')
  temp = createTempLedger()
  const log = { warn: () => undefined, error: () => undefined, info: () => undefined }
  const createCut = () => createStreamCut(0, 1)
  recorder = createRecorder({ redis: behind, keys, ledger: temp.ledger, log, leaseTtlMs: 100, createCut })
})
afterAll(async () => {
  Redis.prototype.sendCommand = sendCommand
  await recorder.stop()
  behind.disconnect()
  redis.disconnect()
  await proxy.close()
  await server.stop()
  temp.remove()
})

function watchWhatIsSent(): void {
  Redis.prototype.sendCommand = function watched(one: Command, ...rest): unknown {
    if (this.options.port === proxy.port && !CONNECTING.has(one.name)) {
      sent.add(one.name === 'eval' ? String(one.args[0]) : command(one.name))
    }
    return sendCommand.call(this, one, ...rest)
  }
}

async function writeOne(): Promise<void> {
  const options = { agentType: 'writer', random, pauseMs: 2, stop: AbortSignal.abort() }
  sessions.push(...(await writeSessions(redis, keys, options)))
}

async function allIsRecorded(): Promise<void> {
  const newest = sessions.at(-1)
  await until(
    async () => {
      const info = (await redis.xinfo('STREAM', keys.events)) as unknown[]
      const last = info[info.indexOf('last-generated-id') + 1]
      return (await redis.get(keys.recorded)) === last && recorder.position === last
    },
    { timeoutMs: BOUND_MS, message: `all of ${newest?.sessionId} to be recorded and announced` },
  )
}

/** The next answer to such a command is lost; resolves when it was, and everything is recorded after it. */
async function lose(match: string, cause: () => Promise<unknown>): Promise<void> {
  const before = proxy.counts.repliesDropped
  proxy.mode({ kind: 'drop-replies', match })
  await cause()
  await until(
    async () => {
      if (proxy.counts.repliesDropped > before) return true
      if (match !== WHILE_RECORDING.xlen) await writeOne()
      return false
    },
    { message: `an answer to be lost` },
  )
  proxy.mode('pass')
  recorder.start()
  await writeOne()
  await allIsRecorded()
  expect(proxy.counts.repliesDropped).toBe(before + 1)
}

const CAUSES: Partial<Record<keyof typeof WHILE_RECORDING, () => unknown>> = {
  'the lease: acquire': () => recorder.start(),
  'the look at the life of Redis': () => proxy.cut(),
  'the lease: release': () => recorder.stop(),
  'the count of what is kept': async () => {
    await recorder.stop()
    recorder.start()
  },
}

test.for(Object.entries(WHILE_RECORDING))('F12 the answer to %s is lost', async ([name, match]) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its own keys
  const losing = lose(match, async () => CAUSES[name as keyof typeof WHILE_RECORDING]?.())
  await expect(losing).resolves.toBeUndefined()
})

test.for(Object.entries(WHILE_WRITING_BACK))(
  'F12 the answer to %s is lost while Redis is given back what it lost',
  async ([, match]) => {
    const before = proxy.counts.repliesDropped
    const runId = await runIdOf(redis)
    await redis.del(keys.seeded, keys.epoch)
    // It looks again when it connects again.
    proxy.cut()
    proxy.mode({ kind: 'drop-replies', match })
    await until(async () => (await redis.get(keys.seeded)) === runId, {
      timeoutMs: BOUND_MS,
      message: 'Redis to be seeded',
    })
    await until(() => proxy.counts.repliesDropped === before + 1, { message: 'an answer to be lost' })
    proxy.mode('pass')
    await writeOne()
    await allIsRecorded()
    expect(recorder.recording).toBe(true)
  },
)

test('F12 no kind of command was left out, and the ledger is as the witness says', () => {
  const untested = [...sent].filter((bytes) => !Object.values(ALL).some((match) => bytes.includes(match)))
  expect(untested).toEqual([])
  expectTheWitness(temp, sessions)
  expectWhatTheEventsSay(temp, sessions)
})
