import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { createLeases, type Leases } from '../../src/queue/lease.ts'
import { openNamespace, type TestNamespace } from '../support/namespace.ts'
import { seedRedis } from '../support/seed.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let space: TestNamespace
beforeEach(async () => {
  space = await openNamespace(server.url)
  await seedRedis(space.redis, space.keys)
})
afterEach(() => space.close())

const leasesOf = (holder: string, ttlMs = 60_000, onWait?: (error: Error) => void): Leases =>
  createLeases(
    space.redis,
    space.keys,
    { ttlMs, renewMs: ttlMs / 4, marginMs: ttlMs / 6 },
    holder,
    systemClock,
    onWait,
  )

test('one holder at a time; the next gets it when it is given back', async () => {
  const signal = new AbortController().signal
  const first = await leasesOf('a').acquire('architect', 1, signal)
  let second: unknown = 'waiting'
  const waiting = leasesOf('b').acquire('architect', 1, signal)
  void waiting.then((lease) => (second = lease))
  expect(first).not.toBeNull()
  expect(second).toBe('waiting')
  await first?.release()
  expect(await waiting).not.toBeNull()
})

test('a type with two slots has two holders, each with its own key', async () => {
  const signal = new AbortController().signal
  const one = await leasesOf('a').acquire('architect', 2, signal)
  const two = await leasesOf('b').acquire('architect', 2, signal)
  expect(one?.key).not.toBe(two?.key)
})

test('a holder that died loses it by time', async () => {
  await leasesOf('dead', 500).acquire('architect', 1, new AbortController().signal)
  const next = await leasesOf('b', 500).acquire('architect', 1, new AbortController().signal)
  expect(next).not.toBeNull()
})

test('releasing a lease that is another holder’s changes nothing', async () => {
  const signal = new AbortController().signal
  const first = await leasesOf('a').acquire('architect', 1, signal)
  await space.redis.set(first?.key ?? '', 'b:other')
  await first?.release()
  expect(await space.redis.get(first?.key ?? '')).toBe('b:other')
})

test('trust ends a margin before the lease, counted from before the attempt', async () => {
  const before = systemClock.monotonic()
  const lease = await leasesOf('a', 6000).acquire('architect', 1, new AbortController().signal)
  const trusted = lease?.trustedUntil ?? 0
  expect(trusted).toBeGreaterThanOrEqual(before + 5000)
  expect(trusted).toBeLessThanOrEqual(systemClock.monotonic() + 5000)
})

test('waiting ends with the signal', async () => {
  await leasesOf('a').acquire('architect', 1, new AbortController().signal)
  const stop = new AbortController()
  const waiting = leasesOf('b').acquire('architect', 1, stop.signal)
  stop.abort()
  expect(await waiting).toBeNull()
})

test('eight holders and three slots: three at a time, and each gets its turn', async () => {
  const signal = new AbortController().signal
  let holding = 0
  let most = 0
  const keysSeen = new Set<string>()
  const turn = async (holder: string): Promise<void> => {
    const leases = leasesOf(holder)
    for (let n = 0; n < 3; n++) {
      const lease = await leases.acquire('architect', 3, signal)
      if (lease === null) throw new Error('no lease')
      keysSeen.add(lease.key)
      holding += 1
      most = Math.max(most, holding)
      expect(await space.redis.get(lease.key)).toBe(lease.token)
      holding -= 1
      await lease.release()
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, index) => turn(`pod-${index}`)))
  expect(most).toBe(3)
  expect([...keysSeen].toSorted()).toEqual([0, 1, 2].map((slot) => space.keys.lease('architect', slot)))
})

test('a slot that a dead holder left is taken while the others are held', async () => {
  const signal = new AbortController().signal
  const [one] = await Promise.all([1, 2, 3].map((n) => leasesOf(`h${n}`).acquire('architect', 3, signal)))
  await space.redis.pexpire(one?.key ?? '', 1)
  const next = await leasesOf('next').acquire('architect', 3, signal)
  expect(next?.key).toBe(one?.key)
})

test.for([
  ['emptied', () => space.redis.flushall()],
  ['another life of it', () => space.redis.set(space.keys.seeded, 'the-run-id-of-before')],
] as const)('no lease from a Redis that was %s, until it is confirmed', async ([, lose]) => {
  const said: string[] = []
  await lose()
  const stop = new AbortController()
  let lease: unknown = null
  const waiting = leasesOf('a', 60_000, (error) => said.push(error.message)).acquire(
    'architect',
    1,
    stop.signal,
  )
  void waiting.then((given) => (lease = given))
  const noted = await until(() => space.redis.get(space.keys.quarantine))
  expect(noted).toMatch(/^\w{40} \d{13}$/)
  await until(() => said.length > 0)
  expect(said).toEqual([expect.stringContaining('Is a `drover board` running')])
  // Asked again it is the same quarantine.
  await leasesOf('b').acquire('architect', 1, AbortSignal.timeout(300))
  expect(await space.redis.get(space.keys.quarantine)).toBe(noted)
  expect(await space.redis.exists(space.keys.lease('architect', 0))).toBe(0)
  expect(lease).toBeNull()
  await seedRedis(space.redis, space.keys)
  expect(await waiting).not.toBeNull()
  expect(said).toHaveLength(1)
})
