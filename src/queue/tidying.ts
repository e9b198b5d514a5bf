/**
 * Whether the worktree of a session that has ended is kept or gone by now, for whoever waits for the end. The end comes
 * first, because until it is on the stream another pod may go on in that worktree; so its pod says beforehand that there
 * is something to tidy, and says when that is done, or could not be done.
 *
 * Nothing is decided by it. A pod that dies in between says nothing more: then the note goes by itself, nobody waits
 * longer, and `worktree-keeper.ts` does the rest.
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import type { Keys } from './keys.ts'

const PENDING = 'pending'
const PROBLEM = 'problem: '
/** As long as an answer waits for a pod that may be dead. */
const PENDING_MS = 15_000
/** Longer than until the next try. */
const PROBLEM_MS = 120_000
const LOOK_AGAIN_MS = 25

export interface Tidying {
  /** Before the end is on the stream; again while it takes its time. */
  begin(sessionId: string): Promise<void>
  /** `problem`: what is left, and why; null: nothing. */
  over(sessionId: string, problem: string | null): Promise<void>
  /** Resolves when it is over, in fifteen seconds at most, with the problem. One read where there is nothing to tidy. */
  until(sessionId: string, signal?: AbortSignal): Promise<string | null>
}

/** Over a connection that may be shared. */
export function createTidying(redis: Redis, keys: Pick<Keys, 'tidying'>): Tidying {
  return {
    async begin(sessionId) {
      await redis.set(keys.tidying(sessionId), PENDING, 'PX', PENDING_MS)
    },
    async over(sessionId, problem) {
      const key = keys.tidying(sessionId)
      if (problem === null) await redis.del(key)
      else await redis.set(key, `${PROBLEM}${problem}`, 'PX', PROBLEM_MS)
    },
    async until(sessionId, signal) {
      for (;;) {
        const said = await redis.get(keys.tidying(sessionId))
        if (said !== PENDING) return said?.slice(PROBLEM.length) ?? null
        await sleep(LOOK_AGAIN_MS, signal)
        if (signal?.aborted) return null
      }
    },
  }
}
