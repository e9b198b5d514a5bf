/** Table `claude_invocations`: one row per agent, that is per process of the CLI; its id is the agent's. */
import type { AgentState } from '../core/state.ts'
import type { Db } from './database.ts'
import { modelSums, TOKENS } from './invocation-model-usage.ts'

export interface StartedInvocation {
  readonly agent_id: string
  readonly session_id: string
  readonly agent_type: string
  readonly prompt: string | null
  readonly model: string | null
  readonly working_dir: string | null
  readonly invoked_at: string
}

/** What one `result` line says beside its usage, which is in `invocation_model_usage`. */
export interface InvocationResult {
  readonly agent_id: string
  readonly session_id: string
  readonly epoch: number
  /** Its number among the agent's lines. */
  readonly line: number | null
  readonly num_turns: number
  readonly suspect: boolean
  readonly final_result: string | null
  readonly stop_reason: string | null
  readonly error: string | null
}

export interface ClaudeInvocationTable {
  start(invocation: StartedInvocation): void
  /** The model that the CLI resolved. */
  setModel(agentId: string, sessionId: string, model: string): void
  /** Counts it. What it says stands unless a later line of the agent says it, whichever of them came first. */
  addResult(result: InvocationResult): void
  /** Ends it where it has no end; `error` only where no result said one. */
  end(agentId: string, sessionId: string, status: AgentState, ts: string, error: string | null): void
  /** Ends those invocations of a session whose agents were superseded, and answers the ids of those. */
  endSuperseded(sessionId: string, ts: string): readonly string[]
  /** Brings the totals of a session's invocations up to date with their models'. */
  settle(sessionId: string): void
}

/** Whole milliseconds between two columns or values. */
const wallTime = (until: string): string =>
  `CAST(round((julianday(${until}) - julianday(invoked_at)) * 86400000) AS INTEGER)`

export function createClaudeInvocationTable(db: Db): ClaudeInvocationTable {
  const insert = db.prepare(`
    INSERT INTO claude_invocations (
      invocation_id, agent_id, session_id, agent_type, prompt, model, working_dir, invoked_at)
    VALUES (@agent_id, @agent_id, @session_id, @agent_type, @prompt, @model, @working_dir, @invoked_at)`)
  const updateModel = db.prepare(
    'UPDATE claude_invocations SET model = @model WHERE invocation_id = @agentId AND session_id = @sessionId',
  )
  const updateResult = db.prepare(`
    UPDATE claude_invocations SET
      num_turns = num_turns + @num_turns, results = results + 1, cost_suspect = max(cost_suspect, @suspect)
    WHERE invocation_id = @agent_id AND session_id = @session_id`)
  const updateWords = db.prepare(`
    UPDATE claude_invocations AS i SET
      final_result = @final_result, stop_reason = @stop_reason,
      error = coalesce(@error, iif(status = 'superseded', NULL, (
        SELECT error_message FROM agent_lifecycle AS a WHERE a.agent_id = i.agent_id AND a.epoch = @epoch)))
    WHERE invocation_id = @agent_id AND session_id = @session_id AND NOT EXISTS (
      SELECT 1 FROM session_event AS e
      WHERE e.agent_id = @agent_id AND e.epoch = @epoch AND e.line > @line
        AND (e.type = 'claude.result' OR e.type LIKE 'claude.result.%'))`)
  const updateEnded = db.prepare(`
    UPDATE claude_invocations SET
      status = @status, completed_at = @ts, duration_ms = ${wallTime('@ts')}, error = coalesce(error, @error)
    WHERE invocation_id = @agentId AND session_id = @sessionId AND status = 'running'`)
  const updateSuperseded = db
    .prepare<unknown[], string>(
      `
    UPDATE claude_invocations AS i SET
      status = 'superseded', completed_at = @ts, duration_ms = ${wallTime('@ts')}
    FROM agent_lifecycle AS a
    WHERE a.agent_id = i.agent_id AND a.status = 'superseded' AND i.session_id = @sessionId
      AND i.status = 'running'
    RETURNING agent_id`,
    )
    .pluck()
  const updateTotals = db.prepare(`
    UPDATE claude_invocations AS i SET ${TOKENS.map((column) => `${column} = used.${column}`).join(', ')}, cost_micros = round(used.cost_nanos / 1000.0), cost_estimated = used.estimated
    FROM (
      SELECT o.invocation_id, ${modelSums('u')}
      FROM claude_invocations AS o
      LEFT JOIN invocation_model_usage AS u ON u.session_id = o.session_id AND u.invocation_id = o.invocation_id
      WHERE o.session_id = @sessionId GROUP BY o.invocation_id
    ) AS used
    WHERE i.invocation_id = used.invocation_id`)

  return {
    start: (invocation) => void insert.run(invocation),
    setModel: (agentId, sessionId, model) => void updateModel.run({ agentId, sessionId, model }),
    addResult({ num_turns, suspect, ...words }) {
      const { agent_id, session_id } = words
      updateResult.run({ agent_id, session_id, num_turns, suspect: Number(suspect) })
      updateWords.run(words)
    },
    end: (agentId, sessionId, status, ts, error) =>
      void updateEnded.run({ agentId, sessionId, status, ts, error }),
    endSuperseded: (sessionId, ts) => updateSuperseded.all({ sessionId, ts }),
    settle: (sessionId) => void updateTotals.run({ sessionId }),
  }
}
