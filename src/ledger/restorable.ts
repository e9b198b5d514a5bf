/** What Redis has of a session, as far as the ledger knows it: for the write-back after Redis lost data. */
import type { EndState, SessionState } from '../core/state.ts'
import type { Db } from './database.ts'
import { modelSums } from './invocation-model-usage.ts'
import { OPEN_STATES } from './open-states.ts'
import { createWaitsOf, OVER, type RestorableWaits } from './restorable-waits.ts'

/** An agent of a session. */
export interface RestorableAgent {
  readonly agent_id: string
  readonly epoch: number
  readonly pid: number | null
  readonly pod_id: string | null
  /** Highest recorded line of its spool. */
  readonly line: number
  /** Its closing event is recorded and says how many lines there were. */
  readonly closed: boolean
}

/** Tokens, cost and turns over all results of all agents. */
export interface RestorableTotals {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_tokens: number
  readonly cache_creation_tokens: number
  readonly cost_micros: number
  readonly num_turns: number
}

export interface RestorableSession extends RestorableWaits {
  readonly session_id: string
  readonly agent_type: string
  readonly status: SessionState
  readonly created_at: string
  readonly created_by: string | null
  /** Sessions that it has asked for. */
  readonly children: number
  readonly restart_of: string | null
  readonly priority: number
  readonly timeout_seconds: number | null
  readonly request_digest: string | null
  readonly started_at: string | null
  readonly restarts: number
  readonly workspace_id: string | null
  readonly seq: number
  /** Payload of the accepted event; null where that event is not here: such a session cannot be made again. */
  readonly accepted: string | null
  /** Until when it rests (ISO time), while it waits for a restart or a limit. */
  readonly not_before: string | null
  /** Payload of the last request to cancel it, and when that was asked; null without one. */
  readonly cancel: { readonly payload: string; readonly ts: string } | null
  readonly totals: RestorableTotals
  /** Oldest first. */
  readonly agents: readonly RestorableAgent[]
  readonly ended: RestorableEnd | null
}

export interface RestorableEnd {
  readonly status: EndState
  readonly completed_at: string
  readonly failure_reason: string | null
  readonly error_message: string | null
  readonly result: string | null
  readonly duration_ms: number | null
  /** JSON */
  readonly permission_denials: string
  /** JSON: usage and `cost_micros` as the end reported them. */
  readonly reported_totals: string | null
}

export interface EndedSession {
  readonly session_id: string
  readonly agent_type: string
  readonly status: EndState
  readonly created_at: string
  readonly completed_at: string
  readonly request_digest: string | null
  readonly timeout_seconds: number | null
}

export interface Restorable {
  /** Sessions that have not ended, and those that ended at or after `endedSince` (ISO time); oldest first. */
  sessionIds(endedSince: string): readonly string[]
  /** Sessions that have not ended. */
  openIds(): readonly string[]
  /** Sessions that ended at or after `since` (ISO time), oldest first: what is remembered of them. */
  endedSince(since: string): readonly EndedSession[]
  /** Null where there is no such session. */
  session(sessionId: string): RestorableSession | null
  /** The highest epoch of any agent; 0 where there was none. */
  highestEpoch(): number
  /** Ids of the agents that were spawned at or after `since` (ISO time). */
  agentIds(since: string): readonly string[]
  /** May an agent be alive, as far as is recorded? */
  hasLiveSession(): boolean
}

type SessionRow = Omit<
  RestorableSession,
  | 'seq'
  | 'children'
  | 'accepted'
  | 'not_before'
  | keyof RestorableWaits
  | 'cancel'
  | 'totals'
  | 'agents'
  | 'ended'
> & {
  readonly cancel_requested_at: string | null
  readonly completed_at: string | null
  readonly failure_reason: string | null
  readonly error_message: string | null
  readonly result: string | null
  readonly duration_ms: number | null
  readonly permission_denials: string
  readonly reported_totals: string | null
}

