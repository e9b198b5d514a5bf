/**
 * The parts of the session script that keep what is said to a session: messages until an agent's conversation has
 * them, open questions, answers. They live beside the session's hash, in a hash of their own, because a message may
 * have 10 MB and the session's hash is read as a whole at every step. Its fields:
 *
 *     m:<message id>   `<seq> <payload of drover.message.sent>`, until the agent's conversation has it; where something
 *                      was taken out of the text, with `unredacted`, the text as it was given
 *     d:<message id>   id of the agent that has taken it up
 *     k:<message id>   `<digest> <stream id>`, for as long as the session is known: a repeat finds it
 *     q:<request id>   an open question of the present agent, as JSON
 *     a:<request id>   the answer to a question, as JSON: also of those that are settled, for a repeat
 *     u:<request id>   that answer as it was given, where something was taken out of it, until the agent has it
 *
 * In the session's hash: `talk` counts what was asked from outside, so that the pod reads this only when there is
 * something new; `inbox` and `inbox_bytes` what waits; `inbox_closed` the epoch of an agent that takes nothing more;
 * `interrupt` the last interrupt, which carries the epoch that it means; `interrupted_until` that the last turn was
 * stopped, and until when a message is waited for.
 */

/** Lua, before the operations: what a change says of messages and questions. */
export const TALK_CHANGES = `
local talk_key = KEYS[10]

local function say_done(ids)
  for _, id in ipairs(ids or {}) do
    local kept = redis.call('HGET', talk_key, 'm:' .. id)
    if kept then
      redis.call('HDEL', talk_key, 'm:' .. id, 'd:' .. id)
      redis.call('HINCRBY', hash, 'inbox', -1)
      redis.call('HINCRBY', hash, 'inbox_bytes', -#kept)
    end
  end
end

local function say(talk)
  if not talk then return end
  for _, id in ipairs(talk.started or {}) do
    if redis.call('HEXISTS', talk_key, 'm:' .. id) == 1 then redis.call('HSET', talk_key, 'd:' .. id, op.agent_id) end
  end
  for id, question in pairs(talk.asked or {}) do redis.call('HSET', talk_key, 'q:' .. id, question) end
  for _, id in ipairs(talk.settled or {}) do redis.call('HDEL', talk_key, 'q:' .. id, 'u:' .. id) end
  say_done(talk.done)
end

-- Messages that no conversation has, when these are done.
local function waiting_but(ids)
  local waiting = tonumber(redis.call('HGET', hash, 'inbox') or '0')
  for _, id in ipairs(ids or {}) do waiting = waiting - redis.call('HEXISTS', talk_key, 'm:' .. id) end
  return waiting
end

-- The questions of an agent end with it.
local function forget_questions()
  for _, field in ipairs(redis.call('HKEYS', talk_key)) do
    local kind = string.sub(field, 1, 2)
    if kind == 'q:' or kind == 'u:' then redis.call('HDEL', talk_key, field) end
  end
end

-- The pod that has the session looks when it hears this, else at its next beat.
local function ring()
  redis.call('HINCRBY', hash, 'talk', 1)
  redis.call('PUBLISH', op.doorbell, op.session_id)
end
`

/** Lua: what may be repeated after the session's end too. */
export const TALK_REPEATS = `
if op.kind == 'send' then
  local sent = redis.call('HGET', talk_key, 'k:' .. op.message_id)
  if sent then
    local mark = string.find(sent, ' ', 1, true)
    if string.sub(sent, 1, mark - 1) ~= op.digest then return {'conflict'} end
    return done({'ok', string.sub(sent, mark + 1), 'repeat', state, op.live[state] and known[6] or ''})
  end
end

if op.kind == 'answer' then
  local given = redis.call('HGET', talk_key, 'a:' .. op.request_id)
  -- Not noted with the number of the operation: as it was given it is to be here no longer than it waits.
  if given then return {'answered', redis.call('HGET', talk_key, 'u:' .. op.request_id) or given} end
end
`

/** Lua: what is said from outside to a session that has not ended. */
export const TALK_OPERATIONS = `
if op.kind == 'send' then
  if known[4] then return {'cancelled'} end
  if op.live[state] and redis.call('HGET', hash, 'inbox_closed') == epoch then return {'ending'} end
  local waiting = redis.call('HMGET', hash, 'inbox', 'inbox_bytes')
  local given = op.unredacted or ARGV[5]
  if tonumber(waiting[1] or '0') >= op.most or tonumber(waiting[2] or '0') + #given > op.most_bytes then
    return {'full', waiting[1] or '0'}
  end
  local kept = string.format('%.0f', seq + 1) .. ' ' .. given
  local id = append(2, known[6] or false, epoch, false)
  redis.call('HSET', talk_key, 'm:' .. op.message_id, kept, 'k:' .. op.message_id, op.digest .. ' ' .. id)
  redis.call('HINCRBY', hash, 'inbox', 1)
  redis.call('HINCRBY', hash, 'inbox_bytes', #kept)
  ring()
  return done({'ok', id, 'new', state, op.live[state] and known[6] or ''})
end

if op.kind == 'interrupt' then
  if known[4] then return {'cancelled'} end
  if epoch ~= op.epoch or (state ~= 'running' and state ~= 'waiting_input') then return {'moved'} end
  redis.call('HSET', hash, 'interrupt', op.request)
  local id = append(2, known[6] or false, epoch, false)
  ring()
  return done({'ok', id})
end

if op.kind == 'answer' then
  if known[4] then return {'cancelled'} end
  if redis.call('HDEL', talk_key, 'q:' .. op.request_id) == 0 then return {'unknown'} end
  redis.call('HSET', talk_key, 'a:' .. op.request_id, ARGV[5])
  if op.unredacted then redis.call('HSET', talk_key, 'u:' .. op.request_id, op.unredacted) end
  local id = append(2, known[6] or false, epoch, false)
  ring()
  return done({'ok', id})
end
`
