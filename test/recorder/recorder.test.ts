import { once } from 'node:events'
import Database from 'better-sqlite3'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openLedger, type Ledger } from '../../src/ledger/open.ts'
import { keysOf, type Keys } from '../../src/queue/keys.ts'
import { readLag } from '../../src/recorder/lag.ts'
import { createRecorder, type CommitSummary, type Recorder } from '../../src/recorder/recorder.ts'
import { timeOf } from '../../src/recorder/stream-id.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { pendingTask, scriptedSession } from './scripted-session.ts'

let server: TestRedis
let redis: Redis
let temp: TempLedger
let keys: Keys
let namespaces = 0
const recorders: Recorder[] = []

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})
beforeEach(async () => {
  temp = createTempLedger()
  keys = keysOf(`test-${++namespaces}`)
  await seedRedis(redis, keys)
})
afterEach(async () => {
  await Promise.all(recorders.splice(0).map((recorder) => recorder.stop()))
  temp.remove()
})

interface Watched {
  readonly recorder: Recorder
  readonly commits: CommitSummary[]
  /** Messages of what was logged. */
  readonly logged: string[]
}

function startRecorder(onCommit: (summary: CommitSummary) => void = () => {}, ledger = temp.ledger): Watched {
  const commits: CommitSummary[] = []
  const logged: string[] = []
  const log = (details: unknown, message?: string): void => {
    logged.push(message ?? String(details))
  }
  const recorder = createRecorder({
    redis,
    keys,
    ledger,
    log: { warn: log, error: log, info: log },
    leaseTtlMs: 1000,
    onCommit(summary) {
      commits.push(summary)
      onCommit(summary)
    },
  })
  recorders.push(recorder)
  recorder.start()
  return { recorder, commits, logged }
}

async function publish(texts: readonly string[], id: string = '*'): Promise<string> {
  let last = ''
  for (const text of texts) last = String(await redis.xadd(keys.events, id, 'event', text))
  return last
}

const sessionEvents = (count: number, sessionId = 's1'): string[] => {
  const session = scriptedSession(sessionId).accepted()
  while (session.events.length < count) session.own('drover.session.claimed', { pod_id: 'pod-1' })
  return session.events
}

