/**
 * The mail script: the only writer of messages and inboxes, and beside the session script the only one that gives a
 * session's events their `seq`. One call does all of an operation and appends its events, or nothing.
 *
 * A message is a hash, its inbox a sorted set of ids in the order in which they came. What is taken stays for a day
 * without its text (`head`), so that a repeat is known for one, also while the ledger is behind. Repeats: the same id is
 * the same message; what was read is read again; what was taken is taken.
 *
 * An inbox of an agent type is read by all sessions of it, and each message by one of them: whoever reads it holds it
 * until it has ended, without acknowledging, and then it is the next one's.
 */
import { EVENTS } from './session-script.ts'
import { INCARNATION } from './incarnation.ts'

/** Of a message that was taken: so long a repeat is answered as such without the ledger. */
const TAKEN_TTL_SECONDS = 24 * 3600
/** Of mail to a session, which lives for 30 days at most. */
export const SESSION_MAIL_TTL_SECONDS = 31 * 24 * 3600

/** Lua: `is_open(session id)`, and `record(session id, agent type, ts, type, payload)`, which answers a stream id. */
const RECORD = `
local function is_open(session_id)
  local state = redis.call('HGET', op.session_prefix .. session_id, 'state')
  return state and state ~= 'completed' and state ~= 'failed' and state ~= 'cancelled', state
end
local function record(session_id, agent_type, ts, type, payload)
  if session_id ~= '' and is_open(session_id) then
    local hash = op.session_prefix .. session_id
    local known = redis.call('HMGET', hash, 'seq', 'agent_id', 'epoch', 'agent_type')
    local session = {session_id = session_id, agent_type = known[4], channel = op.live_prefix .. session_id}
    local seq = tonumber(known[1] or '0') + 1
    local id = send_event(KEYS[1], session, seq, known[2], known[3] or '0', false, '', ts, type, payload)
    redis.call('HSET', hash, 'seq', string.format('%.0f', seq), 'last_id', id)
    return id
  end
  return redis.call('XADD', KEYS[1], '*', 'event', '{"session_id":null,"agent_id":null,"agent_type":"' .. agent_type
    .. '","epoch":0,"seq":null,"line":null,"ts":"' .. ts .. '","type":"' .. type .. '","payload":' .. payload .. '}')
end
`

/** Lua: `may_take(message id, reader)`, and `take(message id)`. The reader is a session and its type, or a person. */
const TAKE = `
local function holds(message, reader)
  local holder = redis.call('HGET', message, 'holder')
  return not holder or holder == reader or not is_open(holder)
end
local function may_take(message, box)
  if op.reader == '' then return true end
  if box == 'session:' .. op.reader then return true end
  return box == 'type:' .. op.reader_type and holds(message, op.reader)
end
local function take(id, ts, payload)
  local message = op.message_prefix .. id
  local known = redis.call('HMGET', message, 'state', 'box', 'agent_type')
  if known[1] ~= 'open' then return '' end
  redis.call('ZREM', op.inbox_prefix .. known[2], id)
  redis.call('HSET', message, 'state', 'taken')
  redis.call('HDEL', message, 'payload', 'holder')
  redis.call('EXPIRE', message, ${TAKEN_TTL_SECONDS})
  local session_id = op.reader ~= '' and op.reader or string.match(known[2], '^session:(.+)') or ''
  return record(session_id, known[3], ts, 'drover.message.answered', payload)
end
`

/**
 * KEYS  1 event stream · 2 seeded · 3 restored. Others are put together from the prefixes in the operation; all have
 *       the namespace's hash tag.
 * ARGV  1 the operation as JSON · 2 its time · 3 payload of its event as JSON text · 4 of the answered event of a reply
 *
 * Operations and answers (what else they refuse: `unrestored`):
 * - `send`: `ok`, stream id, time · `repeat`, the same · `conflict` · `missing`, `ended`: the session it is for · `full` ·
 *   `refused`: it answers a message that is another's
 * - `take`: `ok`, stream id · `taken` · `missing` · `refused`
 * - `read`: `ok`, stream id, unread beyond the page, total, then per message: payload, time, '1' where it was read
 *   before · `missing`, `ended`: the session that reads
 * - `forget`: `ok`. A session has ended.
 */
