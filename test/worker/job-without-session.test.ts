/** Jobs that no pod can do: what ended long ago does not run again, what was lost or cannot be claimed does not wait for ever. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../src/core/ids.ts'
import { createQueues } from '../../src/queue/jobs.ts'
import { createLostSessions } from '../../src/recorder/lost-sessions.ts'
import { createRecorder } from '../../src/recorder/recorder.ts'
import { createTempLedger } from '../ledger/temp-ledger.ts'
import { readWitness } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const SILENT = { warn: () => {}, info: () => {}, error: () => {} }

const server = await redisOfFile()
let house: PodHouse
beforeEach(async () => {
  house = await openHouse({ redisUrl: server.url })
})
afterEach(() => house.close())

const starts = (): number => readWitness(house.witness).filter(({ kind }) => kind === 'start').length

test('a key that is used again when the hash has gone: the same session, and it does not run again', async () => {
  await house.startPod()
  const options = { idempotencyKey: 'nightly' }
  const first = await house.spawn({}, options)
  await house.events(first)
  const queues = createQueues(house.redis, house.keys, () => {})
  try {
    await until(async () => (await queues.of('architect').getJob(first))?.isCompleted())
    await until(async () => (await house.redis.hget(house.keys.session(first), 'state')) === 'completed')
    // As a day after its end.
    await house.redis.del(house.keys.session(first))

    const again = await house.producer.spawn({
      agentType: 'architect',
      prompt: 'Do as the script says.\n{"fake":{}}',
      workspaceDir: house.workspace,
      ...options,
    })
    expect(again).toMatchObject({ sessionId: first, status: 'completed', repeated: true })
    await expect(house.spawn({ lines: 7 }, options)).rejects.toMatchObject({ code: 'idempotency_conflict' })
    expect(await house.redis.exists(house.keys.session(first))).toBe(0)

    // A job that comes all the same is finished, and starts nothing.
    await queues.ensure({ sessionId: first, agentType: 'architect', priority: 1 })
    await until(async () => (await queues.of('architect').getJob(first))?.isCompleted())
    expect(starts()).toBe(1)
  } finally {
    await queues.close()
  }
}, 30_000)

test('a job of a session that nobody knows ends as lost, and its queue goes on', async () => {
  const temp = createTempLedger()
  const recorder = createRecorder({ ...house, ledger: temp.ledger, log: SILENT, leaseTtlMs: 3000 })
  const lost = createLostSessions({
    ...house,
    ledger: temp.ledger,
    recorder,
    log: SILENT,
    onWrittenBack: () => {},
    passMs: 100,
  })
  const queues = createQueues(house.redis, house.keys, () => {})
  try {
    recorder.start()
    lost.start()
    const unknown = newSessionId()
    await queues.add({ sessionId: unknown, agentType: 'architect', priority: 1 })
    await house.startPod()
    await until(() => temp.ledger.sessions.get(unknown)?.failure_reason === 'lost')
    await until(async () => (await queues.of('architect').getJob(unknown))?.isCompleted(), {
      timeoutMs: 20_000,
    })
    const next = await house.spawn({})
    await house.events(next)
    expect(await house.producer.result(next)).toMatchObject({ success: true })
    expect(starts()).toBe(1)
  } finally {
    await lost.stop()
    await recorder.stop()
    await queues.close()
    temp.remove()
  }
}, 40_000)

test.each([
  ['its hash cannot be read', { request: '{', redacted: '{', taken_out: 'x', cancel: 'x' }],
  ['it is said to run, without an agent', { state: 'running' }],
])(
  'a session whose every claim throws ends as lost: %s',
  async (_why, fields) => {
    const temp = createTempLedger()
    const recorder = createRecorder({ ...house, ledger: temp.ledger, log: SILENT, leaseTtlMs: 3000 })
    const lost = createLostSessions({
      ...house,
      ledger: temp.ledger,
      recorder,
      log: SILENT,
      onWrittenBack: () => {},
      passMs: 100,
      unclaimableAfterMs: 0,
    })
    const queues = createQueues(house.redis, house.keys, () => {})
    try {
      recorder.start()
      lost.start()
      // It announces the types, and must not have the session before it is stuck.
      await (await house.startPod()).stop(0)
      const stuck = await house.spawn({})
      const other = await house.spawn({})
      await house.redis.hset(house.keys.session(stuck), fields)
      await house.startPod()
      const row = await until(
        async () => {
          // As ensureJobs does every minute.
          await queues.ensure({ sessionId: stuck, agentType: 'architect', priority: 1 })
          const session = temp.ledger.sessions.get(stuck)
          return session?.status === 'failed' && session
        },
        { timeoutMs: 20_000 },
      )
      expect(row).toMatchObject({ failure_reason: 'lost' })
      expect(row.error_message).toMatch(/^No worker can take it: \d\d claims in a row failed since 20/)
      expect(await house.redis.hget(house.keys.session(stuck), 'state')).toBe('failed')
      // Its neighbour was claimed, and nothing is noted any more.
      await house.events(other)
      await until(async () => (await house.redis.exists(house.keys.failedClaims)) === 0)
      expect(starts()).toBe(1)
    } finally {
      await lost.stop()
      await recorder.stop()
      await queues.close()
      temp.remove()
    }
  },
  40_000,
)
