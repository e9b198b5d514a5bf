/** Prompts of tasks as they were given are in Redis for as long as a run of theirs may need them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createUnredactedStore } from '../../src/queue/unredacted.ts'
import { createUnredactedKeeper } from '../../src/recorder/unredacted-keeper.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'
import { until } from '../support/until.ts'
import { at, pendingTask, recordTexts, taskEvent } from './scripted-session.ts'

const server = await redisOfFile()
let space: TestNamespace
let temp: TempLedger
beforeAll(async () => {
  space = await openNamespace(server.url)
  temp = createTempLedger()
})
afterAll(() => {
  temp.remove()
  space.close()
})

const HOUR_S = 3600
const NOW_S = (Date.now() - Date.parse(at(0))) / 1000
const redacted = { members: ['prompt'], digest: 'd' }
/** Events of a task that ended so many hours ago. */
const ended = (task_id: string, status: string, hoursAgo: number): string[] => [
  pendingTask(task_id, [], { redacted }),
  taskEvent('drover.task.ended', { task_id, status, error_message: null }, NOW_S - hoursAgo * HOUR_S),
]

test('they go when the task is completed, a day after it ended otherwise, and where another one was taken', async () => {
  const unredacted = createUnredactedStore(space.redis, space.keys)
  recordTexts(temp.ledger, [
    pendingTask('waits', [], { redacted }),
    ...ended('failed', 'failed', 23),
    ...ended('failed-long-ago', 'failed', 25),
    ...ended('completed', 'completed', 0),
  ])
  const kept = (taskId: string, digest = 'd') => ({ taskId, digest, prompt: `as given: ${taskId}` })
  const ids = ['waits', 'failed', 'failed-long-ago', 'completed', 'not-recorded-yet']
  await unredacted.keep([...ids.map((id) => kept(id)), kept('waits', 'another')])
  // One that nobody has recorded within a week.
  await space.redis.hset(space.keys.unredacted, 'never d', `${Date.now() - 8 * 24 * HOUR_S * 1000} x`)
  await unredacted.keep([{ ...kept('waits'), prompt: 'the first one stays' }])

  const keeper = createUnredactedKeeper({
    unredacted,
    ledger: temp.ledger,
    recorder: { recording: true },
    log: { warn: (_details: unknown, message?: string) => expect.unreachable(message) },
    passMs: 20,
  })
  keeper.start()
  try {
    await until(async () => (await unredacted.list()).length === 3)
  } finally {
    await keeper.stop()
  }
  expect((await unredacted.list()).map(({ taskId, digest }) => `${taskId} ${digest}`).toSorted()).toEqual([
    'failed d',
    'not-recorded-yet d',
    'waits d',
  ])
  expect(await unredacted.promptOf({ task_id: 'waits', redacted })).toBe('as given: waits')
  expect(await unredacted.promptOf({ task_id: 'completed', redacted })).toBeNull()
})
