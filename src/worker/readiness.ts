/** Whether a pod claims sessions, and if not, why: one answer for its workers, its registry entry and `/readyz`. */
import type { PodState } from '../core/pod-row.ts'

/** What decides it. */
export interface ReadinessInput {
  /** It serves its queues; before that it is starting. */
  readonly started: boolean
  readonly draining: boolean
  /** Why Redis cannot be used now; null while it can. */
  readonly redisProblem: string | null
  readonly guardAlive: boolean
  readonly running: number
  /** Sessions at once; Infinity for no limit. */
  readonly maxSessions: number
  /** What of CPU, memory or disk is short; null where nothing is. */
  readonly shortage: string | null
}

export interface Readiness {
  readonly state: PodState
  /** A sentence; null where the pod claims. */
  readonly why: string | null
}

/** Of a pod that does not serve its queues yet. */
export const STARTING: Readiness = { state: 'starting', why: 'It is starting.' }

/** Pure. Of several reasons the one that lasts longest. */
export function readinessOf(input: ReadinessInput): Readiness {
  const { draining, redisProblem, guardAlive, running, maxSessions, shortage } = input
  if (draining) return { state: 'draining', why: 'It was told to stop.' }
  if (!input.started) return STARTING
  if (redisProblem !== null) return { state: 'waiting_redis', why: redisProblem }
  if (!guardAlive) return { state: 'no_guard', why: 'Its guard died; another one is being started.' }
  if (shortage !== null) return { state: 'no_room', why: `Too little is free: ${shortage}.` }
  if (running >= maxSessions) return { state: 'no_room', why: `${running} of ${maxSessions} sessions run.` }
  return { state: 'ready', why: null }
}
