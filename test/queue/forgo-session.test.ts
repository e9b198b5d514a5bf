/** Of a session and its giving up there is always one and never both. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAcceptor, type Acceptor } from '../../src/producer/accept.ts'
import { createTasks, type ReadyTask, type Tasks } from '../../src/producer/tasks.ts'
import { createWaits } from '../../src/producer/waits.ts'
import { createWaitStore } from '../../src/queue/waits.ts'
import { sessionIdOfTask } from '../../src/core/ids.ts'
import { createAgentTypeRegistry } from '../../src/queue/agent-types.ts'
import { createQueues, type Queues } from '../../src/queue/jobs.ts'
import { createPodDirectory } from '../../src/queue/pods.ts'
import { createRedactor } from '../../src/core/redact.ts'
import { createUnredactedStore } from '../../src/queue/unredacted.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let queues: Queues
let acceptor: Acceptor
let tasks: Tasks
beforeEach(async () => {
  space = await openNamespace(server.url)
  const { redis, keys, store } = space
  const types = createAgentTypeRegistry(redis, keys)
  queues = createQueues(redis, keys, () => {})
  const recorded = {
    unredacted: createUnredactedStore(redis, keys),
    redactor: createRedactor({ secrets: [] }),
  }
  acceptor = createAcceptor({
    store,
    queues,
    types,
    pods: createPodDirectory(redis, keys),
    waits: createWaits({ store: createWaitStore(redis, keys, () => {}), types, onError: () => {} }),
    lineage: { maxDepth: 3, maxChildren: 10 },
    keys,
    ...recorded,
    onError: () => {},
  })
  tasks = createTasks({ redis, keys, acceptor, queues, ...recorded })
})
afterEach(async () => {
  await queues.close()
  space.close()
})

const taskOf = (task_id: string, run = 0): ReadyTask => ({
  task_id,
  agent_type: 'architect',
  prompt: 'Design it',
  priority: 5,
  workspace_dir: '/tmp',
  worktree: null,
  run,
  template: null,
  vars: null,
  redacted: null,
  created_by: null,
})
const ended = (task: ReadyTask) =>
  ({
    task_id: task.task_id,
    status: 'cancelled',
    error_message: 'No.',
    run: task.run,
    actor: { via: 'cli', name: null },
  }) as const
const types = async (): Promise<string[]> => (await space.events()).map(({ type }) => type)

test('a run that is given up begins for nobody; the next one does', async () => {
  const task = taskOf('A')
  expect(await tasks.forgo(task, ended(task))).toMatch(/^\d+-\d+$/)
  await expect(tasks.spawn(task)).rejects.toMatchObject({ code: 'task_not_ready' })
  expect(await types()).toEqual(['drover.task.ended'])
  expect(await queues.of('architect').getJobCounts('prioritized')).toEqual({ prioritized: 0 })
  // Another one gives it up too: it is done.
  expect(await tasks.forgo(task, ended(task))).toBe(null)

  await tasks.spawn(taskOf('A', 1))
  expect((await types()).slice(1)).toEqual(['drover.session.accepted', 'drover.task.spawned'])
})

test('a run that has a session is not given up', async () => {
  const task = taskOf('B')
  await tasks.spawn(task)
  expect(await tasks.forgo(task, ended(task))).toBe(null)
  expect(await types()).not.toContain('drover.task.ended')
})

test('of many that ask for it and give it up at once, one side wins', async () => {
  for (let round = 0; round < 20; round++) {
    const task = taskOf(`R-${round}`)
    const calls = Array.from({ length: 6 }, (_, index) =>
      (index + round) % 2 === 0
        ? tasks.forgo(task, ended(task)).then((id) => id !== null)
        : tasks.spawn(task).then(
            () => true,
            () => false,
          ),
    )
    const results = await Promise.all(calls)
    const forgone = results.filter((won, index) => won && (index + round) % 2 === 0).length
    const spawned = results.filter((won, index) => won && (index + round) % 2 === 1).length
    const id = sessionIdOfTask(space.keys.namespace, task.task_id, 0)
    const isThere = (await space.store.read(id)) !== null
    expect({ forgone, spawned }).toEqual(isThere ? { forgone: 0, spawned: 3 } : { forgone: 1, spawned: 0 })
  }
})

test('while Redis does not have back what it lost, nothing is given up', async () => {
  await space.redis.del(space.keys.seeded)
  const task = taskOf('C')
  await expect(tasks.forgo(task, ended(task))).rejects.toMatchObject({ code: 'redis_unavailable' })
  expect(await types()).toEqual([])
})
