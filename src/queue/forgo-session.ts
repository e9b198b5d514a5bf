/**
 * Giving up a session that there is not yet: its id is derived, so whoever is about to ask for it would make it. What
 * is left is the note of its end (`ended-session.ts`), which the accept script finds, and the event that says why; both
 * in one step, so that of a session and its giving up there is always one and never both.
 */
import type { Redis } from 'ioredis'
import { newId } from '../core/ids.ts'
import { notRestored } from './call-session.ts'
import { REMEMBER_SECONDS, type EndedSessionNote } from './ended-session.ts'
import { INCARNATION } from './incarnation.ts'
import type { Keys } from './keys.ts'

/**
 * KEYS  1 the session's hash · 2 the note of its end · 3 event stream · 4 seeded · 5 restored
 * ARGV  1 the note as JSON, without `first_id` · 2 seconds to keep it · 3 the event
 * Answers `ok` and the event's stream id, also to a repeat; `exists`, `unrestored`.
 */
const FORGO_SCRIPT = `${INCARNATION}
local run, life = run_id(), redis.call('MGET', KEYS[4], KEYS[5])
if life[1] ~= run and string.sub(life[2] or '', 1, #run + 1) ~= run .. ' ' then return {'unrestored'} end
local note, known = cjson.decode(ARGV[1]), redis.call('GET', KEYS[2])
if known and cjson.decode(known).forgone_by == note.forgone_by then return {'ok', cjson.decode(known).first_id} end
if known or redis.call('EXISTS', KEYS[1]) == 1 then return {'exists'} end
note.first_id = redis.call('XADD', KEYS[3], '*', 'event', ARGV[3])
redis.call('SET', KEYS[2], cjson.encode(note), 'EX', ARGV[2])
return {'ok', note.first_id}
`

interface ForgoingRedis extends Redis {
  droverForgo(keyCount: number, ...args: string[]): Promise<readonly [string, string?]>
}

/**
 * Answers the stream id of the event; null where the session is there, or was given up by somebody else.
 *
 * @throws DroverError `redis_unavailable` where Redis has lost something and does not have it back
 */
export type ForgoSession = (session: {
  readonly sessionId: string
  readonly agentType: string
  /** As it goes on the stream. */
  readonly event: string
}) => Promise<string | null>

export function createForgoSession(redis: Redis, keys: Keys): ForgoSession {
  redis.defineCommand('droverForgo', { lua: FORGO_SCRIPT })
  const forgoing = redis as ForgoingRedis

  return async ({ sessionId, agentType, event }) => {
    const note: Omit<EndedSessionNote, 'first_id'> = {
      status: 'cancelled',
      agent_type: agentType,
      digest: '',
      created_at: new Date().toISOString(),
      timeout_seconds: 0,
      // A client sends again what it had in flight when a connection broke.
      forgone_by: newId(),
    }
    const names = [keys.session(sessionId), keys.ended(sessionId), keys.events, keys.seeded, keys.restored]
    const [answer, streamId = ''] = await forgoing.droverForgo(
      names.length,
      ...names,
      JSON.stringify(note),
      String(REMEMBER_SECONDS),
      event,
    )
    if (answer === 'unrestored') throw notRestored()
    return answer === 'ok' ? streamId : null
  }
}
