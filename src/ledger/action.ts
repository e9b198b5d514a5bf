/** Table `actions`: who asked for what, and when (CFR-014). */
import type { Db } from './database.ts'

export interface Action {
  readonly at: string
  readonly action: string
  readonly actor_via: string | null
  readonly actor_name: string | null
  readonly session_id: string | null
  readonly agent_id: string | null
  readonly task_id: string | null
  readonly agent_type: string
  readonly detail: string | null
  readonly seq: number | null
  readonly event_type: string
}

export interface ActionTable {
  add(action: Action): void
}

export function createActionTable(db: Db): ActionTable {
  const insert = db.prepare(`
    INSERT INTO actions (
      at, action, actor_via, actor_name, session_id, agent_id, task_id, agent_type, detail, seq, event_type)
    VALUES (
      @at, @action, @actor_via, @actor_name, @session_id, @agent_id,
      coalesce(@task_id, (SELECT task_id FROM agent_sessions WHERE session_id = @session_id)), @agent_type, @detail,
      @seq, @event_type)`)

  return { add: (action) => void insert.run(action) }
}
