/** Table `agent_sessions`, as the recorder writes it. An ended session keeps its state; a trigger stands behind that. */
import type { Usage } from '../core/envelope.ts'
import type { EndState, FailureReason, SessionState } from '../core/state.ts'
import type { Db } from './database.ts'
import { IS_ALTERED } from './recorded-spool.ts'

/** What the acceptance says of a session. */
export interface AcceptedSession {
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  readonly task_description: string
  readonly workspace_dir: string
  readonly created_by: string | null
  readonly restart_of: string | null
  readonly orchestrator_id: string | null
  readonly created_at: string
  readonly priority: number
  readonly timeout_seconds: number | null
  readonly auto_restart: boolean | null
  readonly idempotency_key: string | null
  readonly request_digest: string
  /** JSON */
  readonly actor: string
}

/** What its end says. */
export interface EndedSession {
  readonly session_id: string
  readonly status: EndState
  readonly completed_at: string
  readonly result: string | null
  readonly error_message: string | null
  readonly failure_reason: FailureReason | null
  readonly restarts: number
  readonly num_turns: number
  readonly duration_ms: number
  /** JSON */
  readonly permission_denials: string
  readonly cost_estimated: boolean
  readonly totals: Usage & { readonly cost_micros: number }
}

export interface AgentSessionTable {
  /** A row for a session whose acceptance is not here, so that its other events have a place. */
  ensure(sessionId: string, agentType: string, ts: string): void
  accept(session: AcceptedSession): void
  /** The task that the session is a run of. */
  taskOf(sessionId: string): string | null
  claim(sessionId: string, podId: string, ts: string): void
  /** The workspace that its last agent began in. */
  setWorkspace(sessionId: string, workspaceId: string): void
  /** A state on the way; nothing happens once the session has ended. */
  move(sessionId: string, to: Exclude<SessionState, EndState>): void
  /** Only from `waiting_input`. */
  resume(sessionId: string): void
  /** Its agent is gone, and unless another event says more, it waits for the next one. */
  requeue(sessionId: string): void
  /** The first start is kept. */
  start(sessionId: string, startedAt: string): void
  restart(sessionId: string, restarts: number): void
  requestCancel(sessionId: string, ts: string): void
  end(session: EndedSession): void
  /**
   * Brings totals and `incomplete` up to date with the session's invocations, agents and faults. Depends on nothing
   * but those rows, so that it does not matter when or how often it is called.
   */
  settle(sessionId: string): void
}

const OPEN = `status NOT IN ('completed', 'failed', 'cancelled')`

