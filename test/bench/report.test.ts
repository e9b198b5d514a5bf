import { describe, expect, it } from 'vitest'
import { format, formatMarkdown, isMet, summarize, type Result } from '../../bench/report.ts'

const result = (median: number, goal: Result['goal']): Result => ({
  bench: 'session',
  title: 'a session against the CLI alone',
  unit: 'ms',
  measured: { median, p10: 1, p90: 9, p99: 99, min: 0.5, max: 150, n: 24 },
  goal,
  details: [{ label: 'claude -p', value: 561.4, unit: 'ms' }],
})

describe('summarize', () => {
  it('takes the middle of an odd number of values, whatever their order', () => {
    expect(summarize([9, 1, 5])).toEqual({ median: 5, p10: 1.8, p90: 8.2, p99: 8.92, min: 1, max: 9, n: 3 })
  })

  it('lies between the two in the middle of an even number', () => {
    expect(summarize([4, 1, 2, 3]).median).toBe(2.5)
  })

  it('is the value itself where there is one', () => {
    expect(summarize([7])).toEqual({ median: 7, p10: 7, p90: 7, p99: 7, min: 7, max: 7, n: 1 })
  })

  it('refuses to say something of nothing', () => {
    expect(() => summarize([])).toThrow('measured nothing')
  })
})

describe('isMet', () => {
  it('compares the median with the goal, the border included', () => {
    expect(isMet(result(100, { op: '<=', value: 100 }))).toBe(true)
    expect(isMet(result(100.1, { op: '<=', value: 100 }))).toBe(false)
    expect(isMet(result(0.7, { op: '>=', value: 0.7 }))).toBe(true)
    expect(isMet(result(0.69, { op: '>=', value: 0.7 }))).toBe(false)
  })

  it('compares the worst value where the goal is always to be met', () => {
    expect(isMet(result(100, { op: '<=', value: 149, always: true }))).toBe(false)
    expect(isMet(result(100, { op: '<=', value: 150, always: true }))).toBe(true)
    expect(isMet(result(100, { op: '>=', value: 0.6, always: true }))).toBe(false)
    expect(isMet(result(100, { op: '>=', value: 0.5, always: true }))).toBe(true)
  })

  it('compares the 99th percentile where the goal says so', () => {
    expect(isMet(result(120, { op: '<=', value: 99, p99: true }))).toBe(true)
    expect(isMet(result(1, { op: '<=', value: 98, p99: true }))).toBe(false)
    expect(format(result(1, { op: '<=', value: 98, p99: true }))).toContain(
      'p99 99.0, least 0.5, most 150.0, n 24) · goal p99 <= 98 ms: MISSED',
    )
  })

  it('has no answer without a goal', () => {
    expect(isMet(result(1, null))).toBeNull()
  })
})

describe('format', () => {
  it('shows median, spread, number, goal and verdict', () => {
    expect(format(result(120, { op: '<=', value: 100 }))).toBe(
      [
        'session: a session against the CLI alone',
        '  120.0 ms (p10 1.0, p90 9.0, least 0.5, most 150.0, n 24) · goal <= 100 ms: MISSED',
        '  claude -p 561 ms',
      ].join('\n'),
    )
  })
})

describe('formatMarkdown', () => {
  it('is a table, with what stands beside it below', () => {
    const { details: _none, ...plain } = result(2, { op: '>=', value: 0.7 })
    const others = [
      { ...plain, details: [] },
      { ...result(1, { op: '<=', value: 98, p99: true }), details: [] },
      { ...result(3, null), measured: summarize([3]), details: [] },
    ]
    expect(formatMarkdown([result(120, { op: '<=', value: 100 }), ...others])).toBe(
      [
        '| name | what | median | p10 … p90 | worst | n | goal | |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
        '| `session` | a session against the CLI alone | 120.0 ms | 1.0 … 9.0 | 150.0 | 24 | ≤ 100 ms | **missed** |',
        '| `session` | a session against the CLI alone | 2.0 ms | 1.0 … 9.0 | 0.5 | 24 | ≥ 0.7 ms | met |',
        '| `session` | a session against the CLI alone | 1.0 ms | 1.0 … 9.0 | p99 99.0 | 24 | p99 ≤ 98 ms | **missed** |',
        '| `session` | a session against the CLI alone | 3.0 ms |  |  | 1 | – |  |',
        '',
        'Beside them:',
        '',
        '- `session`, a session against the CLI alone: claude -p 561 ms.',
      ].join('\n'),
    )
  })
})
