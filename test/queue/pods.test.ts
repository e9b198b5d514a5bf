import { afterEach, beforeEach, expect, test } from 'vitest'
import { createPodDirectory, type PodDirectory } from '../../src/queue/pods.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
let pods: PodDirectory

beforeEach(async () => {
  space = await openNamespace(server.url)
  pods = createPodDirectory(space.redis, space.keys)
})
afterEach(() => space.close())

const FIELDS = {
  state: 'ready',
  why: '',
  host: 'h',
  pid: 12,
  version: '1.0.0',
  types: 'architect,code_developer',
  tier: 'pid_namespace',
  max_sessions: 2,
  running: 1,
  started_at: '2026-01-01T00:00:00.000Z',
}

test('a pod is listed as it says, with the time of its beat', async () => {
  const before = Date.now()
  await pods.write('pod-1', 'i1', FIELDS, 60_000)
  const [row, ...more] = await pods.list()
  expect(more).toEqual([])
  expect(row).toMatchObject({
    pod_id: 'pod-1',
    state: 'ready',
    why: null,
    host: 'h',
    pid: 12,
    version: '1.0.0',
    agent_types: ['architect', 'code_developer'],
    tier: 'pid_namespace',
    max_sessions: 2,
    running: 1,
    started_at: '2026-01-01T00:00:00.000Z',
  })
  expect(Date.parse(row?.beat_at ?? '')).toBeGreaterThanOrEqual(before - 1000)
  await pods.write('pod-1', 'i1', { state: 'no_room', why: 'Full.', tier: '', max_sessions: '' }, 60_000)
  expect(await pods.list()).toMatchObject([
    { state: 'no_room', why: 'Full.', tier: null, max_sessions: null, pid: 12 },
  ])
})

test('a pod that is no longer written goes by itself, and its id is swept', async () => {
  await pods.write('pod-1', 'i1', FIELDS, 50)
  await pods.write('pod-2', 'i2', FIELDS, 50)
  await until(async () => (await pods.list()).length === 0)
  await until(async () => {
    await pods.write('pod-2', 'i2', FIELDS, 50)
    return (await space.redis.zrange(space.keys.pods, '0', '-1')).join() === 'pod-2'
  })
  expect(await pods.list()).toMatchObject([{ pod_id: 'pod-2' }])
})

test('a stop takes out its own process only', async () => {
  await pods.write('pod-1', 'old', { ...FIELDS, resent: 'x' }, 60_000)
  await pods.write('pod-1', 'new', FIELDS, 60_000)
  expect(await space.redis.hget(space.keys.pod('pod-1'), 'resent')).toBeNull()
  await pods.remove('pod-1', 'old')
  expect(await pods.list()).toHaveLength(1)
  await pods.remove('pod-1', 'new')
  expect(await pods.list()).toEqual([])
  expect(await space.redis.exists(space.keys.pods)).toBe(0)
})
