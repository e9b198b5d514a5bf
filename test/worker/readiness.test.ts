import { expect, test } from 'vitest'
import { readinessOf, type ReadinessInput } from '../../src/worker/readiness.ts'

const READY: ReadinessInput = {
  started: true,
  draining: false,
  redisProblem: null,
  guardAlive: true,
  running: 0,
  maxSessions: 2,
  shortage: null,
}

test('a pod that claims says nothing more', () => {
  expect(readinessOf(READY)).toEqual({ state: 'ready', why: null })
  expect(readinessOf({ ...READY, running: 7, maxSessions: Number.POSITIVE_INFINITY }).state).toBe('ready')
})

test.each<[Partial<ReadinessInput>, string, RegExp]>([
  [{ draining: true, started: false, guardAlive: false }, 'draining', /told to stop/],
  [{ started: false, redisProblem: 'away' }, 'starting', /starting/],
  [{ redisProblem: 'Redis is away.', guardAlive: false }, 'waiting_redis', /^Redis is away\.$/],
  [{ guardAlive: false, running: 2 }, 'no_guard', /guard died/],
  [{ shortage: '120 MB of memory free, 500 are needed', running: 2 }, 'no_room', /120 MB/],
  [{ running: 2 }, 'no_room', /^2 of 2 sessions run\.$/],
])('%o is %s', (input, state, why) => {
  const readiness = readinessOf({ ...READY, ...input })
  expect(readiness.state).toBe(state)
  expect(readiness.why).toMatch(why)
})
