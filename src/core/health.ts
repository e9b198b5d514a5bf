/** How a live agent is doing, from outside: by what its pod last wrote of it. One rule for the monitor and for `kill --stalled`. */

/** An agent's beat, as its session's hash has it. */
export interface Beat {
  /** When it was written, in milliseconds since 1970; the agent's start where there was none yet. */
  readonly at: number
  /** What its pod says. */
  readonly health: string | null
  /** State letter of proc_pid_stat(5); null where it is not known. */
  readonly processState: string | null
}

export type LiveHealth = 'healthy' | 'stalled' | 'dead'

/** Ended, and perhaps not waited for yet. */
const GONE = new Set(['Z', 'X', 'x'])

/**
 * `dead`: the process is gone, though nobody has said so yet. `stalled`: its pod says so, or has said nothing for the
 * stall timeout (the pod is frozen, dead or cut off). A process that is stopped is stalled once its pod says so.
 */
export function healthOf(beat: Beat, stallTimeoutMs: number, now: number): LiveHealth {
  if (beat.processState !== null && GONE.has(beat.processState)) return 'dead'
  if (beat.health === 'dead') return 'dead'
  return beat.health === 'stalled' || now - beat.at >= stallTimeoutMs ? 'stalled' : 'healthy'
}
