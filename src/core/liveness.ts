/**
 * When a live agent counts as stalled. Silence is none: minutes without a line are normal while the API is waited
 * for, and a Bash call may run for hours. Four things count, each for its time and never before it:
 *
 * | what | for how long |
 * |---|---|
 * | the guard says nothing of it: frozen, or its reports do not come | `stallTimeoutMs` |
 * | its process cannot move: stopped, a zombie | `stallTimeoutMs` |
 * | a tool call that printed its line every 30 s prints no more, nor does anything else | `toolTimeoutMs` |
 * | it neither works nor prints | `idleTimeoutMs` |
 *
 * Times are monotonic milliseconds of the worker that looks. What it could not see, because it did not run itself,
 * does not count (`excuse`).
 */
import type { OpenToolCall } from './stream-facts.ts'

/** A look at the agent's processes, as the guard takes it. Numbers are null where there is no /proc. */
export interface LivenessSample {
  /** State letter of proc_pid_stat(5): R, S, D, T, Z … */
  readonly state: string
  /** CPU time so far. */
  readonly cpuMs: number | null
  readonly spoolBytes: number
}

/** After how many milliseconds of what an agent is stalled. */
export interface LivenessLimits {
  readonly stallTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly toolTimeoutMs: number
}

/** A running tool call, and when it last gave a sign. */
interface Beating {
  readonly id: string
  readonly name: string
  readonly beats: number
  readonly at: number
}

/** What is remembered of an agent. */
export interface Liveness {
  /** When the guard last said something of it. */
  readonly sampledAt: number
  /** Since when it cannot move; null while it can. */
  readonly stoppedSince: number | null
  /** When it last worked or printed something. */
  readonly movedAt: number
  /** CPU time at the last look; null before the first one. */
  readonly cpuMs: number | null
  readonly spoolBytes: number
  /** When the spool last grew, as far as it was seen. */
  readonly printedAt: number
  readonly calls: readonly Beating[]
}

/** Stopped by a signal or a debugger, a zombie, dead. */
const CANNOT_MOVE = new Set(['T', 't', 'Z', 'X'])
/**
 * Between two looks, less CPU than this is an event loop that wakes up now and then: a CLI that waits for the API in
 * silence takes 0.1 to 0.4 % (measured), which over half an hour adds up to seconds. In ms, as the kernel counts it
 * in steps of 10 ms; and as a share of the time.
 */
const WORK_CPU_MS = 50
const WORK_CPU_SHARE = 0.02

export function newLiveness(now: number): Liveness {
  return {
    sampledAt: now,
    stoppedSince: null,
    movedAt: now,
    cpuMs: null,
    spoolBytes: 0,
    printedAt: now,
    calls: [],
  }
}

/** The state after one more look of the guard. */
export function look(liveness: Liveness, sample: LivenessSample, now: number): Liveness {
  const printed = sample.spoolBytes > liveness.spoolBytes
  const worked = hasWorked(liveness, sample.cpuMs, now)
  return {
    ...liveness,
    sampledAt: now,
    stoppedSince: CANNOT_MOVE.has(sample.state) ? (liveness.stoppedSince ?? now) : null,
    movedAt: printed || worked ? now : liveness.movedAt,
    cpuMs: sample.cpuMs,
    spoolBytes: sample.spoolBytes,
    printedAt: printed ? now : liveness.printedAt,
  }
}

/** The state after lines were read: which tool calls run, and which of them gave a sign. */
export function hear(liveness: Liveness, calls: readonly OpenToolCall[], now: number): Liveness {
  if (calls.length === 0 && liveness.calls.length === 0) return liveness
  const known = new Map(liveness.calls.map((call) => [call.id, call]))
  const beating = calls
    .filter(({ beats }) => beats > 0)
    .map((call): Beating => {
      const before = known.get(call.id)
      return before?.beats === call.beats ? before : { ...call, at: now }
    })
  return { ...liveness, calls: beating }
}

/** The state with `ms` that do not count: whoever looks did not run for so long, and does not know what happened. */
export function excuse(liveness: Liveness, ms: number): Liveness {
  return {
    ...liveness,
    sampledAt: liveness.sampledAt + ms,
    stoppedSince: liveness.stoppedSince === null ? null : liveness.stoppedSince + ms,
    movedAt: liveness.movedAt + ms,
    printedAt: liveness.printedAt + ms,
    calls: liveness.calls.map((call) => ({ ...call, at: call.at + ms })),
  }
}

/** The state of an agent that waits for a person: neither its silence nor that of its tool calls counts. */
export function rest(liveness: Liveness, now: number): Liveness {
  return { ...liveness, movedAt: now, calls: liveness.calls.map((call) => ({ ...call, at: now })) }
}

/**
 * Why the agent counts as stalled; null while it does not.
 *
 * @param isBehind lines were read that `hear` was not told of yet: then nothing is known of its tool calls
 */
export function stallReason(
  liveness: Liveness,
  limits: LivenessLimits,
  now: number,
  isBehind = false,
): string | null {
  const { sampledAt, stoppedSince, movedAt } = liveness
  if (stoppedSince !== null && now - stoppedSince >= limits.stallTimeoutMs) {
    return `its process has been stopped for ${seconds(now - stoppedSince)} s`
  }
  if (now - sampledAt >= limits.stallTimeoutMs) {
    return `its guard has said nothing of it for ${seconds(now - sampledAt)} s`
  }
  const silent = isBehind ? undefined : liveness.calls.find((call) => isSilent(call, liveness, limits, now))
  if (silent !== undefined) {
    return `its open tool call ${silent.name} (${silent.id}) has given no sign for ${seconds(now - silent.at)} s`
  }
  if (now - movedAt >= limits.idleTimeoutMs) {
    return `it has neither worked nor printed anything for ${seconds(now - movedAt)} s`
  }
  return null
}

/** Anything that was printed meanwhile may be its sign or its result, not yet read. */
function isSilent(call: Beating, liveness: Liveness, limits: LivenessLimits, now: number): boolean {
  return now - Math.max(call.at, liveness.printedAt) >= limits.toolTimeoutMs
}

function hasWorked(liveness: Liveness, cpuMs: number | null, now: number): boolean {
  if (cpuMs === null || liveness.cpuMs === null) return false
  const elapsed = now - liveness.sampledAt
  return cpuMs - liveness.cpuMs >= Math.max(WORK_CPU_MS, WORK_CPU_SHARE * elapsed)
}

function seconds(ms: number): number {
  return Math.round(ms / 1000)
}
