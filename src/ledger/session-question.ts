/** Table `session_question`: what agents asked before they used a tool, as the recorder writes it. */
import type { Db } from './database.ts'

export interface NewSessionQuestion {
  readonly session_id: string
  readonly request_id: string
  readonly agent_id: string
  readonly tool_name: string
  /** JSON */
  readonly input: string
  readonly description: string | null
  readonly asked_at: string
  readonly until: string
}

export interface GivenAnswer {
  readonly session_id: string
  readonly request_id: string
  readonly behavior: string
  readonly message: string | null
  readonly answered_at: string
  readonly actor_via: string | null
  readonly actor_name: string | null
}

export interface SessionQuestionTable {
  /** A repeat changes nothing. */
  add(question: NewSessionQuestion): void
  /** The first answer counts. */
  answer(answer: GivenAnswer): void
  /** None of the session's questions is open any more; of one agent's, where it is named. */
  close(sessionId: string, ts: string, agentId?: string): void
}

export function createSessionQuestionTable(db: Db): SessionQuestionTable {
  const insert = db.prepare(`
    INSERT INTO session_question (
      session_id, request_id, agent_id, tool_name, input, description, asked_at, until)
    VALUES (@session_id, @request_id, @agent_id, @tool_name, @input, @description, @asked_at, @until)
    ON CONFLICT DO NOTHING`)
  const updateAnswered = db.prepare(`
    UPDATE session_question SET
      behavior = @behavior, message = @message, answered_at = @answered_at, actor_via = @actor_via,
      actor_name = @actor_name, closed_at = coalesce(closed_at, @answered_at)
    WHERE session_id = @session_id AND request_id = @request_id AND answered_at IS NULL`)
  const updateClosed = db.prepare(`
    UPDATE session_question SET closed_at = @ts
    WHERE session_id = @sessionId AND closed_at IS NULL AND (@agentId IS NULL OR agent_id = @agentId)`)

  return {
    add: (question) => void insert.run(question),
    answer: (answer) => void updateAnswered.run(answer),
    close: (sessionId, ts, agentId) => void updateClosed.run({ sessionId, ts, agentId: agentId ?? null }),
  }
}
