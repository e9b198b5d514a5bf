/** Tables `orchestrator_task` and `task_dependency`, as the recorder writes them. */
import type { TaskState } from '../core/state.ts'
import type { Db } from './database.ts'
import { failedDependencies, waitedFor } from './task-dependency.ts'

export interface PendingTask {
  readonly task_id: string
  readonly agent_type: string
  readonly prompt: string
  readonly priority: number
  readonly priority_number: number | null
  readonly workspace_dir: string | null
  readonly worktree: boolean | null
  readonly created_at: string
  readonly run: number
  /** Of a template's prompt; `vars` as JSON. */
  readonly template: string | null
  readonly vars: string | null
  /** What was taken out of prompt and variables, as JSON; null for nothing. */
  readonly redacted: string | null
  /** The session whose agent added it. */
  readonly created_by: string | null
}

/** How a task's run ended. */
export interface EndedTask {
  readonly taskId: string
  readonly sessionId: string | null
  readonly run: number | null
  readonly status: Extract<TaskState, 'completed' | 'failed' | 'cancelled'>
  readonly error: string | null
  readonly ts: string
}

export interface OrchestratorTaskTable {
  /** Adds the task, or begins its next run. False for a run that is here already: the first one said is kept. */
  add(task: PendingTask): boolean
  /** Replaces what the task waits for. */
  setDependencies(taskId: string, dependsOn: readonly string[]): void
  /** Adds to what the task waits for. */
  addDependencies(taskId: string, dependsOn: readonly string[]): void
  /** The session of the current run was accepted. `spawned` once nothing is waited for, until then `pending`. */
  link(taskId: string, sessionId: string, ts: string): void
  /** The session's agent runs. */
  run(taskId: string, sessionId: string, agentId: string, ts: string): void
  /** The task's run is over. With a session or a run's number: only when it is the current one. */
  end(end: EndedTask): void
  /** A task that it depends on has failed; nothing happens where that is not so (any more). False then. */
  block(taskId: string, reason: string): boolean
  /** The session that waited has ended without having begun: the task goes on waiting, for another session. */
  waitAgain(taskId: string, sessionId: string): void
  /** The task is to run again: whatever was blocked by it alone waits again. Answers which tasks these are. */
  unblock(taskId: string): readonly string[]
  /** Does the one wait for the other, over however many tasks? Every task waits for itself. */
  waitsFor(taskId: string, otherId: string): boolean
  /** After a task was completed: those that waited for it alone and have a session are in their queue. */
  release(completedTaskId: string, ts: string): void
}

/** A task `t` still waits for another one. */
const WAITS = `EXISTS (${waitedFor('t.task_id')})`
/** Another one that a task `t` waits for has failed. */
const HAS_FAILED_DEPENDENCY = `EXISTS (${failedDependencies('t.task_id')})`