export const MAIL_SCRIPT = `${EVENTS}${INCARNATION}
local op, ts = cjson.decode(ARGV[1]), ARGV[2]
if not is_restored(KEYS[2], KEYS[3]) then return {'unrestored'} end
${RECORD}${TAKE}
if op.kind == 'send' then
  local message, inbox = op.message_prefix .. op.message_id, op.inbox_prefix .. op.box
  local known = redis.call('HMGET', message, 'digest', 'stream_id', 'ts')
  if known[1] then
    if known[1] ~= op.digest then return {'conflict'} end
    return {'repeat', known[2], known[3]}
  end
  if op.to_session ~= '' then
    local open, state = is_open(op.to_session)
    if not open then return {state and 'ended' or 'missing', state or ''} end
  end
  local answered = op.in_reply_to ~= '' and op.message_prefix .. op.in_reply_to
  local answered_box = answered and redis.call('HGET', answered, 'box')
  if answered_box and not may_take(answered, answered_box) then return {'refused'} end
  local waiting, bytes = redis.call('ZRANGE', inbox, 0, -1), #ARGV[3]
  for _, id in ipairs(waiting) do bytes = bytes + redis.call('HSTRLEN', op.message_prefix .. id, 'payload') end
  if #waiting >= op.most or bytes > op.most_bytes then return {'full', tostring(#waiting)} end
  local time = redis.call('TIME')
  local last = redis.call('ZRANGE', inbox, -1, -1, 'WITHSCORES')[2]
  local place = math.max(tonumber(last or '0') + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  local concerns = op.to_session ~= '' and op.to_session or op.from_session
  local id = record(concerns, op.agent_type, ts, 'drover.message.sent', ARGV[3])
  redis.call('HSET', message, 'state', 'open', 'payload', ARGV[3], 'digest', op.digest, 'box', op.box, 'ts', ts,
    'agent_type', op.agent_type, 'stream_id', id, 'head', op.head)
  redis.call('ZADD', inbox, string.format('%.0f', place), op.message_id)
  if op.to_session ~= '' then
    redis.call('EXPIRE', message, ${SESSION_MAIL_TTL_SECONDS})
    redis.call('EXPIRE', inbox, ${SESSION_MAIL_TTL_SECONDS})
  end
  if answered_box then
    local taken = take(op.in_reply_to, ts, ARGV[4])
    if taken ~= '' then id = taken end
  end
  return {'ok', id, ts}
end

if op.kind == 'take' then
  local message = op.message_prefix .. op.message_id
  local known = redis.call('HMGET', message, 'state', 'box')
  if not known[1] then return {'missing'} end
  if not may_take(message, known[2]) then return {'refused'} end
  if known[1] == 'taken' then return {'taken'} end
  return {'ok', take(op.message_id, ts, ARGV[3])}
end

if op.kind == 'forget' then
  local inbox = op.inbox_prefix .. 'session:' .. op.session_id
  for _, id in ipairs(redis.call('ZRANGE', inbox, 0, -1)) do redis.call('DEL', op.message_prefix .. id) end
  redis.call('DEL', inbox)
  return {'ok'}
end

-- read
local boxes, reader = {'operator'}, 'operator'
if op.reader ~= '' then
  local open, state = is_open(op.reader)
  if not open then return {state and 'ended' or 'missing', state or ''} end
  boxes, reader = {'session:' .. op.reader, 'type:' .. op.reader_type}, op.reader
end
local found = {}
for _, box in ipairs(boxes) do
  local waiting = redis.call('ZRANGE', op.inbox_prefix .. box, 0, -1, 'WITHSCORES')
  for i = 1, #waiting, 2 do
    local message = op.message_prefix .. waiting[i]
    local holder = redis.call('HGET', message, 'holder')
    if redis.call('HGET', message, 'state') ~= 'open' then
      redis.call('ZREM', op.inbox_prefix .. box, waiting[i])
    elseif holds(message, reader) then
      table.insert(found, {id = waiting[i], place = tonumber(waiting[i + 1]), before = holder == reader})
    end
  end
end
table.sort(found, function(a, b)
  if a.before ~= b.before then return b.before end
  if a.place ~= b.place then return a.place < b.place end
  return a.id < b.id
end)
local page, unread, bytes, last = {}, 0, 0, ''
local is_full = false
for n, one in ipairs(found) do
  local message = op.message_prefix .. one.id
  local size = redis.call('HSTRLEN', message, 'payload')
  is_full = is_full or n > op.limit or (n > 1 and bytes + size > op.most_bytes)
  if is_full then
    if not one.before then unread = unread + 1 end
  else
    bytes = bytes + size
    local known = redis.call('HMGET', message, 'payload', 'ts', 'agent_type')
    if not one.before then
      redis.call('HSET', message, 'holder', reader)
      last = record(op.reader, known[3], ts, 'drover.message.delivered', '{"channel":"mail","message_id":"' .. one.id
        .. '","agent_type":"' .. known[3] .. '","delivered_to":' .. quoted(op.reader ~= '' and op.reader)
        .. ',"actor":' .. ARGV[3] .. '}')
    end
    table.insert(page, known[1])
    table.insert(page, known[2])
    table.insert(page, one.before and '1' or '')
  end
end
return {'ok', last, tostring(unread), tostring(#found), unpack(page)}
`

/**
 * What the ledger knows of a message, after Redis may have lost it: an open one is put where it was, unless Redis knows
 * that it was taken meanwhile; one that was taken is taken out. It may be repeated, also while messages come and go.
 *
 * KEYS  1 message · 2 its inbox
 * ARGV  1 id · 2 is it open? 1 or 0 · 3 its place · 4 seconds to live, 0 for ever · 5 holder or '' · then of an open
 *       one: fields and values of the hash
 */
export const RESTORE_MAIL_SCRIPT = `
local state = redis.call('HGET', KEYS[1], 'state')
if ARGV[2] ~= '1' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  if state == 'open' then
    redis.call('HSET', KEYS[1], 'state', 'taken')
    redis.call('HDEL', KEYS[1], 'payload', 'holder')
    redis.call('EXPIRE', KEYS[1], ${TAKEN_TTL_SECONDS})
  end
  return 0
end
if state == 'taken' then return 0 end
if not state then redis.call('HSET', KEYS[1], 'state', 'open', unpack(ARGV, 6)) end
if ARGV[5] ~= '' then redis.call('HSETNX', KEYS[1], 'holder', ARGV[5]) end
redis.call('ZADD', KEYS[2], 'NX', ARGV[3], ARGV[1])
if ARGV[4] ~= '0' then
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return state and 0 or 1
`
