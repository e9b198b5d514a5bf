/**
 * Settles the worktrees under this data directory whose session has ended and that nobody has settled: of pods that
 * died, and of sessions that were killed while they waited. At the start, and every minute.
 */
import { sleep } from '../core/clock.ts'
import type { Worktrees } from '../session/worktree/worktrees.ts'

const PASS_MS = 60_000

export interface WorktreeKeeper {
  /** Resolves when the present pass is over. */
  stop(): Promise<void>
}

/** Begins to look. Errors are reported and looked at again with the next pass. */
export function keepWorktrees(
  worktrees: Pick<Worktrees, 'settleAll'>,
  isRunning: (sessionId: string) => boolean,
  onError: (error: unknown) => void,
): WorktreeKeeper {
  const stopped = new AbortController()
  const passing = (async () => {
    while (!stopped.signal.aborted) {
      await worktrees.settleAll(isRunning, onError).catch(onError)
      await sleep(PASS_MS, stopped.signal)
    }
  })()
  return {
    async stop() {
      stopped.abort()
      await passing
    },
  }
}
