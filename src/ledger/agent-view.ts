/** Agents (processes of sessions) as lists and pages show them. */
import { TELLING_LINES } from '../core/doing.ts'
import { microsToUsd } from '../core/usage.ts'
import type { Db } from './database.ts'
import type { AgentView, AgentViews } from './ledger.ts'
import { createList } from './list.ts'
import { createUnbilledUsageTable } from './unbilled-usage.ts'

type AgentRow = Omit<AgentView, 'tail_unknown'> & { readonly tail_unknown: 0 | 1 }

const SELECT = `SELECT
    agent_id, agent_type, status, session_id, task_id, pid, pod_id, epoch, command, tier,
    host, worktree_path, worktree_branch,
    retry_count, created_at, spawned_at, started_at, completed_at, last_heartbeat, exit_code, exit_signal,
    error_message, tail_unknown
  FROM agent_lifecycle`

const TOLD = TELLING_LINES.map((type) => `'${type}'`).join(', ')
/** Further back nothing is looked for: a running tool call prints a line every 30 s, and nothing else is that long. */
const LATEST_LINES = 200

export function createAgentViews(db: Db): AgentViews {
  const selectById = db.prepare<[string], AgentRow>(`${SELECT} WHERE agent_id = ?`)
  const selectOfSession = db.prepare<[string], AgentRow>(`${SELECT} WHERE session_id = ? ORDER BY epoch`)
  const selectTold = db.prepare<
    [{ agent_id: string; session_id: string }],
    { type: string; payload: string }
  >(`
    SELECT type, payload FROM session_event
    WHERE session_id = @session_id AND agent_id = @agent_id AND +type IN (${TOLD})
      AND seq > (SELECT max(seq) FROM session_event WHERE session_id = @session_id) - ${LATEST_LINES}
    ORDER BY seq DESC LIMIT 1`)
  const selectHealth = db
    .prepare<[string], string>(
      `SELECT health_status FROM agent_lifecycle_events
       WHERE agent_id = ? AND health_status IS NOT NULL ORDER BY seq DESC LIMIT 1`,
    )
    .pluck()
  const unbilled = createUnbilledUsageTable(db, 'running')
  const list = createList<AgentRow, AgentView>(db, {
    select: SELECT,
    time: 'spawned_at',
    id: 'agent_id',
    columns: {
      status: 'status',
      agentType: 'agent_type',
      taskId: 'task_id',
      sessionId: 'session_id',
      podId: 'pod_id',
    },
    // All in one index (`agent_lifecycle_named`), so that what does not match is not read.
    searched: ['agent_id', 'agent_type', 'session_id', 'task_id', 'pod_id'],
    toView,
    placeOf: (row) => [row.spawned_at, row.agent_id],
  })

  return {
    list,
    get(agentId) {
      const row = selectById.get(agentId)
      return row === undefined ? null : toView(row)
    },
    ofSession: (sessionId) => selectOfSession.all(sessionId).map(toView),
    lastTold: ({ agent_id, session_id }) => selectTold.get({ agent_id, session_id }) ?? null,
    unbilledUsd(agentId) {
      const models = unbilled.of(agentId, Number.POSITIVE_INFINITY)?.models ?? []
      return microsToUsd(
        Math.round(models.reduce((sum, { cost_nanos }) => sum + (cost_nanos ?? 0), 0) / 1000),
      )
    },
    lastHealth: (agentId) => selectHealth.get(agentId) ?? null,
  }
}

function toView(row: AgentRow): AgentView {
  return { ...row, tail_unknown: row.tail_unknown === 1 }
}
