import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createErrorLimiter, type ErrorLimiter } from '../../src/telemetry/error-limiter.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

interface Line {
  readonly level: string
  readonly kind: string
  readonly msg: string
  readonly suppressed?: number
  readonly [detail: string]: unknown
}

/** A limiter over a real logger, with a clock that the test turns. */
function setUp(intervalMs?: number): { limiter: ErrorLimiter; lines: Line[]; pass: (ms: number) => void } {
  const lines: Line[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  let now = 5
  const clock = { monotonic: () => now }
  const limiter = createErrorLimiter(createLogger({ level: 'info', name: 'test', destination }), {
    clock,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  })
  return { limiter, lines, pass: (ms) => void (now += ms) }
}

describe('createErrorLimiter', () => {
  test('75,000 errors within the interval are one line; the next one says how many were left out', () => {
    const { limiter, lines, pass } = setUp()
    for (let i = 0; i < 75_000; i++) {
      limiter.warn('redis', 'Redis is out of memory', { attempt: i })
      pass(0.06)
    }
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: 'warn',
      kind: 'redis',
      msg: 'Redis is out of memory',
      attempt: 0,
    })
    expect(lines[0]).not.toHaveProperty('suppressed')

    pass(10_000)
    limiter.warn('redis', 'Redis is out of memory')
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatchObject({ kind: 'redis', suppressed: 74_999 })
  })

  test('kinds do not hide one another', () => {
    const { limiter, lines } = setUp()
    limiter.warn('redis', 'a')
    limiter.warn('ledger', 'b')
    limiter.warn('redis', 'c')
    expect(lines.map(({ kind }) => kind)).toEqual(['redis', 'ledger'])
  })

  test('the interval ends exactly when it is over', () => {
    const { limiter, lines, pass } = setUp(1000)
    limiter.warn('k', 'a')
    pass(999)
    limiter.warn('k', 'b')
    expect(lines).toHaveLength(1)
    pass(1)
    limiter.warn('k', 'c')
    expect(lines.map(({ msg, suppressed }) => [msg, suppressed])).toEqual([
      ['a', undefined],
      ['c', 1],
    ])
  })

  test('flush says what is left, once', () => {
    const { limiter, lines } = setUp()
    limiter.flush()
    limiter.warn('k', 'first')
    limiter.flush()
    expect(lines).toHaveLength(1)
    limiter.warn('k', 'second')
    limiter.flush()
    limiter.flush()
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatchObject({ kind: 'k', suppressed: 1, msg: 'second (the last of those left out)' })
  })

  test('whatever happens: every warning is a line or counted, and no kind has two lines in an interval', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ passes: fc.integer({ min: 0, max: 400 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { limiter, lines, pass } = setUp(1000)
        let now = 0
        let warned = 0
        const last = new Map<string, number>()
        for (const next of steps) {
          if ('passes' in next) {
            now += next.passes
            pass(next.passes)
            continue
          }
          warned += 1
          const before = lines.length
          limiter.warn(next.kind, 'x')
          if (lines.length === before) continue
          if (now - (last.get(next.kind) ?? -1000) < 1000) throw new Error(`two lines of ${next.kind}`)
          last.set(next.kind, now)
        }
        const shown = lines.length
        limiter.flush()
        const suppressed = lines.reduce((sum, line) => sum + (line.suppressed ?? 0), 0)
        expect(shown + suppressed).toBe(warned)
      }),
    )
  })
})
