-- Messages between agents. Their events are in `session_event`, or in `task_event` where they belong to no session:
-- there `task_id` is the id of the message.
CREATE TABLE agent_message (
  message_id TEXT PRIMARY KEY,
  -- The first message of the exchange.
  thread_id TEXT NOT NULL,
  in_reply_to TEXT,
  broadcast_id TEXT,
  -- Both null: a person or a service sent it.
  from_session TEXT,
  from_agent_type TEXT,
  -- `to_session` null: for whichever session of the type comes next. Both null: for the operator.
  to_session TEXT,
  to_agent_type TEXT,
  text TEXT NOT NULL,
  actor TEXT NOT NULL CHECK (json_valid(actor)),
  status TEXT NOT NULL DEFAULT 'waiting'
    CHECK (status IN ('waiting', 'delivered', 'acknowledged', 'undeliverable')),
  created_at TEXT NOT NULL,
  -- When it was first read, and by which session last; that one is null for the operator.
  delivered_at TEXT,
  delivered_to TEXT,
  -- When it was acknowledged, or could not be delivered any more.
  completed_at TEXT
) STRICT;

CREATE INDEX agent_message_created ON agent_message (created_at, message_id);
CREATE INDEX agent_message_status ON agent_message (status, created_at, message_id);
CREATE INDEX agent_message_thread ON agent_message (thread_id, created_at, message_id);
CREATE INDEX agent_message_type ON agent_message (to_agent_type, created_at, message_id) WHERE to_agent_type IS NOT NULL;
CREATE INDEX agent_message_to ON agent_message (to_session, created_at, message_id) WHERE to_session IS NOT NULL;
CREATE INDEX agent_message_from ON agent_message (from_session, created_at, message_id) WHERE from_session IS NOT NULL;
CREATE INDEX agent_message_reader ON agent_message (delivered_to, created_at, message_id) WHERE delivered_to IS NOT NULL;
CREATE INDEX agent_message_taken ON agent_message (completed_at) WHERE completed_at IS NOT NULL;
