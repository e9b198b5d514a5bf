import { afterEach, expect, test } from 'vitest'
import type { AgentHealth } from '../../src/core/events.ts'
import { systemClock } from '../../src/core/clock.ts'
import { NO_FACTS, observe } from '../../src/core/stream-facts.ts'
import type { AgentSample } from '../../src/guard/client.ts'
import { watchAgent, type AgentWatch } from '../../src/worker/agent-watch.ts'
import { until } from '../support/until.ts'

const LIMITS = { stallTimeoutMs: 300, idleTimeoutMs: 60_000, toolTimeoutMs: 200 }
const SAMPLE: AgentSample = {
  agentId: 'a',
  state: 'S',
  cpuMs: 100,
  memoryMb: 200.04,
  spoolBytes: 10,
  processes: 1,
}

interface Stall {
  readonly afterMs: number
  readonly reason: string
  readonly health: AgentHealth
}

let watch: AgentWatch | undefined
afterEach(() => watch?.stop())

/** A watched agent whose samples the test gives, with a clock that may jump. */
function begin(isBehind = () => false, isWaiting = () => false) {
  const stalls: Stall[] = []
  let ahead = 0
  let listener: (sample: AgentSample) => void = () => {}
  const monotonic = () => systemClock.monotonic() + ahead
  const bornAt = monotonic()
  watch = watchAgent(
    { onSample: (given) => void (listener = given) },
    {
      limits: LIMITS,
      clock: { monotonic },
      isBehind,
      isWaiting,
      onStalled: (reason, health) => stalls.push({ afterMs: monotonic() - bornAt, reason, health }),
    },
  )
  return {
    watch,
    stalls,
    sample: (members: Partial<AgentSample> = {}) => listener({ ...SAMPLE, ...members }),
    jump: (ms: number) => void (ahead += ms),
  }
}

test('a guard that says nothing is noticed in time, once', async () => {
  const { stalls } = begin()
  await until(() => stalls.length > 0)
  expect(stalls[0]?.afterMs).toBeGreaterThanOrEqual(300)
  expect(stalls[0]?.reason).toMatch(/guard has said nothing/)
  expect(stalls[0]?.health).toEqual({ health_status: 'stalled', cpu_percent: null, memory_mb: null })
  const more = begin()
  await until(() => more.stalls.length > 0)
  expect(stalls).toHaveLength(1)
})

test('time in which the worker did not run is not held against the agent', async () => {
  const { stalls, jump } = begin()
  jump(70_000)
  const before = systemClock.monotonic()
  await until(() => stalls.length > 0)
  expect(systemClock.monotonic() - before).toBeGreaterThanOrEqual(290)
})

test('a tool call that fell silent, but not while its lines wait to be taken', async () => {
  let behind = true
  const { watch: watched, stalls, sample } = begin(() => behind)
  const use = { type: 'assistant', message: { content: [{ type: 'tool_use', id: 'a', name: 'Bash' }] } }
  const progress = { type: 'tool_progress', parent_tool_use_id: 'a' }
  watched.hear([use, progress].reduce(observe, NO_FACTS))
  const started = systemClock.monotonic()
  await until(() => {
    sample()
    return systemClock.monotonic() - started > 400
  })
  expect(stalls).toEqual([])
  behind = false
  await until(() => {
    sample()
    return stalls.length > 0
  })
  expect(stalls[0]?.reason).toMatch(/open tool call Bash/)
})

test('the beat says what was seen', async () => {
  const { watch: watched, sample } = begin()
  expect(watched.beat()).toEqual({ health: 'healthy' })
  const first = systemClock.monotonic()
  sample()
  expect(watched.beat()).toEqual({ health: 'healthy', process_state: 'S', memory_mb: 200 })
  const at = systemClock.monotonic()
  await until(() => systemClock.monotonic() - at > 100)
  sample({ cpuMs: 150, state: 'R' })
  const beat = watched.beat()
  expect(beat).toMatchObject({ process_state: 'R' })
  // 50 ms in a little more than 100: in what a slow machine took, but for the rounding.
  expect(beat['cpu_percent']).toBeGreaterThan((100 * 50) / (systemClock.monotonic() - first) - 1)
  expect(beat['cpu_percent']).toBeLessThanOrEqual(50)
  // Children that ended take their time with them.
  sample({ cpuMs: 10 })
  expect(watched.beat()['cpu_percent']).toBe(0)
})
