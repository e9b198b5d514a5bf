/** From the ledger's rows to the hashes of sessions, and what was given out. */
import { DEFAULT_PRIORITY } from '../core/request.ts'
import type { Actor } from '../core/envelope.ts'
import type { MessageSent, SessionAccepted, SessionEnded } from '../core/events.ts'
import { isEnded, isLive } from '../core/state.ts'
import type { RestorableEnd, RestorableSession } from '../ledger/restorable.ts'
import type { OpenMail } from '../ledger/open-mail.ts'
import type { RestoredMail } from '../queue/mail.ts'
import type { Marks, RestoredSession } from '../queue/restore.ts'
import type { RestoredTalk } from '../queue/restore-talk.ts'
import { knownBy } from '../queue/talk.ts'

/** CONTRACT §7: the timeout of a type that names none. Only for what was accepted without saying one. */
const DEFAULT_TIMEOUT_SECONDS = 3600
/** As long as the session script keeps the hash of an ended session: late jobs and repeated keys find it there. */
export const ENDED_TTL_MS = 24 * 3600 * 1000

/**
 * The hash of a session as the ledger knows it; null where its acceptance is not recorded, or its end is long ago.
 *
 * What the ledger does not have is counted anew: the free takeovers, and a restart that was asked for and not begun.
 * `recordedAt` stands for the ids of its events: all of them are recorded up to there.
 */
export function restoredSession(
  session: RestorableSession,
  recordedAt: string,
  now: Date,
): RestoredSession | null {
  if (session.accepted === null) return null
  const accepted = JSON.parse(session.accepted) as SessionAccepted
  const ended = session.ended
  const endedForMs = ended === null ? 0 : now.getTime() - Date.parse(ended.completed_at)
  if (endedForMs >= ENDED_TTL_MS) return null
  const last = session.agents.at(-1)
  return {
    sessionId: session.session_id,
    createdAt: session.created_at,
    seq: session.seq,
    epoch: last?.epoch ?? 0,
    expireSeconds: isEnded(session.status) ? (ENDED_TTL_MS - endedForMs) / 1000 : null,
    fields: {
      // Its agents' events are not here: it goes on from its acceptance.
      state: last === undefined && isLive(session.status) ? 'queued' : session.status,
      agent_type: session.agent_type,
      // As it is recorded: as it was given it was in Redis alone.
      request: JSON.stringify(accepted.request),
      redacted: accepted.redacted === undefined ? '' : JSON.stringify(accepted.redacted),
      digest: session.request_digest ?? '',
      created_at: session.created_at,
      created_by: session.created_by ?? '',
      children: session.children,
      restart_of: session.restart_of ?? '',
      priority: session.priority || DEFAULT_PRIORITY,
      timeout_seconds: session.timeout_seconds ?? DEFAULT_TIMEOUT_SECONDS,
      first_id: recordedAt,
      last_id: recordedAt,
      pod_id: last?.pod_id ?? '',
      pid: last?.pid ?? '',
      started_at: session.started_at ?? '',
      restarts: session.restarts,
      not_before: session.not_before === null ? 0 : Date.parse(session.not_before),
      paused_ms: session.paused_ms,
      waited_ms: session.waited_ms,
      waiting_since: session.waiting_since === null ? '' : Date.parse(session.waiting_since),
      interrupted_until: session.interrupted_until === null ? '' : Date.parse(session.interrupted_until),
      workspace_id: session.workspace_id ?? '',
      ...session.totals,
      // Each of these only where there is one: that it exists is what is asked for.
      ...(last === undefined ? {} : { agent_id: last.agent_id }),
      // Its end is recorded: a pod that still has it may add what it said, and change nothing.
      ...(last === undefined || isLive(session.status) ? {} : { over: last.epoch }),
      ...cancelOf(session),
      ...(ended === null ? {} : { ended: JSON.stringify(endedOf(session, ended)) }),
      ...agentsOf(session, recordedAt),
    },
  }
}

function cancelOf({ cancel }: RestorableSession): Record<string, string> {
  if (cancel === null) return {}
  return { cancel: JSON.stringify({ ...(JSON.parse(cancel.payload) as object), at: cancel.ts }) }
}

/** The cursor of each agent's lines, and which of them have said their last. */
function agentsOf({ agents }: RestorableSession, recordedAt: string): Record<string, string | number> {
  const fields: Record<string, string | number> = {}
  for (const agent of agents) {
    fields[`line:${agent.agent_id}`] = agent.line
    if (agent.closed) fields[`closed:${agent.agent_id}`] = recordedAt
  }
  return fields
}

function endedOf(session: RestorableSession, ended: RestorableEnd): SessionEnded & { completed_at: string } {
  const reported = ended.reported_totals === null ? session.totals : JSON.parse(ended.reported_totals)
  const { cost_micros, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens } =
    reported as RestorableSession['totals']
  return {
    status: ended.status,
    failure_reason: ended.failure_reason as SessionEnded['failure_reason'],
    message: ended.error_message,
    output: ended.result,
    cost_micros,
    usage: { input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens },
    num_turns: session.totals.num_turns,
    duration_ms: ended.duration_ms ?? 0,
    restarts: session.restarts,
    permission_denials: JSON.parse(ended.permission_denials) as unknown[],
    completed_at: ended.completed_at,
  }
}

/** What was said to a session that goes on, in the form in which it is kept. */
export function restoredTalk(session: RestorableSession, recordedAt: string): RestoredTalk | null {
  if (session.ended !== null || session.messages.length === 0) return null
  return {
    sessionId: session.session_id,
    messages: session.messages.map(({ seq, payload, delivered, startedBy }) => {
      const sent = JSON.parse(payload) as MessageSent
      return {
        messageId: sent.message_id,
        known: `${knownBy(sent)} ${recordedAt}`,
        kept: delivered ? '' : `${seq} ${payload}`,
        startedBy: startedBy ?? '',
      }
    }),
  }
}

/** An agent's id is its type, its day and a number of that day. */
const AGENT_ID = /^(.+-\d{8}-)(\d+)$/

/** What must not be given out again, from the ids that were. */
export function marksOf(epoch: number, agentIds: readonly string[]): Marks {
  const agentNumbers = new Map<string, number>()
  for (const id of agentIds) {
    const [, prefix, digits] = AGENT_ID.exec(id) ?? []
    if (prefix === undefined) continue
    agentNumbers.set(prefix, Math.max(agentNumbers.get(prefix) ?? 0, Number(digits)))
  }
  return { epoch, agentNumbers }
}

/** A message as the ledger knows it; its place is in microseconds, as the mail script gives them. */
export function restoredMail(mail: OpenMail): RestoredMail {
  const { actor, created_at, delivered_to, delivered, open, place, ...message } = mail
  const isOperators = message.to_session === null && message.to_agent_type === null
  return {
    sent: {
      channel: 'mail',
      ...message,
      agent_type: message.to_agent_type ?? message.from_agent_type ?? '',
      actor: JSON.parse(actor) as Actor,
    },
    createdAt: created_at,
    open: open === 1,
    holder: delivered === 0 ? null : isOperators ? 'operator' : delivered_to,
    place: Date.parse(created_at) * 1000 + (place % 1000),
  }
}
