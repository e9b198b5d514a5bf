/**
 * The accept script, and how it is called: it makes the hashes of new sessions and appends the events that they begin
 * with. What is the same for many of a batch (the kind: agent type, priority, timeout) is sent once, and an event's text
 * is sent whole: it holds nothing that only Redis knows, since a session's first events have the numbers 1, 2, ….
 */
import { composeEvent, openEvent, type EventHeader } from '../core/envelope.ts'
import type { SessionAccepted } from '../core/events.ts'
import type { Secret } from '../core/redact.ts'
import type { SpawnRequest } from '../core/request.ts'
import type { Keys } from './keys.ts'
import type { OwnEvent } from './own-event.ts'

/** BullMQ's score of a prioritized job is priority × 2^32 + a counter. */
const PRIORITY_STEP = 2 ** 32

/** A session to be accepted. */
export interface Acceptance {
  readonly sessionId: string
  readonly request: SpawnRequest
  readonly digest: string
  readonly createdAt: string
  readonly createdBy: string | null
  /** So many sessions its parent may ask for; null: they are not counted. */
  readonly maxChildren?: number | null
  readonly priority: number
  readonly timeoutSeconds: number
  /** Its prompt as it was given, where the request has another one. */
  readonly unredactedPrompt?: string | null
  /** The values that were taken out of it. */
  readonly takenOut?: readonly Secret[]
  /** The accepted event's members beside the request. */
  readonly accepted: Omit<SessionAccepted, 'request'>
  /** Events that follow the accepted one. */
  readonly events: readonly OwnEvent[]
}

/**
 * Accepts any number of sessions; each that is known already stays as it is, also where all that is left of it is the
 * note of its end. A session that another one's agent asks for is one of its children: counted in its hash, and refused
 * where there are `max_children` already.
 *
 * KEYS  1 event stream · per kind: wait list, prioritized set · per session: hash, the note of its end, its parent's
 *       hash where it is counted
 * ARGV  1 how many kinds · per kind: agent type, priority, timeout, the score up to which jobs are ahead of it
 *       · per session: its kind (1, 2, …), live channel, time, the accepted event before its request, the request, the
 *       event after it, and '' or as JSON: `max_children`, `events` that follow (texts), `set` (more fields of the hash)
 * Answers per session: `exists`, `children`, or `ok`, the stream id of the accepted event, the place in the queue.
 */
export const ACCEPT_SCRIPT = `
local NOTHING = {set = {}, events = {}}
local answers, kinds, key, arg = {}, {}, 2, 2
for n = 1, tonumber(ARGV[1]) do
  local ahead = redis.call('LLEN', KEYS[key]) + redis.call('ZCOUNT', KEYS[key + 1], '-inf', ARGV[arg + 3])
  kinds[tostring(n)] = {ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], tostring(ahead + 1)}
  key, arg = key + 2, arg + 4
end

local function send(channel, text)
  redis.call('PUBLISH', channel, text)
  return redis.call('XADD', KEYS[1], '*', 'event', text)
end

while arg < #ARGV do
  local hash, note, kind, channel, request = KEYS[key], KEYS[key + 1], kinds[ARGV[arg]], ARGV[arg + 1], ARGV[arg + 4]
  local more, counts = NOTHING, false
  key = key + 2
  if ARGV[arg + 6] ~= '' then
    more = cjson.decode(ARGV[arg + 6])
    -- A parent that Redis does not have (it ended long ago, or is not written back yet) counts nothing.
    if more.max_children then
      counts = redis.call('EXISTS', KEYS[key]) == 1
      key = key + 1
    end
  end
  local parent = KEYS[key - 1]
  if redis.call('EXISTS', hash, note) > 0 then
    answers[#answers + 1] = {'exists'}
  elseif counts and tonumber(redis.call('HGET', parent, 'children') or '0') >= more.max_children then
    answers[#answers + 1] = {'children'}
  else
    if counts then redis.call('HINCRBY', parent, 'children', 1) end
    local first = send(channel, ARGV[arg + 3] .. request .. ARGV[arg + 5])
    local last = first
    for _, text in ipairs(more.events) do last = send(channel, text) end
    redis.call('HSET', hash, 'state', 'queued', 'epoch', '0', 'agent_type', kind[1], 'request', request,
      'created_at', ARGV[arg + 2], 'priority', kind[2], 'timeout_seconds', kind[3], 'seq', 1 + #more.events,
      'first_id', first, 'last_id', last, unpack(more.set))
    answers[#answers + 1] = {'ok', first, kind[4]}
  end
  arg = arg + 7
end
return answers
`

