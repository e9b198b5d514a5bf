/** Table `agent_sessions`, as the recorder writes it. An ended session keeps its state; a trigger stands behind that. */
import type { Usage } from '../core/envelope.ts'
import type { EndState, FailureReason, SessionState } from '../core/state.ts'
import type { Db } from './database.ts'
import { modelSums, TOKENS } from './invocation-model-usage.ts'
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
  /** Of a template's prompt; `vars` as JSON. */
  readonly template: string | null
  readonly vars: string | null
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
  /** Of results alone, as the session's hash has them. */
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
   * Brings totals and `incomplete` up to date with the usage of the session's models, its agents and faults. Depends
   * on nothing but those rows, so that it does not matter when or how often it is called.
   */
  settle(sessionId: string): void
}

const OPEN = `status NOT IN ('completed', 'failed', 'cancelled')`

export function createAgentSessionTable(db: Db): AgentSessionTable {
  const insertBare = db.prepare(`
    INSERT INTO agent_sessions (session_id, agent_type, created_at, root_session_id)
    VALUES (@sessionId, @agentType, @ts, @sessionId)
    ON CONFLICT (session_id) DO NOTHING`)
  const insertAccepted = db.prepare(`
    INSERT INTO agent_sessions (
      session_id, agent_type, task_id, task_description, workspace_dir, created_by, restart_of, orchestrator_id,
      root_session_id, created_at, priority, timeout_seconds, auto_restart, idempotency_key, request_digest, actor,
      template, vars)
    VALUES (
      @session_id, @agent_type, @task_id, @task_description, @workspace_dir, @created_by, @restart_of,
      @orchestrator_id, @root_session_id, @created_at, @priority, @timeout_seconds, @auto_restart, @idempotency_key,
      @request_digest, @actor, @template, @vars)
    ON CONFLICT (session_id) DO UPDATE SET
      task_id = excluded.task_id, task_description = excluded.task_description,
      workspace_dir = excluded.workspace_dir, created_by = excluded.created_by, restart_of = excluded.restart_of,
      orchestrator_id = excluded.orchestrator_id, root_session_id = excluded.root_session_id, created_at = excluded.created_at, priority = excluded.priority,
      timeout_seconds = excluded.timeout_seconds, auto_restart = excluded.auto_restart,
      idempotency_key = excluded.idempotency_key, request_digest = excluded.request_digest, actor = excluded.actor,
      template = excluded.template, vars = excluded.vars`)
  const selectRoot = db
    .prepare<[string], string>('SELECT root_session_id FROM agent_sessions WHERE session_id = ?')
    .pluck()
  // Those of its tree that were recorded before it.
  const updateRoots = db.prepare(
    'UPDATE agent_sessions SET root_session_id = @root WHERE root_session_id = @sessionId',
  )
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
      reported_totals = @reported_totals
    WHERE session_id = @session_id AND ${OPEN}`)
  const updateTotals = db.prepare(SETTLE)

  return {
    ensure: (sessionId, agentType, ts) => void insertBare.run({ sessionId, agentType, ts }),
    accept(session) {
      const parent = session.restart_of ?? session.created_by
      const root = parent === null ? session.session_id : (selectRoot.get(parent) ?? parent)
      insertAccepted.run({
        ...session,
        root_session_id: root,
        auto_restart: session.auto_restart === null ? null : Number(session.auto_restart),
      })
      if (root !== session.session_id) updateRoots.run({ root, sessionId: session.session_id })
    },
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
        reported_totals: JSON.stringify(totals),
      }),
    settle: (sessionId) => void updateTotals.run({ sessionId }),
  }
}

/** True where the results add up to less than the end reported; more comes of a superseded agent's late result. */
function isShort(tokens: string): string {
  return `billed.${tokens} < coalesce(s.reported_totals ->> '$.${tokens}', 0)`
}

/** The end's cost is a sum of rounded ones: it may be off by a part of a micro-dollar per result. */
const COST_IS_SHORT = `billed.cost_nanos + 1000 * (
    SELECT coalesce(sum(results), 0) FROM claude_invocations WHERE session_id = @sessionId
  ) < 1000 * coalesce(s.reported_totals ->> '$.cost_micros', 0)`

const SETTLE = `
  UPDATE agent_sessions AS s SET
    ${TOKENS.map((tokens) => `${tokens} = used.${tokens}`).join(', ')},
    cost_nanos = used.cost_nanos,
    estimated_cost_micros = round(used.cost_nanos / 1000.0),
    cost_estimated = used.estimated,
    incomplete =
      (s.reported_totals IS NOT NULL AND (${[...TOKENS.map(isShort), COST_IS_SHORT].join(' OR ')}))
      OR EXISTS (
        SELECT 1 FROM agent_lifecycle AS a LEFT JOIN recorded_spool AS r USING (agent_id, epoch)
        WHERE a.session_id = s.session_id AND (a.tail_unknown OR coalesce(${IS_ALTERED}, 0)))
      OR EXISTS (SELECT 1 FROM event_gap AS g WHERE g.session_id = s.session_id AND g.filled_at IS NULL)
      OR EXISTS (SELECT 1 FROM recorder_fault AS f WHERE f.session_id = s.session_id)
  FROM
    (SELECT ${modelSums('u')} FROM invocation_model_usage AS u WHERE session_id = @sessionId) AS used,
    (SELECT ${modelSums('u')} FROM invocation_model_usage AS u WHERE session_id = @sessionId AND estimated = 0) AS billed
  WHERE s.session_id = @sessionId`
