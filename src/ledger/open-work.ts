/** What should have a job, a session or a verdict: the questions of `ensureJobs`, over indexed rows only. */
import type { Db } from './database.ts'
import { stringsOf } from './json-column.ts'
import type { TaskView } from './ledger.ts'
import { OPEN_STATES } from './open-states.ts'
import { failedDependencies, waitedFor } from './task-dependency.ts'
import { taskColumns, toTaskView, type TaskRow } from './task-view.ts'

/** A session that was accepted, has not ended, and waits for no task. */
export interface ReadySession {
  readonly sessionId: string
  readonly agentType: string
  readonly priority: number
}

/** A waiting task that can never start. */
export interface BlockedTask {
  readonly task: TaskView
  readonly blockedBy: readonly string[]
}

/** Without an id: all there are. With one: that one, where it is such. */
export interface OpenWork {
  readySessions(sessionId?: string): readonly ReadySession[]
  /** Tasks that wait for nothing any more and have no session. */
  readyTasks(taskId?: string): readonly TaskView[]
  /** Waiting tasks with a dependency that failed, was cancelled or is blocked itself. */
  blockedTasks(taskId?: string): readonly BlockedTask[]
}

const READY_SESSIONS = `SELECT s.session_id AS sessionId, s.agent_type AS agentType, s.priority
  FROM agent_sessions AS s
  WHERE s.status IN ${OPEN_STATES} AND NOT EXISTS (${waitedFor('s.task_id')})`
const READY_TASKS = `SELECT ${taskColumns('t.prompt')}
  FROM orchestrator_task AS t
  WHERE t.status = 'pending' AND t.session_id IS NULL AND NOT EXISTS (${waitedFor('t.task_id')})`
const BLOCKED_TASKS = `SELECT ${taskColumns('t.prompt')},
    (SELECT json_group_array(depends_on) FROM (${failedDependencies('t.task_id')})) AS blocked_by
  FROM orchestrator_task AS t
  WHERE t.status = 'pending' AND EXISTS (${failedDependencies('t.task_id')})`

/** Oldest first, so that what waited longest comes first. */
const BY_AGE = 'ORDER BY created_at, rowid'

type BlockedRow = TaskRow & { readonly blocked_by: string }

export function createOpenWork(db: Db): OpenWork {
  const allSessions = db.prepare<[], ReadySession>(`${READY_SESSIONS} ${BY_AGE}`)
  const oneSession = db.prepare<[string], ReadySession>(`${READY_SESSIONS} AND s.session_id = ?`)
  const allReady = db.prepare<[], TaskRow>(`${READY_TASKS} ${BY_AGE}`)
  const oneReady = db.prepare<[string], TaskRow>(`${READY_TASKS} AND t.task_id = ?`)
  const allBlocked = db.prepare<[], BlockedRow>(`${BLOCKED_TASKS} ${BY_AGE}`)
  const oneBlocked = db.prepare<[string], BlockedRow>(`${BLOCKED_TASKS} AND t.task_id = ?`)

  return {
    readySessions: (id) => (id === undefined ? allSessions.all() : oneSession.all(id)),
    readyTasks: (id) => (id === undefined ? allReady.all() : oneReady.all(id)).map(toTaskView),
    blockedTasks: (id) =>
      (id === undefined ? allBlocked.all() : oneBlocked.all(id)).map(({ blocked_by, ...row }) => ({
        task: toTaskView(row),
        blockedBy: stringsOf(blocked_by),
      })),
  }
}
