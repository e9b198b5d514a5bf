/** What a session's hash says about its agent's token. */
import type { Redis } from 'ioredis'
import { isEnded, SESSION_STATES } from '../core/state.ts'
import { notRestored } from './call-session.ts'
import { isRestored } from './incarnation.ts'
import type { Keys } from './keys.ts'

/** Of a session that has a token and has not ended. */
export interface SessionToken {
  /** Hex SHA-256 of the token of its present agent. */
  readonly hash: string
  /** The orchestrator's tools that its type grants. */
  readonly tools: readonly string[]
}

/**
 * Null for a session that is not there, has ended, or was given no token.
 *
 * @throws DroverError `redis_unavailable` where that may be because Redis has lost something that is not written back
 */
export async function readSessionToken(
  redis: Redis,
  keys: Keys,
  sessionId: string,
): Promise<SessionToken | null> {
  const [name, hash, tools] = await redis.hmget(keys.session(sessionId), 'state', 'token_hash', 'tools')
  const state = SESSION_STATES.find((known) => known === name)
  if (state !== undefined && isEnded(state)) return null
  if (state === undefined || !hash) {
    if (!(await isRestored(redis, keys))) throw notRestored()
    return null
  }
  return { hash, tools: (tools ?? '').split(',').filter((tool) => tool !== '') }
}
