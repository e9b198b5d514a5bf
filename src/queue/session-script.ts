/**
 * The session script: after the accept (`accept-script.ts`) the only writer of a session's hash and of the event stream.
 *
 * One call changes the hash, gives the events their `seq`, appends them to the stream and publishes them live; it
 * happens as a whole or not at all. What a repeat does (a client resends what it had in flight when a connection
 * broke, a pod what Redis may have lost): an own change carries its writer's name and number, the writer's last number
 * again answers as the first time, a lower one changes nothing; a line is taken only when it is the agent's next one,
 * lower ones are dropped, a jump is refused.
 *
 * Header values are our own ids, numbers and names, so the event's text can be put together without escaping.
 */
import { UNRECORDED } from './backlog.ts'
import { REMEMBER } from './ended-session.ts'
import { INCARNATION } from './incarnation.ts'
import { TALK_CHANGES, TALK_OPERATIONS, TALK_REPEATS } from './talk-script.ts'

/** How an event is put together and sent, the same for all: by stream and by live channel. */
export const EVENTS = `
local function quoted(value) if value then return '"' .. value .. '"' end return 'null' end

local function send_event(stream, session, seq, agent_id, epoch, late, line, ts, type, payload)
  local text = '{"session_id":"' .. session.session_id .. '","agent_id":' .. quoted(agent_id)
    .. ',"agent_type":"' .. session.agent_type .. '","epoch":' .. epoch .. ',"seq":' .. string.format('%.0f', seq)
    .. ',"line":' .. (line == '' and 'null' or line) .. ',"ts":"' .. ts
    .. '","type":"' .. type .. '"' .. (late and ',"late":true' or '') .. ',"payload":' .. payload .. '}'
  redis.call('PUBLISH', session.channel, text)
  return redis.call('XADD', stream, '*', 'event', text)
end
`

/**
 * Everything after the accept.
 *
 * `cancel` and `restart` come from outside (`session-requests.ts`), and so does what is said to it (`talk.ts`). While the session is cancelled nothing starts and
 * nothing comes to rest: with a living agent its pod ends it, without one it has ended in the step that cancelled it.
 *
 * In a life of Redis whose hashes are not written back yet (`incarnation.ts`) it changes nothing and answers
 * `unrestored`, but for renewals: what is here may be older than what the ledger has, and a `seq` would be given twice.
 * So it does to a pod that has not heard yet that they are: what `restored` said when it last sent again what Redis
 * had lost comes with each of its calls. A later change of it would otherwise pass before those that were lost.
 *
 * KEYS  1 session hash · 2 event stream · 3 epoch · 4 lease · 5 agent counters · 6 seeded · 7 restored · 8 kept
 *       · 9 the note of its end · 10 what is said to it (`talk-script.ts`)
 * ARGV  1 the operation as JSON · then per event: line ('' = an own event), ts, type, payload (JSON text)
 */
