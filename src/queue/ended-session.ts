/**
 * What Redis remembers of a session after its hash has gone: that it was, and how it ended. A key per session, written
 * by the script that ends it. As long as it is there the same id is not accepted again, so a repeated key finds its
 * session, and a job that is still around starts nothing. It stays as long as BullMQ remembers a finished job, because
 * a new session under the id of a job that BullMQ remembers would never get one.
 */
import type { Redis } from 'ioredis'
import type { EndState } from '../core/state.ts'
import type { Keys } from './keys.ts'

/** A week, as `KEEP_FINISHED` of `jobs.ts`. After it only the ledger knows a session's end. */
export const REMEMBER_SECONDS = 7 * 24 * 3600

export interface EndedSessionNote {
  readonly status: EndState
  readonly agent_type: string
  readonly digest: string
  readonly created_at: string
  readonly timeout_seconds: number
  /** Stream id of its acceptance, or one after it: what a wait for the ledger waits for. */
  readonly first_id: string
  /** It was given up before there was one (`forgo-session.ts`), by whoever called it so. */
  readonly forgone_by?: string
}

/** Lua: `remember(key, hash)`, for a session that has ended. */
export const REMEMBER = `
local function remember(key, hash)
  local known = redis.call('HMGET', hash, 'state', 'agent_type', 'digest', 'created_at', 'timeout_seconds', 'first_id')
  redis.call('SET', key, cjson.encode({
    status = known[1], agent_type = known[2] or '', digest = known[3] or '', created_at = known[4] or '',
    timeout_seconds = tonumber(known[5] or '0'), first_id = known[6] or '0-0'
  }), 'EX', ${REMEMBER_SECONDS})
end
`

/** Null where nothing is remembered: it has not ended, or long ago, or never was. */
export async function readEndedNote(
  redis: Redis,
  keys: Pick<Keys, 'ended'>,
  sessionId: string,
): Promise<EndedSessionNote | null> {
  const text = await redis.get(keys.ended(sessionId))
  return text === null ? null : (JSON.parse(text) as EndedSessionNote)
}

/** Writes notes that Redis has lost; those that are there stay. */
export async function restoreEndedNotes(
  redis: Redis,
  keys: Pick<Keys, 'ended'>,
  notes: readonly { readonly sessionId: string; readonly seconds: number; readonly note: EndedSessionNote }[],
): Promise<void> {
  if (notes.length === 0) return
  const pipeline = redis.pipeline()
  for (const { sessionId, seconds, note } of notes) {
    pipeline.set(keys.ended(sessionId), JSON.stringify(note), 'EX', Math.max(1, Math.ceil(seconds)), 'NX')
  }
  const answers = (await pipeline.exec()) ?? []
  const error = answers.find(([refused]) => refused !== null)?.[0]
  if (error) throw error
}
