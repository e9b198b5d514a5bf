/** Table `agent_lifecycle`: one row per process of a session. An ended agent keeps its state. */
import type { AgentState } from '../core/state.ts'
import type { Db } from './database.ts'

/** Which agent: an id that was given out twice (Redis lost its counters) is told apart by its epoch. */
export interface AgentKey {
  readonly agent_id: string
  readonly epoch: number
}

export interface SpawnedAgent extends AgentKey {
  readonly session_id: string
  readonly agent_type: string
  readonly spawned_at: string
  readonly pod_id: string | null
  /** argv as JSON */
  readonly command: string | null
  /** How its processes are held together. */
  readonly tier: string | null
  readonly host: string | null
  readonly worktree_path: string | null
  readonly worktree_branch: string | null
  readonly retry_count: number
}

export interface StartedAgent extends AgentKey {
  readonly pid: number | null
  readonly started_at: string
  readonly claude_code_version: string | null
}

export interface ExitedAgent extends AgentKey {
  readonly status: AgentState
  readonly completed_at: string
  readonly pid: number | null
  readonly exit_code: number | null
  readonly exit_signal: string | null
  readonly error_message: string | null
}

export interface ClosedAgent extends AgentKey {
  readonly spool_lines: number
  readonly spool_bytes: number
  readonly spool_sha256: string | null
  readonly lines_digest: string | null
  readonly tail_unknown: boolean
}

export interface AgentLifecycleTable {
  /** False where this agent is here already, or another one has its id. */
  spawn(agent: SpawnedAgent): boolean
  has(agent: AgentKey): boolean
  start(agent: StartedAgent): void
  beat(agent: AgentKey, ts: string): void
  /** Sets the end where there is none, and the facts of the exit in any case. */
  exit(agent: ExitedAgent): void
  close(agent: ClosedAgent): void
  /** Ends those agents of the session that started before `epoch` and have no end. */
  supersede(sessionId: string, epoch: number, ts: string): void
}

const LIVE = `status IN ('spawned', 'running')`

export function createAgentLifecycleTable(db: Db): AgentLifecycleTable {
  const insert = db.prepare(`
    INSERT INTO agent_lifecycle (
      agent_id, agent_type, session_id, task_id, pod_id, epoch, command, tier, host, worktree_path,
      worktree_branch, retry_count, created_at, spawned_at)
    VALUES (
      @agent_id, @agent_type, @session_id, (SELECT task_id FROM agent_sessions WHERE session_id = @session_id),
      @pod_id, @epoch, @command, @tier, @host, @worktree_path, @worktree_branch, @retry_count, @spawned_at, @spawned_at)
    ON CONFLICT (agent_id) DO NOTHING`)
  const selectCount = db
    .prepare<[AgentKey], number>(
      'SELECT count(*) FROM agent_lifecycle WHERE agent_id = @agent_id AND epoch = @epoch',
    )
    .pluck()
  const updateStarted = db.prepare(`
    UPDATE agent_lifecycle SET
      status = iif(${LIVE}, 'running', status), pid = @pid, started_at = @started_at, last_heartbeat = @started_at,
      claude_code_version = @claude_code_version
    WHERE agent_id = @agent_id AND epoch = @epoch`)
  const updateBeat = db.prepare(
    'UPDATE agent_lifecycle SET last_heartbeat = @ts WHERE agent_id = @agent_id AND epoch = @epoch',
  )
  const updateExited = db.prepare(`
    UPDATE agent_lifecycle SET
      status = iif(${LIVE}, @status, status), completed_at = iif(${LIVE}, @completed_at, completed_at),
      pid = coalesce(pid, @pid), exit_code = @exit_code, exit_signal = @exit_signal,
      error_message = coalesce(@error_message, error_message)
    WHERE agent_id = @agent_id AND epoch = @epoch`)
  const updateClosed = db.prepare(`
    UPDATE agent_lifecycle SET
      spool_lines = @spool_lines, spool_bytes = @spool_bytes, spool_sha256 = @spool_sha256,
      lines_digest = @lines_digest, tail_unknown = @tail_unknown
    WHERE agent_id = @agent_id AND epoch = @epoch`)
  const updateSuperseded = db.prepare(`
    UPDATE agent_lifecycle SET status = 'superseded', completed_at = @ts
    WHERE session_id = @sessionId AND epoch < @epoch AND ${LIVE}`)

  return {
    spawn: (agent) => insert.run(agent).changes === 1,
    has: (agent) => selectCount.get(agent) === 1,
    start: (agent) => void updateStarted.run(agent),
    beat: (agent, ts) => void updateBeat.run({ ...agent, ts }),
    exit: (agent) => void updateExited.run(agent),
    close: (agent) => void updateClosed.run({ ...agent, tail_unknown: Number(agent.tail_unknown) }),
    supersede: (sessionId, epoch, ts) => void updateSuperseded.run({ sessionId, epoch, ts }),
  }
}
