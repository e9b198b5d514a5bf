/** An answer of a session's end is held back until its worktree is kept or gone (`queue/tidying.ts`). */
import type { Tidying } from '../queue/tidying.ts'

/** Milliseconds; longer than a note of a pod that died stands. */
const RECENT_MS = 20_000

/**
 * Resolves when that is over for a session that ended at `completedAt`; at once where it ended long ago or Redis does
 * not say. What could not be removed is no matter of whoever waits: it is tried again.
 */
export async function untilTidied(
  tidying: Pick<Tidying, 'until'>,
  sessionId: string,
  completedAt: string | null | undefined,
  signal?: AbortSignal,
): Promise<void> {
  if (completedAt == null || Date.now() - Date.parse(completedAt) > RECENT_MS) return
  await tidying.until(sessionId, signal).catch(() => null)
}
