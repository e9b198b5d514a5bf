import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Retry } from '../../src/core/outcome.ts'
import { MOST_FREE_STEPS, nextStep, type NextStep, type RestartInput } from '../../src/core/restart-policy.ts'

const now = new Date('2025-10-26T10:30:00.000Z')
const plain: RestartInput = {
  outcome: { retry: 'again' },
  restarts: 0,
  maxRestarts: 3,
  autoRestart: true,
  backoffMs: 2000,
  freeSteps: 0,
  now,
  random: 0,
}
const step = (retry: Retry, rest: Partial<RestartInput> = {}): NextStep =>
  nextStep({ ...plain, ...rest, outcome: { retry } })

test('what would happen again is the end', () => {
  expect(step('never')).toEqual({ kind: 'end' })
})

test('a crash is tried again after 2, 4 and 8 s, then it is the end', () => {
  expect([0, 1, 2, 3, 4].map((restarts) => step('again', { restarts }))).toEqual([
    { kind: 'again', restarts: 1, backoffMs: 2000 },
    { kind: 'again', restarts: 2, backoffMs: 4000 },
    { kind: 'again', restarts: 3, backoffMs: 8000 },
    { kind: 'end' },
    { kind: 'end' },
  ])
})

test('the jitter is at most a tenth, and only ever later', () => {
  expect(step('again', { random: 0.5 })).toMatchObject({ backoffMs: 2100 })
  expect(step('again', { random: 0.999999 })).toMatchObject({ backoffMs: 2200 })
})

test('without automatic restarts a crash is the end, and a limit is not waited for', () => {
  expect(step('again', { autoRestart: false })).toEqual({ kind: 'end' })
  expect(step({ pauseUntil: null }, { autoRestart: false })).toEqual({ kind: 'end' })
})

test.each(['fresh', 'resume', 'hand_over', 'no_room'] as const)(
  '%s costs no try, also where none is left',
  (retry) => {
    const free =
      retry === 'hand_over' || retry === 'no_room' ? { kind: 'hand_over' } : { restarts: 3, backoffMs: 0 }
    expect(step(retry, { restarts: 3, autoRestart: false })).toMatchObject(free)
  },
)

test('fresh begins anew, resume goes on', () => {
  expect(step('fresh')).toEqual({ kind: 'fresh', restarts: 0, backoffMs: 0 })
  expect(step('resume')).toEqual({ kind: 'again', restarts: 0, backoffMs: 0 })
})

test.each([
  ['fresh', 'fresh'],
  ['resume', 'again'],
  ['hand_over', 'again'],
] as const)('%s costs a try once too many were free', (retry, kind) => {
  expect(step(retry, { freeSteps: MOST_FREE_STEPS - 1 })).not.toMatchObject({ restarts: 1 })
  expect(step(retry, { freeSteps: MOST_FREE_STEPS })).toEqual({ kind, restarts: 1, backoffMs: 2000 })
  expect(step(retry, { freeSteps: MOST_FREE_STEPS, restarts: 3 })).toEqual({ kind: 'end' })
})

describe('a usage limit is waited for', () => {
  const paused = (pauseUntil: string | null) =>
    step({ pauseUntil: pauseUntil === null ? null : new Date(pauseUntil) }, { restarts: 3 })

  test.each([
    ['until it resets', '2025-10-26T12:00:00.000Z', '2025-10-26T12:00:00.000Z'],
    ['15 minutes where that is not said', null, '2025-10-26T10:45:00.000Z'],
    ['a minute where it has reset already', '2025-10-26T10:29:59.000Z', '2025-10-26T10:31:00.000Z'],
    ['8 days at most', '2999-01-01T00:00:00.000Z', '2025-11-03T10:30:00.000Z'],
  ])('%s', (_, asked, until) => {
    const waitMs = Date.parse(until) - now.getTime()
    expect(paused(asked)).toEqual({ kind: 'pause', until: new Date(until), waitMs })
  })
})

describe('over any course of events', () => {
  const retry: fc.Arbitrary<Retry> = fc.oneof(
    fc.constantFrom<Retry>('never', 'again', 'fresh', 'resume', 'hand_over'),
    fc.option(fc.date({ noInvalidDate: true }), { nil: null }).map((pauseUntil) => ({ pauseUntil })),
  )
  const course = fc.record({
    retries: fc.array(retry, { minLength: 1, maxLength: 100 }),
    maxRestarts: fc.nat(10),
    autoRestart: fc.boolean(),
    backoffMs: fc.integer({ min: 1, max: 10_000 }),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })

  /** A session that meets these ends, one after the other, as the worker counts. */
  function walk({ retries, ...rest }: typeof course extends fc.Arbitrary<infer T> ? T : never): NextStep[] {
    const steps: NextStep[] = []
    let restarts = 0
    let freeSteps = 0
    for (const retry of retries) {
      const next = nextStep({ ...plain, ...rest, outcome: { retry }, restarts, freeSteps })
      steps.push(next)
      if (next.kind === 'end') break
      if ('restarts' in next && next.restarts > restarts) restarts = next.restarts
      else if (next.kind !== 'pause') freeSteps++
    }
    return steps
  }

  test('restarts stay within their limit, one at a time, and back-offs grow', () => {
    fc.assert(
      fc.property(course, (events) => {
        const paid = walk(events).flatMap((next) => ('restarts' in next && next.backoffMs > 0 ? [next] : []))
        expect(paid.map((next) => next.restarts)).toEqual(paid.map((_, index) => index + 1))
        expect(paid.length).toBeLessThanOrEqual(events.autoRestart ? events.maxRestarts : 0)
        for (const [index, { backoffMs }] of paid.entries()) {
          const exact = Math.min(events.backoffMs * 2 ** index, 3_600_000)
          expect(backoffMs).toBeGreaterThanOrEqual(exact)
          expect(backoffMs).toBeLessThanOrEqual(Math.ceil(exact * 1.1))
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('a session ends after a bounded number of steps that are no pauses', () => {
    fc.assert(
      fc.property(course, (events) => {
        const moves = walk(events).filter(({ kind }) => kind !== 'pause')
        expect(moves.length).toBeLessThanOrEqual(MOST_FREE_STEPS + events.maxRestarts + 1)
      }),
      { numRuns: 1000 },
    )
  })

  test('no wait is negative, endless or no number', () => {
    fc.assert(
      fc.property(course, (events) => {
        const waits = walk(events).map((next) => {
          if (next.kind === 'pause')
            return { waitMs: next.waitMs, shownMs: next.until.getTime() - now.getTime() }
          const waitMs = 'backoffMs' in next ? next.backoffMs : 0
          return { waitMs, shownMs: waitMs }
        })
        for (const { waitMs, shownMs } of waits) {
          expect(waitMs).toBeGreaterThanOrEqual(0)
          expect(waitMs).toBeLessThanOrEqual(8 * 24 * 3_600_000)
          expect(shownMs).toBe(waitMs)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