export function createOrchestratorTaskTable(db: Db): OrchestratorTaskTable {
  const insert = db.prepare(`
    INSERT INTO orchestrator_task (
      task_id, agent_type, prompt, priority, priority_number, workspace_dir, worktree, created_at, run, template,
      vars, redacted, created_by)
    VALUES (
      @task_id, @agent_type, @prompt, @priority, @priority_number, @workspace_dir, @worktree, @created_at, @run,
      @template, @vars, @redacted, @created_by)
    ON CONFLICT (task_id) DO UPDATE SET
      agent_type = excluded.agent_type, prompt = excluded.prompt, priority = excluded.priority,
      priority_number = excluded.priority_number, workspace_dir = excluded.workspace_dir,
      worktree = excluded.worktree, run = excluded.run, template = excluded.template, vars = excluded.vars,
      redacted = excluded.redacted,
      status = 'pending', session_id = NULL, assigned_agent = NULL, spawned_at = NULL, started_at = NULL,
      completed_at = NULL, error_message = NULL, created_by = coalesce(excluded.created_by, created_by)
    WHERE excluded.run > orchestrator_task.run`)
  const deleteDependencies = db.prepare('DELETE FROM task_dependency WHERE task_id = ?')
  const insertDependency = db.prepare(
    'INSERT INTO task_dependency (task_id, depends_on) VALUES (?, ?) ON CONFLICT DO NOTHING',
  )
  const updateLinked = db.prepare(`
    UPDATE orchestrator_task AS t SET
      session_id = @sessionId, status = iif(${WAITS}, 'pending', 'spawned'), spawned_at = iif(${WAITS}, NULL, @ts)
    WHERE task_id = @taskId AND status IN ('pending', 'spawned')`)
  const updateRunning = db.prepare(`
    UPDATE orchestrator_task SET
      status = 'running', session_id = @sessionId, assigned_agent = @agentId,
      spawned_at = coalesce(spawned_at, @ts), started_at = coalesce(started_at, @ts)
    WHERE task_id = @taskId
      AND (status IN ('pending', 'spawned') OR (status = 'running' AND session_id = @sessionId))`)
  const updateEnded = db.prepare(`
    UPDATE orchestrator_task SET status = @status, completed_at = @ts, error_message = @error
    WHERE task_id = @taskId AND (@sessionId IS NULL OR session_id = @sessionId) AND (@run IS NULL OR run = @run)
      AND (status IN ('pending', 'spawned', 'running') OR (status = 'blocked' AND @status = 'cancelled'))`)
  const updateBlocked = db.prepare(`
    UPDATE orchestrator_task AS t SET status = 'blocked', error_message = @reason
    WHERE task_id = @taskId AND status = 'pending' AND ${HAS_FAILED_DEPENDENCY}`)
  const updateWaiting = db.prepare(`
    UPDATE orchestrator_task SET run = run + 1, session_id = NULL, spawned_at = NULL
    WHERE task_id = @taskId AND status = 'pending' AND session_id = @sessionId`)
  const selectUnblockable = db
    .prepare<[string], string>(
      `SELECT t.task_id FROM task_dependency AS d JOIN orchestrator_task AS t USING (task_id)
       WHERE d.depends_on = ? AND t.status = 'blocked' AND NOT ${HAS_FAILED_DEPENDENCY} ORDER BY t.task_id`,
    )
    .pluck()
  // A session that waited was ended when the task was blocked: the next one needs another id.
  const updateUnblocked = db.prepare(`
    UPDATE orchestrator_task SET
      status = 'pending', error_message = NULL, run = run + (session_id IS NOT NULL), session_id = NULL,
      spawned_at = NULL
    WHERE task_id = ?`)
  const selectWaitsFor = db
    .prepare<[string, string], number>(
      `WITH RECURSIVE awaited (task_id) AS (
         SELECT ? UNION SELECT d.depends_on FROM task_dependency AS d JOIN awaited USING (task_id)
       ) SELECT 1 FROM awaited WHERE task_id = ?`,
    )
    .pluck()
  const updateReleased = db.prepare(`
    UPDATE orchestrator_task AS t SET status = 'spawned', spawned_at = @ts
    WHERE status = 'pending' AND session_id IS NOT NULL
      AND task_id IN (SELECT task_id FROM task_dependency WHERE depends_on = @completedTaskId)
      AND NOT ${WAITS}`)

  const addDependencies = (taskId: string, dependsOn: readonly string[]): void => {
    for (const other of dependsOn) insertDependency.run(taskId, other)
  }

  return {
    add: (task) =>
      insert.run({ ...task, worktree: task.worktree === null ? null : Number(task.worktree) }).changes === 1,
    setDependencies(taskId, dependsOn) {
      deleteDependencies.run(taskId)
      addDependencies(taskId, dependsOn)
    },
    addDependencies,
    link: (taskId, sessionId, ts) => void updateLinked.run({ taskId, sessionId, ts }),
    run: (taskId, sessionId, agentId, ts) => void updateRunning.run({ taskId, sessionId, agentId, ts }),
    end: (end) => void updateEnded.run(end),
    block: (taskId, reason) => updateBlocked.run({ taskId, reason }).changes === 1,
    waitAgain: (taskId, sessionId) => void updateWaiting.run({ taskId, sessionId }),
    unblock(taskId) {
      const freed = new Set([taskId])
      for (const id of freed) {
        for (const dependent of selectUnblockable.all(id)) {
          updateUnblocked.run(dependent)
          freed.add(dependent)
        }
      }
      freed.delete(taskId)
      return [...freed]
    },
    waitsFor: (taskId, otherId) => selectWaitsFor.get(taskId, otherId) !== undefined,
    release: (completedTaskId, ts) => void updateReleased.run({ completedTaskId, ts }),
  }
}