export const SESSION_SCRIPT = `${EVENTS}${INCARNATION}${UNRECORDED}${REMEMBER}
local hash, stream = KEYS[1], KEYS[2]
local op = cjson.decode(ARGV[1])
if op.kind ~= 'renew' and not is_restored(KEYS[6], KEYS[7], op.restored) then return {'unrestored'} end
local known = redis.call('HMGET', hash, 'state', 'epoch', 'seq', 'cancel', 'op:' .. (op.writer or ''), 'agent_id',
  'over')
local state, epoch, seq = known[1], known[2], tonumber(known[3] or '0')
local ended = state == 'completed' or state == 'failed' or state == 'cancelled'
-- Of an agent that another one has followed, or that was found dead: it changes no state any more.
local stale = op.epoch and (op.epoch ~= epoch or (op.agent_id and known[7] == op.epoch))

local function append(first, agent_id, at_epoch, late)
  local id = false
  for i = first, #ARGV, 4 do
    seq = seq + 1
    id = send_event(stream, op, seq, agent_id, at_epoch, late, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    if ARGV[i + 2] == 'drover.agent.closed' and string.find(ARGV[i + 3], '"tail_unknown":false', 1, true) then
      redis.call('HSET', hash, 'closed:' .. agent_id, id)
    end
  end
  if id then redis.call('HSET', hash, 'seq', string.format('%.0f', seq), 'last_id', id) end
  -- Without an event the last one's: what is asked of an answer is up to where it must be recorded.
  return id or redis.call('HGET', hash, 'last_id') or ''
end

${TALK_CHANGES}
local function change(fields, increments)
  for field, value in pairs(fields or {}) do redis.call('HSET', hash, field, value) end
  for field, by in pairs(increments or {}) do redis.call('HINCRBY', hash, field, by) end
end

-- A writer numbers its operations. Its last one again: answer as the first time. An earlier one: it is done.
if op.n and known[5] then
  local mark = string.find(known[5], ' ', 1, true)
  local last = tonumber(string.sub(known[5], 1, mark - 1))
  if op.n == last then return cjson.decode(string.sub(known[5], mark + 1)) end
  if op.n < last then return {'ok', redis.call('HGET', hash, 'last_id') or '', ''} end
end
local function done(answer)
  if op.n then
    redis.call('HSET', hash, 'op:' .. op.writer, string.format('%.0f', op.n) .. ' ' .. cjson.encode(answer))
  end
  return answer
end

if not state then return {'missing'} end

if op.kind == 'lines' then
  local cursor = tonumber(redis.call('HGET', hash, 'line:' .. op.agent_id) or '0')
  if op.first > cursor + 1 and not op.jump then return {'gap', tostring(cursor)} end
  local skip = math.max(0, cursor + 1 - op.first)
  local count = (#ARGV - 1) / 4
  if skip >= count then return {'ok', '', tostring(cursor)} end
  local late = stale
  for line, increments in pairs(op.incr or {}) do
    if tonumber(line) > cursor then change(nil, increments) end
  end
  if not late then change(op.set) end
  cursor = op.first + count - 1
  redis.call('HSET', hash, 'line:' .. op.agent_id, string.format('%.0f', cursor))
  local id = append(2 + skip * 4, op.agent_id, op.epoch, late)
  return {'ok', id, string.format('%.0f', cursor), tostring(unrecorded(stream, KEYS[8]))}
end

if op.kind == 'close' then
  -- The closing events of an agent: also of one that was superseded, also after the session's end, but once.
  if redis.call('HEXISTS', hash, 'closed:' .. op.agent_id) == 1 then return done({'ok', '', ''}) end
  return done({'ok', append(2, op.agent_id, op.epoch, stale), ''})
end

${TALK_REPEATS}
if ended then return {'ended', state} end

if op.kind == 'renew' then
  if redis.call('GET', KEYS[4]) ~= op.token then return {'lease'} end
  redis.call('PEXPIRE', KEYS[4], op.ttl)
  if op.epoch == epoch and op.set and next(op.set) then
    change(op.set)
    -- By the one clock that whoever looks at it can ask too.
    local time = redis.call('TIME')
    redis.call('HSET', hash, 'beat_at',
      string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
  end
  local asked = redis.call('HMGET', hash, 'restart_requested', 'talk', 'interrupt')
  return {'ok', known[4] or '', asked[1] or '', asked[2] or '0', asked[3] or ''}
end

-- cancel, restart: what is asked from outside, of the agent of this epoch where one is named
if op.live and op.epoch and (op.epoch ~= epoch or (op.must_live and not op.live[state])) then return {'moved'} end

if op.kind == 'cancel' then
  -- A repeat changes nothing; only a harder one counts.
  if known[4] and not (op.force and not cjson.decode(known[4]).force) then
    redis.call('PUBLISH', op.doorbell, op.session_id)
    return done({'ok', '', 'live'})
  end
  -- The end that the caller has put together holds the totals as they were at this seq.
  if not op.live[state] and op.seq ~= seq then return {'moved'} end
  redis.call('HSET', hash, 'cancel', op.cancel)
  if op.live[state] then
    -- Its pod ends the agent first; only the request itself goes on the stream.
    for i = #ARGV, 6, -1 do ARGV[i] = nil end
  else
    change(op.set)
    redis.call('HSET', hash, 'state', 'cancelled')
    redis.call('EXPIRE', hash, op.expire)
    redis.call('EXPIRE', talk_key, op.expire)
    remember(KEYS[9], hash)
  end
  local id = append(2, known[6] or false, epoch, false)
  redis.call('PUBLISH', op.doorbell, op.session_id)
  return done({'ok', id, op.live[state] and 'live' or 'ended'})
end

${TALK_OPERATIONS}
if op.kind == 'restart' then
  if known[4] then return {'cancelled'} end
  local live = op.live[state]
  if live then
    local asked = redis.call('HGET', hash, 'restart_requested')
    if asked and asked ~= '' and cjson.decode(asked).epoch == epoch then return done({'ok', '', 'live'}) end
    redis.call('HSET', hash, 'restart_requested', op.request)
  elseif state == 'queued' then
    return done({'ok', '', 'queued'})
  else
    redis.call('HSET', hash, 'state', 'restarting', 'not_before', '0', 'restarts', '0', 'free_steps', '0',
      'interrupted_until', '')
  end
  local id = append(2, known[6] or false, epoch, false)
  redis.call('PUBLISH', op.doorbell, op.session_id)
  return done({'ok', id, live and 'live' or 'waiting'})
end

if op.kind == 'start' and op.again then
  -- Redis has lost this start: the agent has its epoch and id already, and nobody got a later one meanwhile.
  if tonumber(op.again.epoch) <= tonumber(epoch) then
    -- What the ledger wrote back of it has no token: its agent still shows it.
    if op.again.epoch == epoch then
      redis.call('HSET', hash, 'token_hash', op.set.token_hash or '', 'tools', op.set.tools or '')
    end
    return done({'ok', '', epoch, op.again.agent_id})
  end
  local last = tonumber(redis.call('GET', KEYS[3]) or '0')
  redis.call('SET', KEYS[3], string.format('%.0f', math.max(last, tonumber(op.again.epoch))))
  local number = tonumber(string.sub(op.again.agent_id, #op.prefix + 1))
  if number > tonumber(redis.call('HGET', KEYS[5], op.prefix) or '0') then
    redis.call('HSET', KEYS[5], op.prefix, string.format('%.0f', number))
  end
  change(op.set)
  redis.call('HSET', hash, 'state', 'starting', 'epoch', op.again.epoch, 'agent_id', op.again.agent_id)
  return done({'ok', append(2, op.again.agent_id, op.again.epoch, false), op.again.epoch, op.again.agent_id})
end

if op.kind == 'start' then
  if known[4] then return {'cancelled'} end
  if redis.call('GET', KEYS[4]) ~= op.token then return {'lease'} end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local gate = tonumber(redis.call('HGET', hash, 'not_before') or '0')
  if gate > now then return {'early', string.format('%.0f', gate - now)} end
  -- Two claims may have read it before either of them began, where its type has several slots.
  if op.seen and op.seen ~= epoch then return {'early', '0'} end
  if op.restarts and op.restarts ~= tonumber(redis.call('HGET', hash, 'restarts') or '0') then return {'early', '0'} end
  local last = tonumber(redis.call('GET', KEYS[3]) or '0')
  local fresh = string.format('%.0f', math.max(last + 1, now))
  redis.call('SET', KEYS[3], fresh)
  local number = redis.call('HINCRBY', KEYS[5], op.prefix, 1)
  local agent_id = op.prefix .. string.format('%03d', number)
  forget_questions()
  change(op.set)
  redis.call('HSET', hash, 'state', 'starting', 'epoch', fresh, 'agent_id', agent_id)
  return done({'ok', append(2, agent_id, fresh, false), fresh, agent_id})
end

-- append: a change of state with its events
if stale then return {'stale', epoch} end
if op.states then
  local allowed = false
  for _, name in ipairs(op.states) do if name == state then allowed = true end end
  if not allowed then return {'state', state} end
end
-- A cancelled session does not come to rest in a state from which it would go on: it ends.
if known[4] and op.rest then return {'cancelled'} end
-- What waits is for this agent, or for another one: nothing is taken and then left lying. Refused, it changes nothing.
if op.close and waiting_but(op.talk and op.talk.done) > 0 then return {'waiting'} end
say(op.talk)
if op.close then redis.call('HSET', hash, 'inbox_closed', op.epoch) end
change(op.set, op.incr)
if op.to then redis.call('HSET', hash, 'state', op.to) end
if op.over then
  redis.call('HSET', hash, 'over', op.epoch)
  forget_questions()
end
if op.wait then
  local time = redis.call('TIME')
  redis.call('HSET', hash, 'not_before',
    string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + op.wait))
end
local id = append(2, op.agent_id or false, op.epoch or epoch, false)
if op.expire then
  -- A restart may need it, which there is none of what is completed.
  if op.to == 'completed' then redis.call('HDEL', hash, 'unredacted_prompt', 'taken_out') end
  redis.call('EXPIRE', hash, op.expire)
  redis.call('EXPIRE', talk_key, op.expire)
  remember(KEYS[9], hash)
end
return done({'ok', id, ''})
`
