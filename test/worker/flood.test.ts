/** A pod whose Redis refuses or is away: few lines in the log, little CPU, and it goes on by itself. */
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../../src/telemetry/logger.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

interface Line {
  readonly kind?: string
  readonly level: string
  readonly msg: string
  readonly at: number
}

const FAULT_MS = 5000
const WAITING = ['code_developer', 'project_manager', 'code_reviewer', 'doc-keeper-haiku']

let server: TestRedis
let house: PodHouse
let lines: Line[]
beforeEach(async () => {
  lines = []
  const destination = {
    write: (text: string) => {
      const line = JSON.parse(text) as Omit<Line, 'at'>
      lines.push({ ...line, at: performance.now() })
    },
  }
  server = await startRedis()
  const log = createLogger({ level: 'info', name: 'test', destination })
  house = await openHouse({ redisUrl: server.url, log })
  house.redis.on('error', () => {})
})
afterEach(async () => {
  await house.close()
  await server.stop()
})

/** What this process used of one core while the fault lasted, in per cent. */
async function cpuDuring(fault: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  const at = performance.now()
  await fault()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 10 / (performance.now() - at)
}

function expectFewLines(since: number): void {
  const faults = lines.filter(({ level, at }) => at >= since && level !== 'info')
  const kinds = faults.map(({ kind }) => kind)
  // One line of each kind: the fault is shorter than ten seconds.
  expect(kinds, faults.map(({ msg }) => msg).join('\n')).toEqual([...new Set(kinds)])
  expect(kinds.length).toBeGreaterThan(0)
  expect(kinds.length).toBeLessThan(8)
}

const lastsFor = (ms: number) => {
  const end = performance.now() + ms
  return until(() => performance.now() >= end, { timeoutMs: ms + 5000 })
}

test('out of memory: workers that fail wait before they ask again', async () => {
  // One place: the workers of the sessions that wait are resting, and wake up in the middle of the fault.
  await house.startPod({ DROVER_MAX_SESSIONS: '1' })
  const sessionId = await house.spawn({ silence_ms: 1500 })
  await until(async () => (await house.redis.hget(house.keys.session(sessionId), 'state')) === 'running')
  for (const agentType of WAITING) await house.spawn({}, { agentType })
  const commands = async (): Promise<number> =>
    Number(/total_commands_processed:(\d+)/.exec(await house.redis.info('stats'))?.[1])

  const since = performance.now()
  await house.redis.config('SET', 'maxmemory', '1')
  const commandsBefore = await commands()
  const cpu = await cpuDuring(() => lastsFor(FAULT_MS))
  const sent = (await commands()) - commandsBefore
  expectFewLines(since)
  expect(lines.some(({ msg }) => msg.includes('OOM'))).toBe(true)
  // Without the brake: 88,000 commands a second, and a core.
  expect(sent / (FAULT_MS / 1000)).toBeLessThan(200)
  expect(cpu).toBeLessThan(50)

  await house.redis.config('SET', 'maxmemory', '0')
  const next = await house.spawn({}, { agentType: 'project_manager' })
  await house.events(next)
  expect(await house.producer.result(next)).toMatchObject({ success: true })
}, 60_000)

test('away: little is said and done until it is back', async () => {
  const pod = await house.startPod()
  const since = performance.now()
  process.kill(server.pid, 'SIGKILL')
  const cpu = await cpuDuring(() => lastsFor(FAULT_MS))
  expectFewLines(since)
  expect(cpu).toBeLessThan(50)

  const again = await startRedis({ port: server.port })
  try {
    const redis = new Redis(again.url)
    // Its entry is back, by its next beat.
    await until(async () => (await redis.hget(house.keys.pod('pod-1'), 'state')) === 'ready')
    redis.disconnect()
    await until(() => lines.some(({ msg }) => msg === 'Redis answers again'))
    expect(lines.filter(({ msg }) => msg === 'Redis answers again')).toHaveLength(1)
  } finally {
    await pod.stop(0)
    await again.stop()
  }
}, 60_000)
