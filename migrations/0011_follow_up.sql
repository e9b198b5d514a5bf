-- What was said to running sessions, and what their agents asked before they used a tool.

CREATE TABLE session_message (
  session_id TEXT NOT NULL,
  message_id TEXT NOT NULL,
  -- Cut at 10,000 characters; the whole of it is in the event at this seq.
  text TEXT NOT NULL,
  priority TEXT NOT NULL,
  actor_via TEXT,
  actor_name TEXT,
  seq INTEGER NOT NULL,
  sent_at TEXT NOT NULL,
  -- NULL: no agent has it. Of a session that has ended: it was never delivered.
  delivered_at TEXT,
  agent_id TEXT,
  PRIMARY KEY (session_id, message_id)
) WITHOUT ROWID;

CREATE TABLE session_question (
  session_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  tool_name TEXT NOT NULL,
  -- Without secrets, cut where it is long.
  input TEXT NOT NULL CHECK (json_valid(input)),
  description TEXT,
  asked_at TEXT NOT NULL,
  -- Then it is denied.
  until TEXT NOT NULL,
  -- allow, deny; NULL: nobody has answered it.
  behavior TEXT,
  message TEXT,
  answered_at TEXT,
  actor_via TEXT,
  actor_name TEXT,
  -- It is open no longer: answered, taken back, or its agent has ended.
  closed_at TEXT,
  PRIMARY KEY (session_id, request_id)
) WITHOUT ROWID;
