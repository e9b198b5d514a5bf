import { afterEach, beforeEach, expect, test } from 'vitest'
import Database from 'better-sqlite3'
import { join } from 'node:path'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const redis = await redisOfFile()
let board: TestBoard
beforeEach(async () => {
  board = await openBoard(redis.url)
})
afterEach(() => board.stop())

/** Name with labels → value; throws where a line is none of the format. */
async function metrics(): Promise<ReadonlyMap<string, number>> {
  const { status, headers, body } = await board.get('/metrics')
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const known = new Set<string>()
  const samples = new Map<string, number>()
  for (const line of (body as string).trimEnd().split('\n')) {
    const [, type] = /^# TYPE (\w+) (?:gauge|counter|histogram)$/.exec(line) ?? []
    if (type !== undefined) {
      expect(known, `${type} twice`).not.toContain(type)
      known.add(type)
    } else if (!/^# HELP \w+ .+$/.test(line)) {
      const [, name = '', value = ''] = /^([a-z_0-9]+(?:\{.*\})?) (\S+)$/.exec(line) ?? []
      expect(name, line).not.toBe('')
      const family = name.replace(/\{.*/, '')
      expect(known.has(family) || known.has(family.replace(/_(bucket|sum|count)$/, '')), line).toBe(true)
      samples.set(name, Number(value))
    }
  }
  return samples
}

test('says what is recorded, what is not, and what it cost', async () => {
  await until(() => board.board.recording)
  await board.spawn()
  await board.spawn({ agent_type: 'code_developer' })
  const before = await metrics()
  expect(before.get('drover_sessions{state="queued"}')).toBe(2)
  expect(before.get('drover_stream_length')).toBe(2)
  expect(before.get('drover_stream_unrecorded')).toBe(0)
  expect(before.get('drover_recording_lag_seconds')).toBe(0)
  expect(before.get('drover_events_recorded_total')).toBe(2)
  expect(before.get('drover_recorder_active')).toBe(1)
  expect(before.get('drover_cost_usd_total{agent_type="architect"}')).toBe(0)
  expect(before.get('drover_up{part="redis"}')).toBe(1)
  expect(before.get('drover_ledger_file_bytes')).toBeGreaterThanOrEqual(4096)
  expect(before.get('drover_ledger_wal_bytes')).toBeGreaterThan(100_000)
  expect(before.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)

  // Somebody holds the file: the events wait on the stream, and each figure says so.
  const other = new Database(join(board.dataDir, 'orchestrator.db'))
  other.exec('BEGIN IMMEDIATE')
  const text = JSON.stringify({ type: 'drover.task.pending' })
  for (let n = 0; n < 5; n++) await board.redis.xadd(board.keys.events, '*', 'event', text)
  const waiting = await until(
    async () => {
      const now = await metrics()
      return now.get('drover_alarm{name="ledger_locked"}') === 1 && now
    },
    { timeoutMs: 20_000 },
  )
  expect(waiting.get('drover_stream_unrecorded')).toBe(5)
  expect(waiting.get('drover_recording_lag_seconds')).toBeGreaterThan(0.5)
  expect(waiting.get('drover_oldest_unrecorded_timestamp_seconds')).toBeGreaterThan(Date.now() / 1000 - 60)
  const { body } = await board.get('/readyz')
  expect(body.checks.recorder).toMatchObject({
    stream_length: 7,
    unrecorded: 5,
    oldest_unrecorded: { id: expect.stringMatching(/^\d+-\d+$/), ts: expect.stringContaining('T') },
  })
  expect(body.alarms).toMatchObject([{ name: 'ledger_locked' }])
  expect(body.alarms[0].message).toContain('waits on the stream')

  other.exec('ROLLBACK')
  other.close()
  const after = await until(
    async () => {
      const now = await metrics()
      return now.get('drover_stream_unrecorded') === 0 && now
    },
    { timeoutMs: 20_000 },
  )
  expect(after.has('drover_alarm{name="ledger_locked"}')).toBe(false)
  // The five were no events.
  expect(after.get('drover_recorder_faults_total')).toBe(5)
  expect(after.get('drover_alarm{name="recorder_faults"}')).toBe(1)
}, 60_000)

test('answers while Redis is away', async () => {
  const own = await startRedis()
  const lonely = await openBoard(own.url)
  try {
    await own.stop()
    const { status, body } = await lonely.get('/metrics')
    expect(status).toBe(200)
    expect(body).toContain('drover_up{part="redis"} 0\n')
    expect(body).toContain('drover_up{part="ledger"} 1\n')
    expect(body).not.toContain('drover_stream_length')
  } finally {
    await lonely.stop()
  }
}, 30_000)
