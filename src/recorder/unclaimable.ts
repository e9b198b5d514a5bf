/**
 * Sessions that no pod can claim: every claim throws (the hash cannot be read, the machine's disk is full, a fault of
 * ours), and `ensureJobs` adds the job again every minute. After ten in a row, and ten minutes, such a session ends:
 * failed, `lost`, with what the last claim said.
 *
 * The end is one call of the session script, refused where the session has moved on meanwhile, so it may be repeated
 * and die anywhere.
 */
import type { Redis } from 'ioredis'
import { isEnded, isLive, type SessionState } from '../core/state.ts'
import { forgetFailedClaims, readFailedClaims, type FailedClaims } from '../queue/failed-claims.ts'
import type { Keys } from '../queue/keys.ts'
import { hasLostLease } from '../queue/lease.ts'
import { endOf, lostAgentEvents, type Ending } from '../queue/session-end.ts'
import { recordOf, type SessionRecord } from '../queue/session-record.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { Logger } from '../telemetry/logger.ts'

const MOST_CLAIMS = 10
export const UNCLAIMABLE_AFTER_MS = 600_000
/** Longer than until the next claim. One that lasts longer did not throw: it runs the session, or lets it wait. */
const NEXT_CLAIM_MS = 180_000

export interface UnclaimableParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly store: Pick<SessionStore, 'change'>
  readonly log: Pick<Logger, 'error'>
  /** @default ten minutes */
  readonly afterMs?: number
}

/** Ends the sessions whose claims have failed for too long. */
export async function endUnclaimable(parts: UnclaimableParts): Promise<void> {
  const { redis, keys, afterMs = UNCLAIMABLE_AFTER_MS } = parts
  const failed = await readFailedClaims(redis, keys)
  if (failed.size === 0) return
  const now = Number((await redis.time())[0]) * 1000
  for (const [sessionId, claims] of failed) {
    const state = await redis.hget(keys.session(sessionId), 'state')
    if (state === null || isEnded(state as SessionState)) await forgetFailedClaims(redis, keys, sessionId)
    else if (claims.count < MOST_CLAIMS || now - claims.since < afterMs) continue
    else if (now - claims.last < NEXT_CLAIM_MS) await end(parts, sessionId, claims)
  }
}

async function end(
  { redis, keys, store, log }: UnclaimableParts,
  sessionId: string,
  { count, since, message }: FailedClaims,
): Promise<void> {
  const record = readable(sessionId, await redis.hgetall(keys.session(sessionId)))
  const live = isLive(record.state) && record.agentId !== null
  // Somebody has it all the same.
  if (live && record.lease !== null && !(await hasLostLease(redis, keys, record.lease))) return
  const ending: Ending = {
    status: 'failed',
    failureReason: 'lost',
    message: `No worker can take it: ${count} claims in a row failed since ${new Date(since).toISOString()}. The last one: ${message}`,
    output: null,
    permissionDenials: [],
  }
  const { agentType, agentId, epoch, state } = record
  const agent = live && agentId !== null ? { agentId } : {}
  const last = live ? lostAgentEvents(record) : []
  // As it was read: a claim may have come through in this moment.
  const changed = await store.change(
    { sessionId, agentType, epoch, ...agent },
    { ...endOf(record, ending, new Date(), last), from: [state], over: live, last: true },
  )
  if (!changed.ok) return
  log.error({ session_id: sessionId, agent_type: agentType }, `The session ended as lost. ${ending.message}`)
  await forgetFailedClaims(redis, keys, sessionId)
}

const JSON_FIELDS = new Set([
  'request',
  'redacted',
  'taken_out',
  'cancel',
  'restart_requested',
  'killed',
  'workspace_wait',
  'facts',
  'ended',
])

/** What of the hash can be read; it may be just what nobody can read that keeps it from being claimed. */
function readable(sessionId: string, hash: Readonly<Record<string, string>>): SessionRecord {
  const sound = Object.entries(hash).filter(([field, text]) => !JSON_FIELDS.has(field) || isJson(text))
  return recordOf(sessionId, { request: '{}', ...Object.fromEntries(sound) })
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text || 'null')
    return true
  } catch {
    return false
  }
}
