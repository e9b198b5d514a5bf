/** How a live agent is, seen from outside: by what its pod last wrote of it. One rule for the monitor and for `kill --stalled`. */

/** An agent's beat, as its session's hash has it. */
export interface Beat {
  /** When it was written, in milliseconds since 1970; the agent's start where there was none yet. */
  readonly at: number
  /** What its pod says. */
  readonly health: string | null
  /** State letter of proc_pid_stat(5); null where it is not known. */
  readonly processState: string | null
  /** Its lease is somebody else's or nobody's: the worker is gone or cut off, and by its deadline the guard has ended it. */
  readonly leaseLost: boolean
}

export type LiveHealth = 'healthy' | 'stalled' | 'dead'

/** How a monitor shows an agent: as it is while it runs, and how it ended. */
export const HEALTH_STATES = ['healthy', 'stalled', 'dead', 'completed', 'failed'] as const

/** Ended, and perhaps not waited for yet. */
const GONE = new Set(['Z', 'X', 'x'])

/**
 * `dead`: the process is gone, though nobody has said so yet: it has ended, or its worker is gone. `stalled`: its pod
 * says so, or has said nothing for the stall timeout (the pod is frozen or cut off). A process that is stopped is
 * stalled once its pod says so.
 */
export function healthOf(beat: Beat, stallTimeoutMs: number, now: number): LiveHealth {
  if (beat.leaseLost || (beat.processState !== null && GONE.has(beat.processState))) return 'dead'
  if (beat.health === 'dead') return 'dead'
  return beat.health === 'stalled' || now - beat.at >= stallTimeoutMs ? 'stalled' : 'healthy'
}
