/**
 * The end of a session that nobody can go on with, and the end that only its hash still has: beside the session script
 * the one writer of `drover.session.ended`. For the recorder's process, which knows what the ledger has.
 */
import type { Redis } from 'ioredis'
import type { SessionEnded } from '../core/events.ts'
import { EVENTS } from './session-script.ts'
import { REMEMBER } from './ended-session.ts'
import { INCARNATION } from './incarnation.ts'
import type { Keys } from './keys.ts'
import { ENDED_TTL_SECONDS } from './session-store.ts'

/**
 * Only in a life of Redis that is confirmed: before, the session may be written back or sent again. A hash that is
 * there and open is the truth, and nothing is done; a repeat finds what the first call made.
 *
 * KEYS  1 session hash · 2 event stream · 3 seeded · 4 the note of its end
 * ARGV  1 session_id, agent_type, channel, seq, created_at, digest, status as JSON · 2 ts · 3 the end's payload
 *       · 4 what the hash keeps of it · 5 a request as JSON · 6 seconds that the hash stays
 */
const LOSE_SCRIPT = `${EVENTS}${INCARNATION}${REMEMBER}
if redis.call('GET', KEYS[3]) ~= run_id() then return 'unrestored' end
if redis.call('EXISTS', KEYS[1]) == 1 then return 'exists' end
local session = cjson.decode(ARGV[1])
local seq = session.seq + 1
local id = send_event(KEYS[2], session, seq, false, '0', false, '', ARGV[2], 'drover.session.ended', ARGV[3])
redis.call('HSET', KEYS[1], 'state', session.status, 'epoch', '0', 'agent_type', session.agent_type, 'request', ARGV[5],
  'digest', session.digest, 'created_at', session.created_at, 'seq', string.format('%.0f', seq),
  'first_id', id, 'last_id', id, 'ended', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[6])
remember(KEYS[4], KEYS[1])
return 'lost'
`

/**
 * KEYS  1 session hash · 2 event stream
 * ARGV  1 session_id, agent_type, channel as JSON · 2 ts · 3 the end's payload · 4 the hash's seq as it was read
 */
const REPEAT_END_SCRIPT = `${EVENTS}
if redis.call('HGET', KEYS[1], 'seq') ~= ARGV[4] then return 'moved' end
local session, seq = cjson.decode(ARGV[1]), tonumber(ARGV[4]) + 1
local id = send_event(KEYS[2], session, seq, false, '0', false, '', ARGV[2], 'drover.session.ended', ARGV[3])
redis.call('HSET', KEYS[1], 'seq', string.format('%.0f', seq), 'last_id', id)
return 'repeated'
`

export interface LostSession {
  readonly sessionId: string
  readonly agentType: string
  /** The last that the ledger has; 0 where it knows nothing of the session. */
  readonly seq: number
  readonly createdAt: string
  readonly digest: string
}

/** `exists`: it is there again. `unrestored`: Redis is in quarantine. */
export async function loseSession(
  redis: Redis,
  keys: Pick<Keys, 'session' | 'events' | 'seeded' | 'ended' | 'live'>,
  session: LostSession,
  ended: SessionEnded,
): Promise<'lost' | 'exists' | 'unrestored'> {
  const { sessionId, agentType } = session
  const ts = new Date().toISOString()
  const facts = {
    session_id: sessionId,
    agent_type: agentType,
    channel: keys.live(sessionId),
    seq: session.seq,
    created_at: session.createdAt,
    digest: session.digest,
    status: ended.status,
  }
  const names = [keys.session(sessionId), keys.events, keys.seeded, keys.ended(sessionId)]
  return (await redis.eval(
    LOSE_SCRIPT,
    names.length,
    ...names,
    JSON.stringify(facts),
    ts,
    JSON.stringify(ended),
    JSON.stringify({ ...ended, completed_at: ts }),
    // What it was asked for is what is lost; its readers want an object.
    JSON.stringify({ agent_type: agentType, prompt: '', workspace_dir: '' }),
    ENDED_TTL_SECONDS,
  )) as 'lost' | 'exists' | 'unrestored'
}

/** Publishes the end that a hash has and the ledger does not, as the session's next event. */
export async function repeatEnd(
  redis: Redis,
  keys: Pick<Keys, 'session' | 'events' | 'live'>,
  session: { readonly sessionId: string; readonly agentType: string; readonly seq: number },
  ended: SessionEnded,
): Promise<'repeated' | 'moved'> {
  const { sessionId, agentType, seq } = session
  const header = { session_id: sessionId, agent_type: agentType, channel: keys.live(sessionId) }
  return (await redis.eval(
    REPEAT_END_SCRIPT,
    2,
    keys.session(sessionId),
    keys.events,
    JSON.stringify(header),
    new Date().toISOString(),
    JSON.stringify(ended),
    String(seq),
  )) as 'repeated' | 'moved'
}