/** The script's keys and arguments for these sessions, each with its request as JSON text. */
export function acceptCall(
  sessions: readonly { readonly acceptance: Acceptance; readonly requestText: string }[],
  keys: Keys,
): { readonly names: readonly string[]; readonly args: readonly string[] } {
  const kinds = new Map<string, string>()
  const kindNames: string[] = []
  const kindArgs: string[] = []
  const names: string[] = []
  const args: string[] = []

  function kindOf({ request: { agent_type: agentType }, priority, timeoutSeconds }: Acceptance): string {
    const kind = `${agentType} ${priority} ${timeoutSeconds}`
    const known = kinds.get(kind)
    if (known !== undefined) return known
    kindNames.push(keys.waiting(agentType), keys.prioritized(agentType))
    kindArgs.push(agentType, String(priority), String(timeoutSeconds), `(${(priority + 1) * PRIORITY_STEP}`)
    const number = String(kinds.size + 1)
    kinds.set(kind, number)
    return number
  }

  for (const { acceptance, requestText } of sessions) {
    const { sessionId, createdAt, createdBy, accepted } = acceptance
    names.push(keys.session(sessionId), keys.ended(sessionId))
    if (isCounted(acceptance)) names.push(keys.session(createdBy ?? sessionId))
    args.push(
      kindOf(acceptance),
      keys.live(sessionId),
      createdAt,
      `${openEvent(headerOf(acceptance, 1, 'drover.session.accepted'))}{"request":`,
      requestText,
      `,${JSON.stringify(accepted).slice(1)}}`,
      more(acceptance),
    )
  }
  return {
    names: [keys.events, ...kindNames, ...names],
    args: [String(kinds.size), ...kindArgs, ...args],
  }
}

/** Is it one of its parent's children, of which there may be so many? */
function isCounted({ createdBy, maxChildren }: Acceptance): boolean {
  return createdBy !== null && maxChildren != null
}

function headerOf({ sessionId, request, createdAt }: Acceptance, seq: number, type: string): EventHeader {
  return {
    session_id: sessionId,
    agent_id: null,
    agent_type: request.agent_type,
    epoch: 0,
    seq,
    line: null,
    ts: createdAt,
    type,
  }
}

/** What few sessions have, as the script takes it. */
function more(acceptance: Acceptance): string {
  const { digest, createdBy, accepted, events, maxChildren, unredactedPrompt, takenOut = [] } = acceptance
  const { redacted } = accepted
  const restartOf = accepted.restart_of ?? ''
  const isPlain = digest === '' && createdBy === null && restartOf === '' && redacted === undefined
  if (isPlain && events.length === 0) return ''
  const set = {
    digest,
    created_by: createdBy ?? '',
    restart_of: restartOf,
    redacted: redacted === undefined ? '' : JSON.stringify(redacted),
    // Half of a surrogate pair is no JSON for the script, which would refuse all sessions of its call.
    unredacted_prompt: unredactedPrompt?.toWellFormed() ?? '',
    taken_out: takenOut.length === 0 ? '' : JSON.stringify(takenOut),
  }
  return JSON.stringify({
    ...(isCounted(acceptance) ? { max_children: maxChildren } : {}),
    set: Object.entries(set).flatMap(([name, value]) => (value === '' ? [] : [name, value])),
    events: events.map(({ type, payload }, index) =>
      composeEvent(headerOf(acceptance, index + 2, type), JSON.stringify(payload)),
    ),
  })
}
