/** What a pod notices of its agents, and what it says of itself. */
import { createServer, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPodDirectory } from '../../src/queue/pods.ts'
import type { Pod } from '../../src/worker/pod.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let house: PodHouse
beforeEach(async () => {
  house = await openHouse({ redisUrl: server.url })
})
afterEach(() => house.close())

const TOOL_USE = {
  type: 'assistant',
  message: { id: 'm', content: [{ type: 'tool_use', id: 'call-1', name: 'Bash', input: {} }] },
}
const PROGRESS = { type: 'tool_progress', tool_use_id: 'call-1-heartbeat-0', parent_tool_use_id: 'call-1' }
const lines = (...messages: object[]): string[] => messages.map((message) => JSON.stringify(message))

async function freePort(): Promise<number> {
  const probe: Server = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe('an agent', () => {
  test('with a tool call that fell silent is stalled; one whose call never gave a sign is not', async () => {
    await house.startPod({ DROVER_TOOL_TIMEOUT_MS: '600', DROVER_MAX_RESTARTS: '0' })
    const silent = await house.spawn({ raw_lines: lines(TOOL_USE, PROGRESS), silence_ms: 60_000 })
    const waiting = await house.spawn(
      { raw_lines: lines(TOOL_USE), silence_ms: 3000 },
      { agentType: 'code_developer' },
    )
    const events = await house.events(silent)
    const health = events.find((event) => event.type === 'drover.agent.health')?.payload
    expect(health).toMatchObject({ health_status: 'stalled', memory_mb: expect.any(Number) as number })
    expect(events.find((event) => event.type === 'drover.agent.stalled')?.payload).toEqual({
      reason: expect.stringMatching(
        /^its open tool call Bash \(call-1\) has given no sign for [1-9]\d* s$/,
      ) as string,
    })
    expect(await house.producer.result(silent)).toMatchObject({ failureReason: 'stalled' })
    expect((await house.events(waiting)).map(({ type }) => type)).not.toContain('drover.agent.stalled')
    expect(await house.producer.result(waiting)).toMatchObject({ success: true })
  })

  test('that was stopped and goes on in time is not stalled, and its beat says what it does', async () => {
    await house.startPod({ DROVER_STALL_TIMEOUT_MS: '4000' })
    const sessionId = await house.spawn({ stop_self: true })
    const field = (name: string) => house.redis.hget(house.keys.session(sessionId), name)
    await until(async () => (await field('process_state')) === 'T')
    expect(await field('health')).toBe('healthy')
    expect(Number(await field('memory_mb'))).toBeGreaterThan(1)
    expect(Number(await field('cpu_percent'))).toBeGreaterThanOrEqual(0)
    expect(Number(await field('beat_at'))).toBeGreaterThan(Date.now() - 5000)
    process.kill(Number(await field('pid')), 'SIGCONT')
    const types = (await house.events(sessionId)).map(({ type }) => type)
    expect(types).not.toContain('drover.agent.stalled')
    expect(types).not.toContain('drover.agent.health')
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, restarts: 0 })
  })
})

test('a pause for a usage limit does not count against the timeout', async () => {
  await house.startPod()
  const rejected = { status: 'rejected', resetsAt: Math.round(Date.now() / 1000) + 3600 }
  const sessionId = await house.spawn(
    {
      raw_lines: lines(
        { type: 'rate_limit_event', rate_limit_info: rejected },
        { type: 'assistant', message: { id: 'm', content: [] }, error: 'rate_limit' },
      ),
      result: 'error',
      api_error_status: 429,
    },
    { timeoutSeconds: 3 },
  )
  const field = (name: string) => house.redis.hget(house.keys.session(sessionId), name)
  await until(async () => (await field('state')) === 'paused_limit')
  expect(Number(await field('paused_ms'))).toBeGreaterThan(3_590_000)
  const timeoutPassed = performance.now() + 3500
  await until(() => performance.now() > timeoutPassed)
  expect(await field('state')).toBe('paused_limit')
})

describe('a pod', () => {
  const listed = () => createPodDirectory(house.redis, house.keys).list()

  test('is in the registry while it is there, and says when it has no room', async () => {
    const pod = await house.startPod({ DROVER_MAX_SESSIONS: '1' })
    await until(async () => (await listed())[0]?.state === 'ready')
    expect(await listed()).toMatchObject([
      { pod_id: 'pod-1', pid: process.pid, running: 0, max_sessions: 1, why: null },
    ])
    expect((await listed())[0]?.agent_types).toContain('architect')
    expect((await listed())[0]?.tier).toBeTruthy()
    await house.spawn({ silence_ms: 60_000 })
    await until(async () => (await listed())[0]?.state === 'no_room')
    expect((await listed())[0]).toMatchObject({ running: 1, why: '1 of 1 sessions run.' })
    await pod.stop(0)
    expect(await listed()).toEqual([])
  })

  test('answers /healthz while it lives and /readyz while it claims', async () => {
    const port = await freePort()
    const ask = async (path: string): Promise<[number, Record<string, unknown>]> => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`)
      return [answer.status, (await answer.json()) as Record<string, unknown>]
    }
    const pod: Pod = await house.startPod({ DROVER_HEALTH_PORT: String(port) })
    expect(await ask('/healthz')).toMatchObject([200, { service: 'drover', role: 'worker', pod_id: 'pod-1' }])
    expect(await ask('/readyz')).toMatchObject([200, { status: 'ok', state: 'ready' }])
    expect(await ask('/')).toMatchObject([404, {}])

    const sessionId = await house.spawn({ silence_ms: 60_000 })
    await until(() => house.redis.hget(house.keys.session(sessionId), 'pid'))
    const stopped = pod.stop(3000)
    expect(await ask('/readyz')).toMatchObject([503, { status: 'unavailable', state: 'draining' }])
    expect((await ask('/healthz'))[0]).toBe(200)
    void pod.stop(0)
    await stopped
    await expect(ask('/healthz')).rejects.toThrow(/fetch failed/)
  })

  test('is not ready while Redis is frozen or away', async () => {
    const own = await startRedis()
    const other = await openHouse({ redisUrl: own.url })
    other.redis.on('error', () => {})
    try {
      const port = await freePort()
      await other.startPod({ DROVER_HEALTH_PORT: String(port) })
      const state = async (): Promise<unknown> => {
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
        const { state: said } = (await answer.json()) as { state: string }
        return `${answer.status} ${said}`
      }
      expect(await state()).toBe('200 ready')
      // Frozen: nothing is refused, nothing is answered.
      process.kill(own.pid, 'SIGSTOP')
      await until(async () => (await state()) === '503 waiting_redis')
      process.kill(own.pid, 'SIGCONT')
      await until(async () => (await state()) === '200 ready')
      await own.stop()
      await until(async () => (await state()) === '503 waiting_redis')
    } finally {
      await other.close()
    }
  })

  test('says so when its health port is taken', async () => {
    const port = await freePort()
    const holder = createServer().listen(port, '127.0.0.1')
    try {
      await expect(house.startPod({ DROVER_HEALTH_PORT: String(port) })).rejects.toMatchObject({
        code: 'port_in_use',
        message: expect.stringContaining('DROVER_HEALTH_PORT') as string,
      })
    } finally {
      await new Promise((resolve) => holder.close(resolve))
    }
  })
})
