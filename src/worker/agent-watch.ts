/**
 * Watches one agent: what the guard reports of it and what its lines say become its beat, its health and, where it no
 * longer moves, the reason (`core/liveness.ts` has the rules).
 *
 * It looks by a timer of its own, so that a guard that falls silent is noticed too. Where the timer comes late this
 * process did not run itself: what it missed is not held against the agent.
 */
import type { Clock } from '../core/clock.ts'
import type { AgentHealth } from '../core/events.ts'
import {
  excuse,
  hear,
  look,
  newLiveness,
  rest,
  stallReason,
  type Liveness,
  type LivenessLimits,
} from '../core/liveness.ts'
import type { StreamFacts } from '../core/stream-facts.ts'
import type { AgentSample, GuardedAgent } from '../guard/client.ts'

/** It is looked this often whether the agent is stalled, which is noticed at most so much later; at 60 s, every second. */
const LONGEST_CHECK_MS = 1000
const CHECKS_PER_STALL = 20
/** A timer this late was kept waiting: the process was stopped, or its event loop was busy. */
const LATE_MS = 1000

export interface AgentWatchOptions {
  readonly limits: LivenessLimits
  readonly clock: Pick<Clock, 'monotonic'>
  /** Lines were read that `hear` was not told of yet. */
  readonly isBehind: () => boolean
  /** A person is waited for: it need not work meanwhile. */
  readonly isWaiting: () => boolean
  /** Called once, with why, and with the health as it is recorded. */
  readonly onStalled: (reason: string, health: AgentHealth) => void
}

export interface AgentWatch {
  /** The agent has printed lines, all of which the facts include. */
  hear(facts: StreamFacts): void
  /** Fields for the session's hash, as `monitor` reads them. CPU in per cent of one core since the look before. */
  beat(): Readonly<Record<string, string | number>>
  stop(): void
}

/** Watches the agent from now until `stop`. */
export function watchAgent(agent: Pick<GuardedAgent, 'onSample'>, options: AgentWatchOptions): AgentWatch {
  const { limits, clock, isBehind, isWaiting, onStalled } = options
  let liveness: Liveness = newLiveness(clock.monotonic())
  let latest: AgentSample | null = null
  let cpuPercent: number | null = null
  let health: AgentHealth['health_status'] = 'healthy'
  let checkedAt = clock.monotonic()
  const checkMs = Math.min(LONGEST_CHECK_MS, limits.stallTimeoutMs / CHECKS_PER_STALL)
  const timer = setInterval(check, checkMs)

  agent.onSample((sample) => {
    const now = clock.monotonic()
    cpuPercent = latest === null ? null : cpuPercentOf(latest, sample, now - liveness.sampledAt)
    latest = sample
    liveness = look(liveness, sample, now)
  })

  function check(): void {
    const now = clock.monotonic()
    const missedMs = now - checkedAt - checkMs
    checkedAt = now
    if (missedMs > LATE_MS) liveness = excuse(liveness, missedMs)
    if (isWaiting()) liveness = rest(liveness, now)
    const reason = stallReason(liveness, limits, now, isBehind())
    if (reason === null || health === 'stalled') return
    health = 'stalled'
    onStalled(reason, {
      health_status: health,
      cpu_percent: cpuPercent,
      memory_mb: rounded(latest?.memoryMb ?? null),
    })
  }

  return {
    hear(facts) {
      liveness = hear(liveness, facts.openToolCalls, clock.monotonic())
    },
    beat() {
      const memoryMb = rounded(latest?.memoryMb ?? null)
      return {
        health,
        ...(latest === null ? {} : { process_state: latest.state }),
        ...(cpuPercent === null ? {} : { cpu_percent: cpuPercent }),
        ...(memoryMb === null ? {} : { memory_mb: memoryMb }),
      }
    },
    stop: () => clearInterval(timer),
  }
}

function cpuPercentOf(before: AgentSample, now: AgentSample, elapsedMs: number): number | null {
  if (before.cpuMs === null || now.cpuMs === null || elapsedMs <= 0) return null
  // Processes that ended take their time with them.
  return Math.max(0, rounded((100 * (now.cpuMs - before.cpuMs)) / elapsedMs) ?? 0)
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10) / 10
}
