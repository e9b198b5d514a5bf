import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  excuse,
  hear,
  look,
  newLiveness,
  stallReason,
  type Liveness,
  type LivenessSample,
} from '../../src/core/liveness.ts'
import { NO_FACTS, observe } from '../../src/core/stream-facts.ts'

const LIMITS = { stallTimeoutMs: 60_000, idleTimeoutMs: 1_800_000, toolTimeoutMs: 90_000 }
const LOOK_MS = 5000

/** One look every 5 s. */
function after(samples: readonly Partial<LivenessSample>[]): { liveness: Liveness; now: number } {
  let liveness = newLiveness(0)
  let now = 0
  let last: LivenessSample = { state: 'S', cpuMs: 0, spoolBytes: 0 }
  for (const sample of samples) {
    now += LOOK_MS
    last = { ...last, ...sample }
    liveness = look(liveness, last, now)
  }
  return { liveness, now }
}

const reason = (samples: readonly Partial<LivenessSample>[]): string | null => {
  const { liveness, now } = after(samples)
  return stallReason(liveness, LIMITS, now)
}
const times = (count: number, sample: Partial<LivenessSample>): Partial<LivenessSample>[] =>
  Array.from({ length: count }, () => sample)

describe('silence', () => {
  test('15 minutes without a line and without CPU are no stall', () => {
    expect(reason(times(180, {}))).toBeNull()
  })

  test('half an hour of it is one', () => {
    expect(reason(times(359, {}))).toBeNull()
    expect(reason(times(361, {}))).toMatch(/neither worked nor printed/)
  })

  test('output or work begins the time anew', () => {
    expect(reason([...times(300, {}), { spoolBytes: 10 }, ...times(100, {})])).toBeNull()
    expect(reason([...times(300, {}), { cpuMs: 100 }, ...times(100, {})])).toBeNull()
    expect(reason([...times(300, {}), { cpuMs: 90 }, ...times(100, {})])).toMatch(/neither/)
  })

  test('an event loop that wakes up now and then does not work, however long it goes on', () => {
    // 0.4 %, as the real CLI does while it waits for the API.
    expect(reason(Array.from({ length: 361 }, (_, n) => ({ cpuMs: 20 * n })))).toMatch(/neither/)
    // 4 %.
    expect(reason(Array.from({ length: 361 }, (_, n) => ({ cpuMs: 200 * n })))).toBeNull()
  })

  test('without /proc only output tells', () => {
    expect(reason(times(361, { state: '?', cpuMs: null }))).toMatch(/neither/)
    expect(reason([...times(300, { state: '?', cpuMs: null }), { spoolBytes: 5 }])).toBeNull()
  })
})

describe('a process that cannot move', () => {
  test.each(['T', 't', 'Z', 'X'])('in state %s is stalled after a minute, not before', (state) => {
    expect(reason(times(12, { state }))).toBeNull()
    expect(reason(times(13, { state }))).toMatch(/stopped for 60 s/)
  })

  test('is not stalled when it was stopped for 40 s and goes on', () => {
    expect(reason([...times(9, { state: 'T' }), { state: 'R' }, ...times(9, { state: 'T' })])).toBeNull()
  })
})

describe('a guard that says nothing', () => {
  test('is noticed after a minute, not before', () => {
    const { liveness, now } = after(times(3, {}))
    expect(stallReason(liveness, LIMITS, now + 59_999)).toBeNull()
    expect(stallReason(liveness, LIMITS, now + 60_000)).toMatch(/guard has said nothing of it for 60 s/)
  })

  test('from the start on', () => {
    expect(stallReason(newLiveness(0), LIMITS, 60_000)).toMatch(/guard/)
  })

  test('does not count while the worker itself did not run', () => {
    const { liveness, now } = after(times(3, {}))
    expect(stallReason(excuse(liveness, 70_000), LIMITS, now + 70_000)).toBeNull()
    expect(stallReason(excuse(liveness, 70_000), LIMITS, now + 130_000)).toMatch(/guard/)
  })
})

