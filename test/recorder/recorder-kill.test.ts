/** The recorder killed with SIGKILL while it writes: nothing twice, nothing missing, whatever the moment. */
import { once } from 'node:events'
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keysOf } from '../../src/queue/keys.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { pendingTask, scriptedSession } from './scripted-session.ts'

const SESSIONS = 20
const LINES = 600
const RESULT_EVERY = 20
/** Where each of them dies. A share of the stream is more than a batch, so that there is a second commit. */
const DEATHS = [
  ['append', 1],
  ['commit', 1],
  ['append', 777],
  ['settle', 1],
  ['append', 1500],
  ['commit', 2],
  ['settle', 23],
] as const

const keys = keysOf('kill')
let server: TestRedis
let redis: Redis
let temp: TempLedger

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
  temp = createTempLedger()
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  redis.disconnect()
  await server.stop()
  temp.remove()
})

/** The events of all sessions, interleaved as agents that run side by side would. */
function witness(): string[] {
  const sessions = Array.from({ length: SESSIONS }, (_, index) => {
    const agent = { agentId: `architect-20261120-${String(index + 1).padStart(3, '0')}`, epoch: index + 1 }
    const session = scriptedSession(`s${index}`)
      .accepted({ task_id: `T${index}` })
      .spawned(agent)
      .started(agent)
    for (let line = 1; line <= LINES; line++) {
      if (line % RESULT_EVERY === 0) session.result(agent, { input: 7, usd: 0.000003 })
      else session.line(agent, 'claude.assistant', { type: 'assistant', text: 'x'.repeat(200), line })
    }
    return session
      .exited(agent)
      .closed(agent)
      .ended({
        cost_micros: (LINES / RESULT_EVERY) * 3,
        usage: {
          input_tokens: (LINES / RESULT_EVERY) * 7,
          output_tokens: 0,
          cache_read_tokens: 0,
          cache_creation_tokens: 0,
        },
      }).events
  })
  const longest = Math.max(...sessions.map((events) => events.length))
  const stream = Array.from({ length: SESSIONS }, (_, index) => pendingTask(`T${index}`))
  for (let index = 0; index < longest; index++) {
    for (const events of sessions) if (events[index] !== undefined) stream.push(events[index] ?? '')
  }
  return stream
}

const children: ChildProcess[] = []

function startRecorder(...death: readonly (string | number)[]): ChildProcess {
  const program = join(import.meta.dirname, '../support/recorder-process.ts')
  const args = [program, server.url, keys.namespace, temp.path, ...death.map(String)]
  const child = spawn(process.execPath, args, { env: {}, stdio: ['ignore', 'ignore', 'inherit'] })
  children.push(child)
  return child
}

async function gone(child: ChildProcess): Promise<NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  // Its lease would end by itself after ten seconds.
  await redis.del(keys.recorderLease)
  return child.signalCode
}

async function append(texts: readonly string[]): Promise<void> {
  const pipeline = redis.pipeline()
  for (const text of texts) pipeline.xadd(keys.events, '*', 'event', text)
  await pipeline.exec()
}

describe('a recorder that is killed', () => {
  it('has recorded every event once, in order, when the last one is done', async () => {
    const stream = witness()
    const share = Math.ceil(stream.length / DEATHS.length)
    for (const [round, death] of DEATHS.entries()) {
      const child = startRecorder(...death)
      await append(stream.slice(round * share, (round + 1) * share))
      expect(await gone(child)).toBe('SIGKILL')
    }
    const lastId = (await redis.xrevrange(keys.events, '+', '-', 'COUNT', 1))[0]?.[0]
    const survivor = startRecorder()
    await until(async () => (await redis.get(keys.recorded)) === lastId, { timeoutMs: 30_000 })
    survivor.kill('SIGKILL')
    await gone(survivor)

    expect(temp.rows('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    expect(temp.rows('PRAGMA foreign_key_check')).toEqual([])
    expect(temp.ledger.tables.faults.count()).toBe(0)
    expect(
      temp.rows(
        `SELECT count(*) AS events, count(DISTINCT session_id || ' ' || seq) AS places FROM session_event`,
      ),
    ).toEqual([{ events: stream.length - SESSIONS, places: stream.length - SESSIONS }])
    for (let index = 0; index < SESSIONS; index++) {
      const id = `s${index}`
      const expected = stream.filter((text) => text.startsWith(`{"session_id":"${id}"`))
      expect(temp.ledger.events.page(id, 0, 1000).events).toEqual(expected)
      expect(temp.ledger.sessions.get(id)).toMatchObject({
        status: 'completed',
        incomplete: false,
        input_tokens: (LINES / RESULT_EVERY) * 7,
      })
      expect(temp.ledger.tasks.get(`T${index}`)?.status).toBe('completed')
    }
    expect(temp.ledger.cost('agent_type').total).toMatchObject({
      sessions: SESSIONS,
      cost_usd: (SESSIONS * (LINES / RESULT_EVERY) * 3) / 1e6,
    })
  })
})
