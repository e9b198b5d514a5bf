/** Table `agent_message`: messages between agents, as the recorder writes them. */
import type { Db } from './database.ts'

/** A message as it was sent. */
export interface NewMessage {
  readonly message_id: string
  readonly thread_id: string
  readonly in_reply_to: string | null
  readonly broadcast_id: string | null
  readonly from_session: string | null
  readonly from_agent_type: string | null
  readonly to_session: string | null
  readonly to_agent_type: string | null
  readonly text: string
  /** JSON */
  readonly actor: string
  readonly created_at: string
}

export interface AgentMessageTable {
  /** A repeat changes nothing. */
  add(message: NewMessage): void
  /** @param reader the session that has read it; null: the operator */
  deliver(messageId: string, reader: string | null, ts: string): void
  acknowledge(messageId: string, ts: string): void
  /** The session has ended: its own mail is undeliverable, what it held of its type waits for another one. */
  endSession(sessionId: string, ts: string): void
}

export function createAgentMessageTable(db: Db): AgentMessageTable {
  const insert = db.prepare(`
    INSERT INTO agent_message (
      message_id, thread_id, in_reply_to, broadcast_id, from_session, from_agent_type, to_session, to_agent_type, text,
      actor, created_at)
    VALUES (
      @message_id, @thread_id, @in_reply_to, @broadcast_id, @from_session, @from_agent_type, @to_session,
      @to_agent_type, @text, @actor, @created_at)
    ON CONFLICT (message_id) DO NOTHING`)
  const updateDelivered = db.prepare(`
    UPDATE agent_message
    SET status = 'delivered', delivered_at = coalesce(delivered_at, @ts), delivered_to = @reader
    WHERE message_id = @messageId AND status IN ('waiting', 'delivered')`)
  const updateAcknowledged = db.prepare(`
    UPDATE agent_message SET status = 'acknowledged', completed_at = @ts
    WHERE message_id = @messageId AND status IN ('waiting', 'delivered')`)
  const updateUndeliverable = db.prepare(`
    UPDATE agent_message SET status = 'undeliverable', completed_at = @ts
    WHERE to_session = @sessionId AND status IN ('waiting', 'delivered')`)
  const updateReturned = db.prepare(`
    UPDATE agent_message SET status = 'waiting', delivered_to = NULL
    WHERE delivered_to = @sessionId AND to_session IS NULL AND status = 'delivered'`)

  return {
    add: (message) => void insert.run(message),
    deliver: (messageId, reader, ts) => void updateDelivered.run({ messageId, reader, ts }),
    acknowledge: (messageId, ts) => void updateAcknowledged.run({ messageId, ts }),
    endSession(sessionId, ts) {
      updateUndeliverable.run({ sessionId, ts })
      updateReturned.run({ sessionId })
    },
  }
}