describe('the recorder', () => {
  it('records the stream and tells everybody, after the commit', async () => {
    const subscriber = redis.duplicate()
    await subscriber.subscribe(keys.recorded)
    const announced = once(subscriber, 'message')
    const { recorder, commits } = startRecorder()
    const before = await publish([pendingTask('A')])
    expect(await recorder.waitFor(before, 5000)).toBe(true)
    const last = await publish([
      ...sessionEvents(5),
      ...scriptedSession('s2').accepted({ task_id: 'A' }).events,
    ])
    expect(await recorder.waitFor(last, 5000)).toBe(true)
    expect(temp.ledger.events.lastSeq('s1')).toBe(5)
    expect(recorder.position).toBe(last)
    expect(recorder.recording).toBe(true)
    await until(async () => (await redis.get(keys.recorded)) === last)
    await announced
    subscriber.disconnect()

    expect(commits.at(-1)?.lastStreamId).toBe(last)
    expect(commits.reduce((sum, commit) => sum + commit.entries, 0)).toBe(7)
    expect(new Set(commits.flatMap((commit) => commit.sessionIds))).toEqual(new Set(['s1', 's2']))
    expect(new Set(commits.flatMap((commit) => commit.acceptedSessionIds))).toEqual(new Set(['s1', 's2']))
    expect(new Set(commits.flatMap((commit) => commit.taskIds))).toEqual(new Set(['A']))
    // No copy of what was recorded is needed to know how far it is.
    expect(await recorder.waitFor(before, 0)).toBe(true)
  })

  it('ends a wait that is not fulfilled: by time, and by stopping', async () => {
    const { recorder } = startRecorder()
    expect(await recorder.waitFor('99999999999999-0', 50)).toBe(false)
    const waiting = recorder.waitFor('99999999999999-0', 60_000)
    await recorder.stop()
    expect(await waiting).toBe(false)
    expect(recorder.recording).toBe(false)
    await recorder.stop()
  })

  it('goes on where it ended, also after a stop and a start', async () => {
    const { recorder } = startRecorder()
    const events = sessionEvents(30)
    expect(await recorder.waitFor(await publish(events.slice(0, 10)), 5000)).toBe(true)
    await recorder.stop()
    expect(await redis.get(keys.recorderLease)).toBeNull()
    await publish(events.slice(10, 20))
    recorder.start()
    expect(await recorder.waitFor(await publish(events.slice(20)), 5000)).toBe(true)
    expect(temp.ledger.events.page('s1', 0, 100).events).toEqual(events)
  })

  it('is succeeded by one that waits, and the waiting one knows what is recorded', async () => {
    const first = startRecorder()
    await until(() => first.recorder.recording)
    const ledger = openLedger(temp.path)
    const second = startRecorder(() => {}, ledger)
    expect(await second.recorder.waitFor(await publish(sessionEvents(3)), 5000)).toBe(true)
    expect(second.commits).toEqual([])
    await first.recorder.stop()
    await until(() => second.recorder.recording)
    expect(await second.recorder.waitFor(await publish(sessionEvents(4).slice(3)), 5000)).toBe(true)
    expect(second.commits).toHaveLength(1)
    expect(temp.ledger.events.lastSeq('s1')).toBe(4)
    await second.recorder.stop()
    ledger.close()
  })

  it('writes nothing after another one has taken over without its knowing', async () => {
    const frozen = startRecorder()
    await until(() => frozen.recorder.recording)
    // As if it had been stopped for longer than its lease.
    await redis.del(keys.recorderLease)
    const ledger = openLedger(temp.path)
    const second = startRecorder(() => {}, ledger)
    await until(() => second.recorder.recording)
    expect(await second.recorder.waitFor(await publish(sessionEvents(3)), 5000)).toBe(true)
    await until(() => frozen.logged.some((line) => line.includes('Another recorder has taken over')), {
      timeoutMs: 15_000,
    })
    expect(frozen.commits).toEqual([])
    expect(second.commits.flatMap(({ sessionIds }) => sessionIds)).toContain('s1')
    await until(() => !frozen.recorder.recording)
    await second.recorder.stop()
    ledger.close()
  })

  it('waits out a locked ledger, loses nothing, and trims nothing before the commit', async () => {
    const { recorder, logged } = startRecorder()
    await until(() => recorder.recording)
    const holder = new Database(temp.path)
    holder.exec('BEGIN IMMEDIATE')
    const anHourAgo = Date.now() - 3_600_000
    const events = sessionEvents(20)
    for (const [index, text] of events.slice(0, 15).entries()) await publish([text], `${anHourAgo + index}-0`)
    const last = await publish(events.slice(15))
    await until(() =>
      logged.some((line) => /is locked by another process\..* waits on the stream/.test(line)),
    )
    expect(await redis.xlen(keys.events)).toBe(20)
    expect(await recorder.waitFor(last, 0)).toBe(false)
    holder.exec('ROLLBACK')
    holder.close()
    expect(await recorder.waitFor(last, 20_000)).toBe(true)
    expect(temp.ledger.events.page('s1', 0, 100).events).toEqual(events)
    // Trimming follows with a commit; what is younger than ten minutes stays.
    await until(async () => {
      await publish([pendingTask('A')])
      const [oldest] = await redis.xrange(keys.events, '-', '+', 'COUNT', 1)
      return timeOf(oldest?.[0] ?? '') > anHourAgo + 1000
    })
    const kept = (await redis.xrange(keys.events, '-', '+')).map(([, fields]) => fields[1])
    expect(kept.slice(0, 5)).toEqual(events.slice(15))
    expect(logged.filter((line) => line.includes('is locked'))).toHaveLength(1)
  })

  it('says how much is not recorded also behind a trim, while the ledger is locked', async () => {
    const { recorder } = startRecorder()
    // Long ago, so that a later batch takes it away.
    await publish(sessionEvents(10), '1000-*')
    await until(async () => (await redis.get(keys.kept)) === '10')
    await until(async () => {
      await recorder.waitFor(await publish([pendingTask('A')]), 5000)
      return timeOf((await redis.xrange(keys.events, '-', '+', 'COUNT', 1))[0]?.[0] ?? '') > 1000
    })
    const blocker = new Database(temp.path)
    blocker.exec('BEGIN IMMEDIATE')
    await publish(sessionEvents(5, 's2'))
    const lag = await until(async () => {
      const { unrecorded, oldest } = await readLag(redis, keys, recorder.position)
      return unrecorded === 5 && oldest
    })
    expect(lag.id).toBe((await redis.xrevrange(keys.events, '+', '-', 'COUNT', 5)).at(-1)?.[0])
    blocker.exec('ROLLBACK')
    blocker.close()
    await until(async () => (await readLag(redis, keys, recorder.position)).oldest === null)
    // Whatever was said of it: everything is recorded.
    await redis.del(keys.kept)
    expect((await readLag(redis, keys, recorder.position)).unrecorded).toBe(0)
  })

  it('says what may be missing where an older ledger is in its place, unless the stream has all of it', async () => {
    const other = createTempLedger()
    /** Records with this ledger up to there; answers whether something may be missing in it. */
    async function saysMissing(ledger: Ledger, upTo: string): Promise<boolean> {
      const { recorder, logged } = startRecorder(() => {}, ledger)
      await until(async () => recorder.position === upTo && (await redis.get(keys.recorded)) === upTo)
      await recorder.stop()
      return logged.some((line) => line.includes('a backup or a new file is in its place'))
    }
    try {
      const first = await publish(sessionEvents(3))
      expect(await saysMissing(temp.ledger, first)).toBe(false)
      const second = await publish(sessionEvents(3, 's2'))
      // A file that was made anew: nobody knows what was before.
      expect(await saysMissing(other.ledger, second)).toBe(true)
      // What follows is on the stream still.
      expect(await saysMissing(temp.ledger, second)).toBe(false)
      const third = await publish(sessionEvents(3, 's3'))
      expect(await saysMissing(temp.ledger, third)).toBe(false)
      await redis.xtrim(keys.events, 'MINID', third)
      expect(await saysMissing(other.ledger, third)).toBe(true)
      expect(await saysMissing(temp.ledger, third)).toBe(false)
    } finally {
      other.remove()
    }
  })

  it('reads from the beginning when Redis has lost what it was', async () => {
    const { recorder } = startRecorder()
    const future = Date.now() + 3_600_000
    expect(await recorder.waitFor(await publish(sessionEvents(3), `${future}-*`), 5000)).toBe(true)
    await redis.del(keys.events)
    // The same events once more (an older copy came back), and a new one, all with lower ids.
    await publish([...sessionEvents(3), ...scriptedSession('s2').accepted().events])
    await until(() => temp.ledger.sessions.get('s2') !== null)
    expect(temp.rows('SELECT count(*) AS n FROM session_event')).toEqual([{ n: 4 }])
    expect(temp.ledger.tables.faults.count()).toBe(0)
  })

  it('survives a listener that throws, and says it when an event is set aside', async () => {
    const { recorder, logged } = startRecorder(() => {
      throw new Error('listener')
    })
    await recorder.waitFor(await publish(sessionEvents(1)), 5000)
    expect(await recorder.waitFor(await publish(['garbage']), 5000)).toBe(true)
    expect(await recorder.waitFor(await publish(sessionEvents(2).slice(1)), 5000)).toBe(true)
    expect(logged).toContain('What follows a commit failed; the commit stands.')
    expect(logged).toContain('An event could not be recorded; it is in recorder_fault.')
    expect(temp.ledger.events.lastSeq('s1')).toBe(2)
  })

  it('is refused at once for the ledger of another namespace', async () => {
    const { recorder } = startRecorder()
    await recorder.waitFor(await publish([pendingTask('A')]), 5000)
    await recorder.stop()
    keys = keysOf('another')
    expect(() => startRecorder()).toThrow(/Give each namespace a data directory of its own/)
  })

  it('comes back after Redis was away, without a flood in the log', async () => {
    const own = await startRedis({ aof: 'always' })
    const connection = new Redis(own.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    connection.on('error', () => {})
    const logged: string[] = []
    const log = (_details: unknown, message?: string): void => void logged.push(message ?? '')
    const recorder = createRecorder({
      redis: connection,
      keys,
      ledger: temp.ledger,
      log: { warn: log, error: log, info: log },
      leaseTtlMs: 1000,
    })
    recorder.start()
    const add = async (text: string): Promise<string> =>
      String(await connection.xadd(keys.events, '*', 'event', text))
    const [first = '', second = ''] = sessionEvents(2)
    // A new server is a loss too, and gives up what was waited for until it was noticed.
    const firstId = await add(first)
    await until(() => recorder.waitFor(firstId, 5000), { timeoutMs: 20_000 })
    logged.length = 0
    process.kill(own.pid, 'SIGKILL')
    await until(() => logged.length > 0)
    const back = await startRedis({ aof: 'always', port: own.port, dir: own.dir })
    // The loss gives up what was waited for until it was noticed; what came in its time is recorded all the same.
    const id = await add(second)
    await until(() => recorder.waitFor(id, 5000), { timeoutMs: 20_000 })
    expect(temp.ledger.events.lastSeq('s1')).toBe(2)
    expect(logged.length).toBeLessThanOrEqual(3)
    await recorder.stop()
    connection.disconnect()
    await back.stop()
    await own.stop()
  })

  it('stops also while Redis is away', async () => {
    const own = await startRedis()
    const connection = new Redis(own.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    connection.on('error', () => {})
    const silent = (): void => {}
    const make = (ledger = temp.ledger): Recorder =>
      createRecorder({
        redis: connection,
        keys,
        ledger,
        log: { warn: silent, error: silent, info: silent },
        leaseTtlMs: 1000,
      })
    const recording = make()
    recording.start()
    await until(() => recording.recording)
    const waiting = make()
    waiting.start()
    process.kill(own.pid, 'SIGKILL')
    await until(() => connection.status === 'reconnecting')
    await Promise.all([recording.stop(), waiting.stop()])
    expect(recording.recording).toBe(false)
    connection.disconnect()
    await own.stop()
  }, 10_000)
})
