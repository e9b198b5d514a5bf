/** How long a client bears a board that is away: one that is started again is back within seconds. */
import { sleep } from '../core/clock.ts'
import { isDroverError } from '../core/errors.ts'

/** @default of everything that can be asked again */
export const PATIENCE_MS = 60_000
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 2000

/** The patience of one wait. */
export interface Patience {
  /** The board is there: pauses begin small again. */
  answered(): void
  /** Resolves when it is time to ask again, or when the signal aborts. Throws `error` when patience is over. */
  lost(error: unknown, signal?: AbortSignal): Promise<void>
}

/** A fresh patience of `patienceMs` milliseconds without the board. */
export function createPatience(patienceMs: number = PATIENCE_MS): Patience {
  let awaySince: number | null = null
  let pauseMs = FIRST_PAUSE_MS

  return {
    answered() {
      awaySince = null
      pauseMs = FIRST_PAUSE_MS
    },
    async lost(error, signal) {
      awaySince ??= performance.now()
      if (!mayPass(error) || performance.now() - awaySince >= patienceMs) throw error
      await sleep(pauseMs, signal)
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    },
  }
}

/** The board is being started again, or Redis or the ledger is away for a moment. */
function mayPass(error: unknown): boolean {
  return isDroverError(error) && error.httpStatus === 503 && error.code !== 'resource_exhaustion'
}
