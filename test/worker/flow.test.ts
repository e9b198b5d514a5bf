/** What a pod does with what its agents print while nobody records. */
import { statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readBacklog } from '../../src/queue/backlog.ts'
import { createRecorder, type Recorder } from '../../src/recorder/recorder.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createFlow } from '../../src/worker/flow.ts'
import type { SpoolLine } from '../../src/session/line.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { createSessionDirectory } from '../../src/session/directory.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const SILENT = { warn: () => {}, info: () => {}, error: () => {} }
/** Of the fake's assistant lines; init and result come on top. */
const LINES = 4000
const HIGH_WATER = 200
/** A batch of the spool's tail, which may be on its way when the mark is passed. */
const BATCH = 500

const server = await redisOfFile()
let house: PodHouse
let temp: TempLedger
let recorder: Recorder | null
let said: string[]
beforeEach(async () => {
  said = []
  recorder = null
  temp = createTempLedger()
  const destination = { write: (text: string) => void said.push((JSON.parse(text) as { msg: string }).msg) }
  const log = createLogger({ level: 'info', name: 'test', destination })
  house = await openHouse({ redisUrl: server.url, log })
})
afterEach(async () => {
  await recorder?.stop()
  await house.close()
  temp.remove()
})

test('nobody records: the stream stays near the mark, the agent is not held up, and all comes in order in the end', async () => {
  const port = await freePort()
  await house.startPod({
    DROVER_STREAM_HIGH_WATER: String(HIGH_WATER),
    DROVER_HEALTH_PORT: String(port),
    DROVER_KEEP_SPOOLS: '1',
  })
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  }
  const sessionId = await house.spawn({ lines: LINES })
  const spool = async (): Promise<number> => {
    const [dir] = await createSessionDirectory(house.dataDir, sessionId).agents()
    return dir === undefined ? 0 : statSync(join(dir, 'stdout.ndjson')).size
  }
  const unrecorded = async (): Promise<number> => (await readBacklog(house.redis, house.keys)).unrecorded

  await until(async () => (await metric('drover_pod_back_pressure')) === 1)
  // The agent prints on: the spool takes it all while the stream takes little.
  await until(
    async () => (await spool()) > 0 && (await metric('drover_pod_spool_unsent_bytes')) > (await spool()) / 2,
  )
  const size = await until(async () => {
    const [before, beats] = [await spool(), await house.redis.hget(house.keys.session(sessionId), 'beat_at')]
    await until(async () => (await house.redis.hget(house.keys.session(sessionId), 'beat_at')) !== beats)
    return (await spool()) === before && before
  })
  expect(await unrecorded()).toBeLessThan(HIGH_WATER + BATCH + 100)
  expect(await metric('drover_pod_sessions_running')).toBe(1)
  // What is no line goes on as ever: another session is accepted and begins, and says so.
  const other = await house.spawn({ lines: 1 }, { agentType: 'code_developer' })
  await until(async () => (await house.redis.hget(house.keys.session(other), 'state')) === 'completed')
  expect(await unrecorded()).toBeLessThan(HIGH_WATER + BATCH + 200)
  expect(await house.redis.hget(house.keys.session(sessionId), 'state')).toBe('running')

  recorder = createRecorder({
    redis: house.redis,
    keys: house.keys,
    ledger: temp.ledger,
    log: SILENT,
    leaseTtlMs: 1000,
  })
  recorder.start()
  await until(() => temp.ledger.events.ended(sessionId), { timeoutMs: 20_000 })
  await until(async () => (await unrecorded()) === 0)
  const numbers = temp.rows(
    'SELECT line FROM session_event WHERE session_id = ? AND line IS NOT NULL ORDER BY seq',
    sessionId,
  )
  expect(numbers.map((row) => row['line'])).toEqual(Array.from({ length: numbers.length }, (_, n) => n + 1))
  expect(numbers.length).toBeGreaterThanOrEqual(LINES + 2)
  expect(await house.producer.result(sessionId)).toMatchObject({ success: true })
  expect(await spool()).toBe(size)
  expect(await metric('drover_pod_back_pressure')).toBe(0)
  expect(await metric('drover_pod_spool_unsent_bytes')).toBe(0)
  expect(said.filter((text) => text.startsWith('Nobody records'))).toHaveLength(1)
  expect(said.filter((text) => text.includes('at full speed again'))).toHaveLength(1)
}, 60_000)

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

const lines = (count: number, bytes = 100): SpoolLine[] =>
  Array.from({ length: count }, (_, n) => ({
    line: n + 1,
    type: 'claude.assistant',
    payloadText: '{}',
    message: {},
    bytes,
    partial: false,
  }))

test('slow from the mark on, fast again from half of it', () => {
  const flow = createFlow(1000, SILENT)
  const seen = [999, 1000, 700, 501, 499, 999].map((unrecorded) => {
    flow.note(unrecorded)
    return flow.isSlowed
  })
  expect(seen).toEqual([false, true, true, true, false, false])
  expect(flow.portion(lines(80))).toHaveLength(80)
  flow.note(1000)
  expect(flow.portion(lines(80))).toHaveLength(50)
  expect(flow.portion(lines(3))).toHaveLength(3)
})

test('a pause is as long as the lines are many or large and the mark is passed; it ends when it is over', async () => {
  const flow = createFlow(1000, SILENT)
  const pauseOf = async (sent: readonly SpoolLine[]): Promise<number> => {
    const began = performance.now()
    await flow.pause(sent)
    return performance.now() - began
  }
  /** Before any timer could be. */
  const isOverAtOnce = async (pause: Promise<unknown>): Promise<boolean> =>
    await Promise.race([pause.then(() => true), new Promise<false>((done) => setImmediate(done, false))])
  expect(await isOverAtOnce(flow.pause(lines(50)))).toBe(true)
  flow.note(1000)
  expect(await pauseOf(lines(10))).toBeGreaterThan(95)
  expect(await pauseOf(lines(1, 52_429))).toBeGreaterThan(190)
  flow.note(2000)
  expect(await pauseOf(lines(5))).toBeGreaterThan(190)

  const long = flow.pause(lines(50))
  expect(await isOverAtOnce(long)).toBe(false)
  flow.note(10)
  expect(await isOverAtOnce(long)).toBe(true)
  flow.note(2000)
  const last = flow.pause(lines(50))
  expect(await isOverAtOnce(last)).toBe(false)
  flow.lift()
  expect(await isOverAtOnce(last)).toBe(true)
  expect(flow.isSlowed).toBe(false)
})
