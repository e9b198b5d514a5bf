/** Sessions as lists, pages and answers show them. */
import type { CompletedAnswer } from '../core/answer.ts'
import { FAILURE_REASONS, isEnded, type EndState, type SessionState } from '../core/state.ts'
import { microsToUsd } from '../core/usage.ts'
import type { Db } from './database.ts'
import { arrayOf, stringsOf, varsOf } from './json-column.ts'
import type { SessionView, SessionViews } from './ledger.ts'
import { createList, previewOf, type IndexedSearch } from './list.ts'
import { waitedFor } from './task-dependency.ts'

/** CONTRACT §7: the timeout of a type that names none. Only for sessions whose end came before their type was read. */
const DEFAULT_TIMEOUT_SECONDS = 3600

/** By the event in which a session was accepted: sessions have no number of their own that lasts. */
const ASKED_FROM = `asked_search AS f
  CROSS JOIN session_event AS e ON e.event_id = f.rowid
  CROSS JOIN agent_sessions AS s ON s.session_id = e.session_id`

/** One or two characters are in nearly every session: only these newest ones are looked at. */
const SHORT_SEARCH_SESSIONS = 5000

interface SessionRow extends Omit<
  SessionView,
  'status' | 'success' | 'cost_estimated' | 'incomplete' | 'waiting_for' | 'vars'
> {
  readonly status: SessionState
  readonly success: 0 | 1 | null
  readonly cost_estimated: 0 | 1
  readonly incomplete: 0 | 1
  /** JSON array of task ids. */
  readonly waiting_for: string
  /** JSON object. */
  readonly vars: string | null
  readonly permission_denials: string
  readonly estimated_cost_micros: number
}

/** The columns of a session; the texts as the caller wants them. */
function selectOf(result: string, description: string): string {
  return `SELECT
    s.session_id, s.agent_type, s.task_id, ${description} AS task_description, s.workspace_dir, s.created_by,
    s.restart_of, s.orchestrator_id, s.status, s.created_at, s.started_at, s.completed_at, s.success,
    ${result} AS result, s.error_message, s.failure_reason, s.restarts, s.estimated_cost_micros,
    s.estimated_cost_usd, s.cost_estimated, s.input_tokens, s.output_tokens, s.cache_read_tokens,
    s.cache_creation_tokens, s.num_turns, s.duration_ms, s.incomplete, s.pruned_at, s.priority, s.timeout_seconds,
    s.permission_denials, s.template, s.vars, a.agent_id, a.pid, coalesce(a.pod_id, s.pod_id) AS pod_id,
    CASE WHEN s.status = 'queued' AND s.task_id IS NOT NULL THEN (
      SELECT json_group_array(depends_on) FROM (${waitedFor('s.task_id')}))
    ELSE '[]' END AS waiting_for
  FROM agent_sessions AS s
  LEFT JOIN agent_lifecycle AS a ON a.agent_id = (
    SELECT agent_id FROM agent_lifecycle WHERE session_id = s.session_id ORDER BY epoch DESC LIMIT 1)`
}

const ASKED: IndexedSearch = {
  from: ASKED_FROM,
  matches: 'f.text MATCH @q',
  place: 'f.rowid',
  cursorPlace: '(SELECT event_id FROM session_event WHERE session_id = @cursorId AND seq = 1)',
  oldestForShort: `(SELECT min(created_at) FROM (
    SELECT created_at FROM agent_sessions ORDER BY created_at DESC LIMIT ${SHORT_SEARCH_SESSIONS}))`,
}

export function createSessionViews(db: Db): SessionViews {
  const selectById = db.prepare<[string], SessionRow>(
    `${selectOf('s.result', 's.task_description')} WHERE s.session_id = ?`,
  )
  const selectRestart = db
    .prepare<[string], string>(
      'SELECT session_id FROM agent_sessions WHERE restart_of = ? ORDER BY created_at DESC LIMIT 1',
    )
    .pluck()
  const list = createList<SessionRow, SessionView>(db, {
    select: selectOf(previewOf('s.result'), previewOf('s.task_description')),
    time: 's.created_at',
    id: 's.session_id',
    columns: {
      status: 's.status',
      agentType: 's.agent_type',
      taskId: 's.task_id',
      createdBy: 's.created_by',
      orchestratorId: 's.orchestrator_id',
      failureReason: 's.failure_reason',
      idPrefix: 's.session_id',
    },
    indexed: ASKED,
    searched: ['s.session_id', 's.agent_type', 's.task_id', 's.orchestrator_id', 's.task_description'],
    toView,
    placeOf: (row) => [row.created_at, row.session_id],
  })

  return {
    list,
    get(sessionId) {
      const row = selectById.get(sessionId)
      return row === undefined ? null : toView(row)
    },
    restartOf: (sessionId) => selectRestart.get(sessionId) ?? null,
    completedAnswer(sessionId) {
      const row = selectById.get(sessionId)
      return row !== undefined && isEnded(row.status) ? toAnswer(row, row.status) : null
    },
  }
}

function toView(row: SessionRow): SessionView {
  const { permission_denials: _denials, estimated_cost_micros: _micros, ...columns } = row
  return {
    ...columns,
    success: row.success === null ? null : row.success === 1,
    cost_estimated: row.cost_estimated === 1,
    incomplete: row.incomplete === 1,
    waiting_for: stringsOf(row.waiting_for),
    vars: varsOf(row.vars),
  }
}

function toAnswer(row: SessionRow, status: EndState): CompletedAnswer {
  const timeoutSeconds = row.timeout_seconds ?? DEFAULT_TIMEOUT_SECONDS
  const success = row.success === 1
  const answer = {
    success,
    agent_id: row.agent_id,
    session_id: row.session_id,
    agent_type: row.agent_type,
    task_id: row.task_id,
    status,
    pid: row.pid,
    created_at: row.created_at,
    started_at: row.started_at,
    expected_completion:
      row.started_at === null
        ? null
        : new Date(Date.parse(row.started_at) + timeoutSeconds * 1000).toISOString(),
    timeout_seconds: timeoutSeconds,
    completed_at: row.completed_at ?? row.created_at,
    output: row.result,
    cost: microsToUsd(row.estimated_cost_micros),
    cost_estimated: row.cost_estimated === 1,
    usage: {
      input_tokens: row.input_tokens,
      output_tokens: row.output_tokens,
      cache_read_tokens: row.cache_read_tokens,
      cache_creation_tokens: row.cache_creation_tokens,
    },
    num_turns: row.num_turns,
    duration_ms: row.duration_ms ?? 0,
    restarts: row.restarts,
    permission_denials: arrayOf(row.permission_denials),
  }
  if (success) return answer
  return {
    ...answer,
    error: 'session_failed',
    failure_reason: FAILURE_REASONS.find((reason) => reason === row.failure_reason) ?? 'agent_error',
    message: row.error_message ?? 'The session failed.',
  }
}
