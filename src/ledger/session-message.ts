/** Table `session_message`: what was said to sessions, as the recorder writes it. */
import type { Db } from './database.ts'

/** A message as it was sent. */
export interface NewSessionMessage {
  readonly session_id: string
  readonly message_id: string
  readonly text: string
  readonly priority: string
  readonly actor_via: string | null
  readonly actor_name: string | null
  readonly seq: number
  readonly sent_at: string
}

export interface SessionMessageTable {
  /** A repeat changes nothing. */
  add(message: NewSessionMessage): void
  /** Of several agents that had it the last one counts: the conversation of those before did not have it. */
  deliver(sessionId: string, messageId: string, agentId: string | null, ts: string): void
}

export function createSessionMessageTable(db: Db): SessionMessageTable {
  const insert = db.prepare(`
    INSERT INTO session_message (session_id, message_id, text, priority, actor_via, actor_name, seq, sent_at)
    VALUES (@session_id, @message_id, @text, @priority, @actor_via, @actor_name, @seq, @sent_at)
    ON CONFLICT DO NOTHING`)
  const update = db.prepare(`
    UPDATE session_message SET delivered_at = @ts, agent_id = @agentId
    WHERE session_id = @sessionId AND message_id = @messageId`)

  return {
    add: (message) => void insert.run(message),
    deliver: (sessionId, messageId, agentId, ts) => void update.run({ sessionId, messageId, agentId, ts }),
  }
}
