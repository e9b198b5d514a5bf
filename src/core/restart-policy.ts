/** What follows an agent's end: the one place that decides whether a session is tried again, and when. */
import type { Retry } from './outcome.ts'

/** Doubled back-offs stop here, for specs that allow many restarts. */
const LONGEST_BACKOFF_MS = 3_600_000
/** Sessions that failed together do not come back together. Only ever later: a back-off is a promise. */
const JITTER = 0.1
/**
 * Steps that cost no try (`fresh`, `resume`, `hand_over`, `no_room`) until they do: a CLI that says "already in use" and "no
 * conversation" in turn, or pods that drain one after the other, must not go on for ever (DESIGN §2.8).
 */
export const MOST_FREE_STEPS = 20
/** A usage limit that does not say when it resets is tried again after this. */
const UNKNOWN_PAUSE_MS = 15 * 60_000
/** The reset is the CLI's word: in the past it would be a busy loop, and no limit lasts longer than a week. */
const SHORTEST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 8 * 24 * 3_600_000

export interface RestartInput {
  readonly outcome: { readonly retry: Retry }
  /** Restarts of the session so far. */
  readonly restarts: number
  readonly maxRestarts: number
  /** False: nothing is tried again, and no limit is waited for. Steps that cost no try are taken all the same. */
  readonly autoRestart: boolean
  /** Before the first restart; doubled for each further one. */
  readonly backoffMs: number
  /** Steps without a try so far, over the life of the session as far as they are counted. */
  readonly freeSteps: number
  readonly now: Date
  /** A random number in [0, 1). */
  readonly random: number
}

export type NextStep =
  /** The outcome is the session's end. */
  | { readonly kind: 'end' }
  /**
   * The next agent after `backoffMs`: `again` with `--resume`, `fresh` with `--session-id`.
   * `restarts` is the session's count from now on; where it has not grown the step is a free one, at once.
   */
  | { readonly kind: 'again' | 'fresh'; readonly restarts: number; readonly backoffMs: number }
  /** The next agent with `--resume`, here or on another pod. A free step. */
  | { readonly kind: 'hand_over' }
  /** The next agent with `--resume`, not before `until`, which is `waitMs` from now. Costs no try. */
  | { readonly kind: 'pause'; readonly until: Date; readonly waitMs: number }

/** Pure: equal inputs have equal next steps. */
export function nextStep(input: RestartInput): NextStep {
  const { retry } = input.outcome
  if (retry === 'never') return { kind: 'end' }
  if (typeof retry !== 'string')
    return input.autoRestart ? pause(retry.pauseUntil, input.now) : { kind: 'end' }
  if (retry === 'again' || input.freeSteps >= MOST_FREE_STEPS) return restart(input)
  if (retry === 'hand_over' || retry === 'no_room') return { kind: 'hand_over' }
  return { kind: retry === 'fresh' ? 'fresh' : 'again', restarts: input.restarts, backoffMs: 0 }
}

/** A step that costs a try. A conversation that is not there is not there the next time either. */
function restart(input: RestartInput): NextStep {
  const { restarts, maxRestarts, backoffMs } = input
  if (!input.autoRestart || restarts >= maxRestarts) return { kind: 'end' }
  const doubled = Math.min(backoffMs * 2 ** restarts, LONGEST_BACKOFF_MS)
  return {
    kind: input.outcome.retry === 'fresh' ? 'fresh' : 'again',
    restarts: restarts + 1,
    backoffMs: Math.round(doubled * (1 + JITTER * input.random)),
  }
}

function pause(resetsAt: Date | null, now: Date): NextStep {
  const asked = resetsAt === null ? UNKNOWN_PAUSE_MS : resetsAt.getTime() - now.getTime()
  const waitMs = Math.min(Math.max(asked, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS)
  return { kind: 'pause', until: new Date(now.getTime() + waitMs), waitMs }
}
