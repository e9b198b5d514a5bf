/**
 * Writing back what Redis lost: sessions, epochs, the numbers of agents. Beside the session script the only writer of
 * a session's hash, and one that never takes anything back: it may run twice, in pieces, and beside the pods.
 */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/**
 * A hash is written where there is none, where it is behind the ledger (a replica that lagged), where the ledger knows
 * the session's end and the hash does not, and where it is of another acceptance (the same key was used again while
 * Redis was empty). Everywhere else it is as new as the ledger or newer, and stays. `seq`, `epoch` and the cursors of
 * the agents never become less.
 *
 * KEYS  the hashes
 * ARGV  1 the sessions as a JSON array · then per session: `fields` × (field, value)
 * Answers how many were written.
 */
const RESTORE_SCRIPT = `
local function most(a, b) return string.format('%.0f', math.max(tonumber(a or '0') or 0, tonumber(b or '0') or 0)) end
local written, at = 0, 2
for n, session in ipairs(cjson.decode(ARGV[1])) do
  local hash = KEYS[n]
  local known = redis.call('HMGET', hash, 'state', 'seq', 'created_at', 'epoch')
  local state, seq = known[1], tonumber(known[2] or '0')
  local ended = state == 'completed' or state == 'failed' or state == 'cancelled'
  local other = state and known[3] ~= session.created_at
  if not state or other or seq < session.seq or (session.ended and not ended) then
    if other then redis.call('DEL', hash) end
    for i = at, at + 2 * session.fields - 1, 2 do
      local field, value = ARGV[i], ARGV[i + 1]
      if string.sub(field, 1, 5) == 'line:' then value = most(value, redis.call('HGET', hash, field)) end
      redis.call('HSET', hash, field, value)
    end
    redis.call('HSET', hash, 'seq', most(session.seq, seq), 'epoch', most(session.epoch, known[4]))
    if session.ended then redis.call('EXPIRE', hash, session.expire) else redis.call('PERSIST', hash) end
    written = written + 1
  end
  at = at + 2 * session.fields
end
return written
`

/**
 * KEYS  1 epoch · 2 agent counters
 * ARGV  1 highest epoch · 2 how much further a counter goes that had lost something · then per prefix: prefix, number
 */
const MARKS_SCRIPT = `
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
for i = 3, #ARGV, 2 do
  local number = tonumber(ARGV[i + 1])
  if tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '0') < number then
    redis.call('HSET', KEYS[2], ARGV[i], string.format('%.0f', number + tonumber(ARGV[2])))
  end
end
return 1
`

/**
 * Where a counter was lost, so may the last numbers that it gave out: an agent that got one is not recorded, and its
 * pod may send its lines much later. Two agents with one id would be one agent in the ledger, so these are left out.
 */
const LOST_NUMBERS = 100

/** A session as the ledger has it, ready for its hash. */
export interface RestoredSession {
  readonly sessionId: string
  readonly createdAt: string
  readonly seq: number
  readonly epoch: number
  /** Seconds after which the hash of an ended session goes; null: it has not ended. */
  readonly expireSeconds: number | null
  readonly fields: Readonly<Record<string, string | number>>
}

/** What was given out and must not be given out again. */
export interface Marks {
  readonly epoch: number
  /** `architect-20260101-` → the highest number of it. */
  readonly agentNumbers: ReadonlyMap<string, number>
}

/** Writes sessions back in one call; answers how many Redis did not have, or not as new. */
export async function restoreSessions(
  redis: Redis,
  keys: Pick<Keys, 'session'>,
  sessions: readonly RestoredSession[],
): Promise<number> {
  if (sessions.length === 0) return 0
  const facts = sessions.map((session) => ({
    created_at: session.createdAt,
    seq: session.seq,
    epoch: session.epoch,
    ended: session.expireSeconds !== null,
    expire: Math.max(1, Math.ceil(session.expireSeconds ?? 1)),
    fields: Object.keys(session.fields).length,
  }))
  const names = sessions.map(({ sessionId }) => keys.session(sessionId))
  const fields = sessions.flatMap((session) => Object.entries(session.fields).flat())
  return (await redis.eval(
    RESTORE_SCRIPT,
    names.length,
    ...names,
    JSON.stringify(facts),
    ...fields,
  )) as number
}

/** Raises epoch and counters to what the ledger has seen; never lowers them. */
export async function raiseMarks(
  redis: Redis,
  keys: Pick<Keys, 'epoch' | 'agentCounters'>,
  marks: Marks,
): Promise<void> {
  const numbers = [...marks.agentNumbers].flat()
  await redis.eval(MARKS_SCRIPT, 2, keys.epoch, keys.agentCounters, marks.epoch, LOST_NUMBERS, ...numbers)
}