describe('an open tool call', () => {
  const call = (beats: number, id = 'a') => ({ id, name: 'Bash', beats })

  /** One look every 5 s; at its time (in seconds) the calls change and a line is printed. */
  function hearing(until: number, said: Readonly<Record<number, readonly ReturnType<typeof call>[]>>) {
    let liveness = newLiveness(0)
    let spoolBytes = 0
    for (let second = 5; second <= until; second += 5) {
      const calls = said[second]
      if (calls !== undefined) {
        liveness = hear(liveness, calls, second * 1000)
        spoolBytes += 100
      }
      liveness = look(liveness, { state: 'S', cpuMs: 0, spoolBytes }, second * 1000)
    }
    return { liveness, reason: stallReason(liveness, LIMITS, until * 1000) }
  }

  test('that prints its line every 30 s is never stalled', () => {
    const said = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [30 * (n + 1), [call(n + 1)]]))
    expect(hearing(6000, said).reason).toBeNull()
  })

  test('is stalled 90 s after its last line, not before', () => {
    const said = { 5: [call(0)], 30: [call(1)], 60: [call(2)] }
    expect(hearing(145, said).reason).toBeNull()
    expect(hearing(150, said).reason).toBe('its open tool call Bash (a) has given no sign for 90 s')
  })

  test('that never gave a sign is not judged: it may wait for another one', () => {
    expect(hearing(1500, { 5: [call(0)] }).reason).toBeNull()
  })

  test('that has its result is not judged', () => {
    expect(hearing(900, { 30: [call(1)], 60: [] }).reason).toBeNull()
  })

  test('is not stalled while anything else is printed, or lines are waiting to be read', () => {
    const said = { 30: [call(1), call(1, 'b')], 60: [call(1), call(2, 'b')], 90: [call(1), call(3, 'b')] }
    expect(hearing(150, said).reason).toBeNull()
    const { liveness } = hearing(900, said)
    expect(stallReason(liveness, LIMITS, 900_000)).toMatch(/\(a\)/)
    expect(stallReason(liveness, LIMITS, 900_000, true)).toBeNull()
  })

  test('as the lines of the CLI tell it', () => {
    const use = { type: 'assistant', message: { content: [{ type: 'tool_use', id: 'a', name: 'Bash' }] } }
    const progress = { type: 'tool_progress', tool_use_id: 'a-heartbeat-0', parent_tool_use_id: 'a' }
    const facts = [use, progress].reduce(observe, NO_FACTS)
    const liveness = hear(newLiveness(0), facts.openToolCalls, 30_000)
    expect(stallReason({ ...liveness, sampledAt: 120_000 }, LIMITS, 120_000)).toMatch(/open tool call Bash/)
  })
})

test('whatever happens: a stall is never early, and at most one look late', () => {
  const step = fc.record({
    ms: fc.integer({ min: 1, max: 20_000 }),
    kind: fc.constantFrom('sample', 'print', 'stop', 'work', 'nothing'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      let liveness = newLiveness(0)
      let now = 0
      let sample: LivenessSample = { state: 'S', cpuMs: 0, spoolBytes: 0 }
      let [sampledAt, movedAt] = [0, 0]
      let stoppedAt: number | null = null
      for (const { ms, kind } of steps) {
        now += ms
        if (kind !== 'nothing') {
          sample = {
            state: kind === 'stop' ? 'T' : 'S',
            cpuMs: (sample.cpuMs ?? 0) + (kind === 'work' ? now : 0),
            spoolBytes: sample.spoolBytes + (kind === 'print' ? 1 : 0),
          }
          const first = liveness.cpuMs === null
          liveness = look(liveness, sample, now)
          sampledAt = now
          stoppedAt = kind === 'stop' ? (stoppedAt ?? now) : null
          if (kind === 'print' || (kind === 'work' && !first && now >= 50)) movedAt = now
        }
        const expected =
          now - sampledAt >= 60_000 ||
          (stoppedAt !== null && now - stoppedAt >= 60_000) ||
          now - movedAt >= 1_800_000
        expect(stallReason(liveness, LIMITS, now) !== null).toBe(expected)
      }
    }),
    { numRuns: 500 },
  )
})