export function createAgentSessionTable(db: Db): AgentSessionTable {
  const insertBare = db.prepare(`
    INSERT INTO agent_sessions (session_id, agent_type, created_at) VALUES (?, ?, ?)
    ON CONFLICT (session_id) DO NOTHING`)
  const insertAccepted = db.prepare(`
    INSERT INTO agent_sessions (
      session_id, agent_type, task_id, task_description, workspace_dir, created_by, restart_of, orchestrator_id,
      created_at, priority, timeout_seconds, auto_restart, idempotency_key, request_digest, actor)
    VALUES (
      @session_id, @agent_type, @task_id, @task_description, @workspace_dir, @created_by, @restart_of,
      @orchestrator_id, @created_at, @priority, @timeout_seconds, @auto_restart, @idempotency_key, @request_digest,
      @actor)
    ON CONFLICT (session_id) DO UPDATE SET
      task_id = excluded.task_id, task_description = excluded.task_description,
      workspace_dir = excluded.workspace_dir, created_by = excluded.created_by, restart_of = excluded.restart_of,
      orchestrator_id = excluded.orchestrator_id, created_at = excluded.created_at, priority = excluded.priority,
      timeout_seconds = excluded.timeout_seconds, auto_restart = excluded.auto_restart,
      idempotency_key = excluded.idempotency_key, request_digest = excluded.request_digest, actor = excluded.actor`)
  const selectTask = db
    .prepare<[string], string | null>('SELECT task_id FROM agent_sessions WHERE session_id = ?')
    .pluck()
  const updateClaimed = db.prepare(
    'UPDATE agent_sessions SET pod_id = @podId, claimed_at = @ts WHERE session_id = @sessionId',
  )
  const updateWorkspace = db.prepare(
    'UPDATE agent_sessions SET workspace_id = @workspaceId WHERE session_id = @sessionId',
  )
  const updateStatus = db.prepare(
    `UPDATE agent_sessions SET status = @to WHERE session_id = @sessionId AND ${OPEN}`,
  )
  const updateResumed = db.prepare(
    `UPDATE agent_sessions SET status = 'running' WHERE session_id = ? AND status = 'waiting_input'`,
  )
  const updateRequeued = db.prepare(`
    UPDATE agent_sessions SET status = 'queued'
    WHERE session_id = ? AND status IN ('starting', 'running', 'waiting_input')`)
  const updateStarted = db.prepare(`
    UPDATE agent_sessions SET status = 'running', started_at = coalesce(started_at, @startedAt)
    WHERE session_id = @sessionId AND ${OPEN}`)
  const updateRestarts = db.prepare(`
    UPDATE agent_sessions SET status = 'restarting', restarts = @restarts
    WHERE session_id = @sessionId AND ${OPEN}`)
  const updateCancelRequested = db.prepare(`
    UPDATE agent_sessions SET cancel_requested_at = coalesce(cancel_requested_at, @ts)
    WHERE session_id = @sessionId`)
  const updateEnded = db.prepare(`
    UPDATE agent_sessions SET
      status = @status, success = @success, completed_at = @completed_at, result = @result,
      error_message = @error_message, failure_reason = @failure_reason, restarts = @restarts,
      num_turns = @num_turns, duration_ms = @duration_ms, permission_denials = @permission_denials,
      cost_estimated = @cost_estimated, reported_totals = @reported_totals
    WHERE session_id = @session_id AND ${OPEN}`)
  const updateTotals = db.prepare(SETTLE)

  return {
    ensure: (sessionId, agentType, ts) => void insertBare.run(sessionId, agentType, ts),
    accept: (session) =>
      void insertAccepted.run({
        ...session,
        auto_restart: session.auto_restart === null ? null : Number(session.auto_restart),
      }),
    taskOf: (sessionId) => selectTask.get(sessionId) ?? null,
    claim: (sessionId, podId, ts) => void updateClaimed.run({ sessionId, podId, ts }),
    setWorkspace: (sessionId, workspaceId) => void updateWorkspace.run({ sessionId, workspaceId }),
    move: (sessionId, to) => void updateStatus.run({ sessionId, to }),
    resume: (sessionId) => void updateResumed.run(sessionId),
    requeue: (sessionId) => void updateRequeued.run(sessionId),
    start: (sessionId, startedAt) => void updateStarted.run({ sessionId, startedAt }),
    restart: (sessionId, restarts) => void updateRestarts.run({ sessionId, restarts }),
    requestCancel: (sessionId, ts) => void updateCancelRequested.run({ sessionId, ts }),
    end: ({ totals, ...session }) =>
      void updateEnded.run({
        ...session,
        success: Number(session.status === 'completed'),
        cost_estimated: Number(session.cost_estimated),
        reported_totals: JSON.stringify(totals),
      }),
    settle: (sessionId) => void updateTotals.run({ sessionId }),
  }
}

/** One total: the sum over the lines, but at least what the end reported where that holds an estimate. */
function total(column: string, key: string): string {
  return `${column} = max(lines.${key}, iif(s.cost_estimated, coalesce(s.reported_totals ->> '$.${key}', 0), 0))`
}

/** True where the lines add up to less than the end reported; more comes of a superseded agent's late result. */
function isShort(key: string): string {
  return `lines.${key} < coalesce(s.reported_totals ->> '$.${key}', 0)`
}

/**
 * An estimate stands for an agent that ended without a result. When its lines arrive late after all, their sum takes
 * the estimate's place as soon as it is more, so that nothing is counted twice.
 */
const SETTLE = `
  UPDATE agent_sessions AS s SET
    ${total('input_tokens', 'input_tokens')},
    ${total('output_tokens', 'output_tokens')},
    ${total('cache_read_tokens', 'cache_read_tokens')},
    ${total('cache_creation_tokens', 'cache_creation_tokens')},
    ${total('estimated_cost_micros', 'cost_micros')},
    incomplete =
      (s.reported_totals IS NOT NULL AND NOT s.cost_estimated AND (
        ${['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens', 'cost_micros']
          .map(isShort)
          .join(' OR ')}))
      OR EXISTS (
        SELECT 1 FROM agent_lifecycle AS a LEFT JOIN recorded_spool AS r USING (agent_id, epoch)
        WHERE a.session_id = s.session_id AND (a.tail_unknown OR coalesce(${IS_ALTERED}, 0)))
      OR EXISTS (SELECT 1 FROM event_gap AS g WHERE g.session_id = s.session_id AND g.filled_at IS NULL)
      OR EXISTS (SELECT 1 FROM recorder_fault AS f WHERE f.session_id = s.session_id)
  FROM (
    SELECT
      coalesce(sum(input_tokens), 0) AS input_tokens,
      coalesce(sum(output_tokens), 0) AS output_tokens,
      coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
      coalesce(sum(cache_creation_tokens), 0) AS cache_creation_tokens,
      coalesce(sum(cost_micros), 0) AS cost_micros
    FROM claude_invocations WHERE session_id = @sessionId
  ) AS lines
  WHERE s.session_id = @sessionId`
