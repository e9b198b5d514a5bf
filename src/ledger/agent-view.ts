/** Agents (processes of sessions) as lists and pages show them. */
import type { Db } from './database.ts'
import type { AgentView, AgentViews } from './ledger.ts'
import { createList } from './list.ts'

type AgentRow = Omit<AgentView, 'tail_unknown'> & { readonly tail_unknown: 0 | 1 }

const SELECT = `SELECT
    agent_id, agent_type, status, session_id, task_id, pid, pod_id, epoch, command, tier,
    host, worktree_path, worktree_branch,
    retry_count, created_at, spawned_at, started_at, completed_at, last_heartbeat, exit_code, exit_signal,
    error_message, tail_unknown
  FROM agent_lifecycle`

export function createAgentViews(db: Db): AgentViews {
  const selectById = db.prepare<[string], AgentRow>(`${SELECT} WHERE agent_id = ?`)
  const selectOfSession = db.prepare<[string], AgentRow>(`${SELECT} WHERE session_id = ? ORDER BY epoch`)
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
  }
}

function toView(row: AgentRow): AgentView {
  return { ...row, tail_unknown: row.tail_unknown === 1 }
}
