import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AgentSpec } from '../../src/config/agent-spec.ts'
import { readWitness } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { specOf } from '../support/spec.ts'
import { until } from '../support/until.ts'
import type { Pod } from '../../src/worker/pod.ts'

let server: TestRedis
let house: PodHouse
let pod: Pod
let firstSession: string
beforeAll(async () => {
  server = await startRedis()
  house = await openHouse({ redisUrl: server.url })
  pod = await house.startPod()
})
afterAll(async () => {
  await house.close()
  await server.stop()
})

const PASS = { PASS: ['DROVER_WITNESS_DIR'] }
function types(...specs: readonly Readonly<Record<string, unknown>>[]): ReadonlyMap<string, AgentSpec> {
  return new Map(
    specs.map(({ name, ...members }) => [
      String(name),
      { ...specOf({ env: PASS, ...members }), name: String(name) },
    ]),
  )
}
const starts = (sessionId: string): ReturnType<typeof readWitness> =>
  readWitness(house.witness).filter((record) => record.kind === 'start' && record.session_id === sessionId)
const runs = (sessionId: string): Promise<unknown> =>
  until(() => starts(sessionId).length === 1, { message: 'its agent runs' })
const announced = async (): Promise<string[]> => (await house.redis.hkeys(house.keys.agentTypes)).toSorted()

test('types change while the pod runs: the next session has the new spec, the running one its own', async () => {
  const first = await house.spawn({ silence_ms: 60_000 })
  firstSession = first
  await runs(first)
  await pod.serve(types({ name: 'architect', model: 'haiku', max_instances: 2 }, { name: 'tester' }))

  const second = await house.spawn({})
  expect(await house.producer.result(second)).toMatchObject({ success: true })
  const third = await house.spawn({}, { agentType: 'tester' })
  expect(await house.producer.result(third)).toMatchObject({ success: true })
  expect(starts(first)[0]?.argv).toContain('--model=opus')
  expect(starts(second)[0]?.argv).toContain('--model=haiku')
  expect(await announced()).toEqual(['architect', 'tester'])
})

test('a type that is gone is announced no more; what was accepted is still run, and then it is not served', async () => {
  const running = await house.spawn({ silence_ms: 60_000 }, { agentType: 'tester' })
  const waiting = await house.spawn({}, { agentType: 'tester' })
  await runs(running)
  await pod.serve(types({ name: 'architect' }))
  expect(await announced()).toEqual(['architect'])
  await house.producer.kill(running)
  expect(await house.producer.result(waiting)).toMatchObject({ success: true })
  await until(async () => (await house.redis.hget(house.keys.pod('pod-1'), 'types')) === 'architect', {
    message: 'the pod serves it no more',
  })
})

test('a job that BullMQ gives out a second time, while its agent runs, keeps no slot from other sessions', async () => {
  await house.producer.kill(firstSession)
  await pod.serve(types({ name: 'architect', max_instances: 2 }, { name: 'tester' }))
  const running = await house.spawn({ silence_ms: 60_000 }, { priority: 1 })
  await runs(running)
  // As its look for lost jobs does, after a pod was cut off for a while.
  const queue = `${house.keys.queuePrefix}:architect`
  await house.redis.lrem(`${queue}:active`, 1, running)
  await house.redis.rpush(`${queue}:wait`, running)
  await house.redis.zadd(`${queue}:marker`, 0, '0')
  await until(async () => (await house.redis.llen(`${queue}:wait`)) === 0, { message: 'it is taken again' })
  // Nor where they are of less priority.
  const next = await house.spawn({}, { priority: 2000 })
  const { success } = await house.producer.result(next)
  expect(success).toBe(true)
  expect(starts(running)).toHaveLength(1)
  await house.producer.kill(running)
  expect(await house.producer.result(running)).toMatchObject({ status: 'cancelled' })
  // Its job is looked at again, and is over.
  await until(async () => (await house.redis.zscore(`${queue}:completed`, running)) !== null)
})
