/** Sessions that worked in a worktree, as the ledger knows them: whether it is still there only its machine knows. */
import type { SessionState } from '../core/state.ts'
import type { Db } from './database.ts'

export interface WorktreeRow {
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  readonly session_status: SessionState
  readonly workspace_dir: string | null
  readonly path: string
  readonly branch: string
  readonly pod_id: string | null
  readonly host: string | null
  /** When its last agent was spawned. */
  readonly created_at: string
}

export interface WorktreeRows {
  /** The last session of each worktree, newest first; of the last 2000 agents that worked in one. */
  list(): readonly WorktreeRow[]
  /** The worktree of a session, or of the last session of a task that had one. */
  of(id: string): WorktreeRow | null
}

const MOST_AGENTS = 2000
const COLUMNS = `s.session_id, s.agent_type, s.task_id, s.status AS session_status, s.workspace_dir,
    a.worktree_path AS path, a.worktree_branch AS branch, a.pod_id, a.host`

export function createWorktreeRows(db: Db): WorktreeRows {
  // SQLite takes the other columns from the row that has the maximum.
  const selectAll = db.prepare<[], WorktreeRow>(
    `SELECT ${COLUMNS}, max(a.spawned_at) AS created_at
     FROM (SELECT * FROM agent_lifecycle WHERE worktree_path IS NOT NULL ORDER BY spawned_at DESC LIMIT ${MOST_AGENTS}) AS a
     JOIN agent_sessions AS s USING (session_id)
     GROUP BY a.host, a.worktree_path ORDER BY created_at DESC`,
  )
  const selectOf = (column: 'session_id' | 'task_id') =>
    db.prepare<[string], WorktreeRow>(
      `SELECT ${COLUMNS}, a.spawned_at AS created_at
       FROM agent_sessions AS s JOIN agent_lifecycle AS a USING (session_id)
       WHERE s.${column} = ? AND a.worktree_path IS NOT NULL ORDER BY a.spawned_at DESC LIMIT 1`,
    )
  const [ofSession, ofTask] = [selectOf('session_id'), selectOf('task_id')]
  return {
    list: () => selectAll.all(),
    of: (id) => ofSession.get(id) ?? ofTask.get(id) ?? null,
  }
}