export function createRestorable(db: Db): Restorable {
  const waitsOf = createWaitsOf(db)
  const selectIds = db
    .prepare<[string], string>(
      `SELECT session_id FROM agent_sessions
       WHERE status IN ${OPEN_STATES} OR completed_at >= ? ORDER BY rowid`,
    )
    .pluck()
  const selectOpenIds = db
    .prepare<[], string>(`SELECT session_id FROM agent_sessions WHERE status IN ${OPEN_STATES}`)
    .pluck()
  const selectEndedSince = db.prepare<[string], EndedSession>(`
    SELECT session_id, agent_type, status, created_at, completed_at, request_digest, timeout_seconds
    FROM agent_sessions WHERE completed_at >= ? ORDER BY completed_at`)
  const selectSession = db.prepare<[string], SessionRow>(`
    SELECT session_id, agent_type, status, created_at, created_by, restart_of, priority, timeout_seconds,
      request_digest, started_at, restarts, workspace_id, cancel_requested_at, completed_at, failure_reason,
      error_message, result, duration_ms, permission_denials, reported_totals
    FROM agent_sessions WHERE session_id = ?`)
  const selectSeq = db
    .prepare<[string], number>('SELECT coalesce(max(seq), 0) FROM session_event WHERE session_id = ?')
    .pluck()
  const selectChildren = db
    .prepare<[{ readonly id: string }], number>(
      // A task is one, however often it runs, and before it has run.
      `SELECT (SELECT count(DISTINCT coalesce(task_id, session_id)) FROM agent_sessions
          WHERE parent_session_id = @id AND restart_of IS NULL)
        + (SELECT count(*) FROM orchestrator_task AS t WHERE t.created_by = @id
            AND NOT EXISTS (SELECT 1 FROM agent_sessions AS s WHERE s.task_id = t.task_id))`,
    )
    .pluck()
  const selectAccepted = db
    .prepare<[string], string>(
      `SELECT payload FROM session_event WHERE session_id = ? AND seq = 1 AND type = 'drover.session.accepted'`,
    )
    .pluck()
  // From the end: for the states that ask for it, it is among the last events.
  const selectRest = db
    .prepare<[string], string | null>(
      `SELECT coalesce(payload ->> '$.not_before', payload ->> '$.until') FROM session_event
       WHERE session_id = ? AND type IN ('drover.session.restarting', 'drover.session.paused_limit')
       ORDER BY seq DESC LIMIT 1`,
    )
    .pluck()
  const selectCancel = db.prepare<[string], { readonly payload: string; readonly ts: string }>(
    `SELECT payload, ts FROM session_event
     WHERE session_id = ? AND type = 'drover.session.cancel_requested' ORDER BY seq DESC LIMIT 1`,
  )
  // Of results alone, as the hash counts them: no estimate.
  const selectTotals = db.prepare<[{ readonly sessionId: string }], RestorableTotals>(`
    SELECT input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
      CAST(round(cost_nanos / 1000.0) AS INTEGER) AS cost_micros,
      (SELECT coalesce(sum(num_turns), 0) FROM claude_invocations WHERE session_id = @sessionId) AS num_turns
    FROM (SELECT ${modelSums('u')} FROM invocation_model_usage AS u WHERE session_id = @sessionId AND estimated = 0)`)
  const selectAgents = db.prepare<[string], Omit<RestorableAgent, 'closed'> & { readonly closed: 0 | 1 }>(`
    SELECT a.agent_id, a.epoch, a.pid, a.pod_id, a.spool_lines IS NOT NULL AND NOT a.tail_unknown AS closed,
      -- Not the highest of session_event, where retention may have taken it away; less what is missing at the end.
      coalesce(g.first - 1, r.last_line, 0) AS line
    FROM agent_lifecycle AS a
    LEFT JOIN recorded_spool AS r USING (agent_id, epoch)
    LEFT JOIN event_gap AS g ON g.session_id = a.session_id AND g.agent_id = a.agent_id AND g.epoch = a.epoch
      AND g.last = r.last_line AND g.filled_at IS NULL
    WHERE a.session_id = ? ORDER BY a.epoch`)
  const selectEpoch = db.prepare<[], number>('SELECT coalesce(max(epoch), 0) FROM agent_lifecycle').pluck()
  const selectAgentIds = db
    .prepare<[string], string>('SELECT agent_id FROM agent_lifecycle WHERE spawned_at >= ?')
    .pluck()
  const selectLive = db
    .prepare<[], number>(
      `SELECT EXISTS (SELECT 1 FROM agent_sessions WHERE status IN ('starting', 'running', 'waiting_input'))`,
    )
    .pluck()

  return {
    sessionIds: (endedSince) => selectIds.all(endedSince),
    openIds: () => selectOpenIds.all(),
    endedSince: (since) => selectEndedSince.all(since),
    session(sessionId) {
      const row = selectSession.get(sessionId)
      if (row === undefined) return null
      const agents = selectAgents.all(sessionId).map((agent) => ({ ...agent, closed: agent.closed === 1 }))
      const rests = row.status === 'restarting' || row.status === 'paused_limit'
      return {
        ...row,
        seq: selectSeq.get(sessionId) ?? 0,
        children: selectChildren.get({ id: sessionId }) ?? 0,
        accepted: selectAccepted.get(sessionId) ?? null,
        not_before: rests ? (selectRest.get(sessionId) ?? null) : null,
        ...(row.completed_at === null ? waitsOf(sessionId, agents.at(-1)?.agent_id) : OVER),
        cancel: row.cancel_requested_at === null ? null : (selectCancel.get(sessionId) ?? null),
        totals: selectTotals.get({ sessionId }) ?? NOTHING,
        agents,
        ended: endOf(row),
      }
    },
    highestEpoch: () => selectEpoch.get() ?? 0,
    agentIds: (since) => selectAgentIds.all(since),
    hasLiveSession: () => selectLive.get() === 1,
  }
}

const NOTHING: RestorableTotals = {
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_creation_tokens: 0,
  cost_micros: 0,
  num_turns: 0,
}

function endOf(row: SessionRow): RestorableEnd | null {
  const { status, completed_at } = row
  if (completed_at === null) return null
  if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') return null
  return {
    status,
    completed_at,
    failure_reason: row.failure_reason,
    error_message: row.error_message,
    result: row.result,
    duration_ms: row.duration_ms,
    permission_denials: row.permission_denials,
    reported_totals: row.reported_totals,
  }
}
