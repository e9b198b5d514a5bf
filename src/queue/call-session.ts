/** The session script, as its callers see it: keys and header put together in one place. */
import type { Redis } from 'ioredis'
import { DroverError } from '../core/errors.ts'
import type { Keys } from './keys.ts'
import { SESSION_SCRIPT } from './session-script.ts'
import type { SessionRef } from './session-ref.ts'

/** What it did or why it refused, then what that answer carries. */
export type ScriptAnswer = readonly [string, ...string[]]

/** @param events line, ts, type and payload of each, one after the other */
export type CallSession = (
  session: SessionRef,
  leaseKey: string,
  operation: Readonly<Record<string, unknown>>,
  events: readonly string[],
) => Promise<ScriptAnswer>

interface ScriptedRedis extends Redis {
  droverSession(keyCount: number, ...args: string[]): Promise<ScriptAnswer>
}

/** Over a connection that may be shared, also with BullMQ. */
export function createCallSession(redis: Redis, keys: Keys): CallSession {
  redis.defineCommand('droverSession', { lua: SESSION_SCRIPT })
  const scripted = redis as ScriptedRedis
  return async ({ sessionId, agentType }, leaseKey, operation, events) => {
    const header = { session_id: sessionId, agent_type: agentType, channel: keys.live(sessionId) }
    const names = [
      keys.session(sessionId),
      keys.events,
      keys.epoch,
      leaseKey,
      keys.agentCounters,
      keys.seeded,
      keys.restored,
      keys.kept,
      keys.ended(sessionId),
      keys.talk(sessionId),
    ]
    const text = JSON.stringify({ ...header, ...operation })
    return await scripted.droverSession(names.length, ...names, text, ...events)
  }
}

/** For who cannot wait for it: Redis has lost data, and the recorder has not written it back yet. */
export function notRestored(): DroverError {
  return new DroverError(
    'redis_unavailable',
    'Redis was restarted or emptied, and what the ledger knows is not written back yet. ' +
      'Try again in some seconds; a `drover board` must be running.',
    { retry_after_seconds: 2 },
  )
}
