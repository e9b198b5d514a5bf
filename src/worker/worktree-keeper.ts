/**
 * Settles the worktrees under this data directory whose session has ended and that nobody has settled: of pods that
 * died, and of sessions that were killed while they waited. At the start, every minute, and of one session when the
 * doorbell rings for it.
 */
import { sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Tidying } from '../queue/tidying.ts'
import type { Worktrees } from '../session/worktree/worktrees.ts'
import type { Doorbell } from './doorbell.ts'

const PASS_MS = 60_000

export interface WorktreeKeeperParts {
  readonly worktrees: Pick<Worktrees, 'settleAll'>
  readonly tidying: Pick<Tidying, 'over'>
  readonly doorbell: Pick<Doorbell, 'onAny'>
  /** Its own claim settles it. */
  readonly isRunning: (sessionId: string) => boolean
  readonly onError: (error: unknown) => void
}

export interface WorktreeKeeper {
  /** Resolves when the present pass is over. */
  stop(): Promise<void>
}

/** Begins to look. Errors are reported and looked at again with the next pass. */
export function keepWorktrees(parts: WorktreeKeeperParts): WorktreeKeeper {
  const { worktrees, tidying, onError } = parts
  const stopped = new AbortController()
  /** One pass after the other. */
  let working = Promise.resolve()

  function pass(isMeant: (sessionId: string) => boolean): Promise<void> {
    const look = async (): Promise<void> => {
      if (stopped.signal.aborted) return
      await worktrees.settleAll({
        isMeant: (sessionId) => isMeant(sessionId) && !parts.isRunning(sessionId),
        onSettled(sessionId, problem) {
          if (problem !== null) onError(problem)
          tidying.over(sessionId, problem === null ? null : messageOf(problem)).catch(onError)
        },
        onError,
      })
    }
    working = working.then(look).catch(onError)
    return working
  }

  const silence = parts.doorbell.onAny((rung) => void pass((sessionId) => sessionId === rung))
  const passing = (async () => {
    while (!stopped.signal.aborted) {
      await pass(() => true)
      await sleep(PASS_MS, stopped.signal)
    }
  })()
  return {
    async stop() {
      silence()
      stopped.abort()
      await passing
      await working
    },
  }
}
