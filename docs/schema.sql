-- The schema of the ledger, made by the migrations. A test keeps it so: npx vitest run test/ledger/migrate.test.ts -u

CREATE TABLE session_event (
  event_id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  seq INTEGER NOT NULL CHECK (seq >= 1),
  agent_id TEXT,
  agent_type TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  line INTEGER CHECK (line >= 1),
  ts TEXT NOT NULL,
  type TEXT NOT NULL,
  late INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  UNIQUE (session_id, seq)
) STRICT;

CREATE UNIQUE INDEX session_event_line ON session_event (agent_id, line, epoch) WHERE line IS NOT NULL;

CREATE TABLE task_event (
  event_id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  task_id TEXT NOT NULL,
  ts TEXT NOT NULL,
  type TEXT NOT NULL,
  payload TEXT NOT NULL CHECK (json_valid(payload))
, after_event_id INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE INDEX task_event_task ON task_event (task_id, event_id);

CREATE TABLE roadmap_priority (
  priority_number INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'planned'
) STRICT;

CREATE TABLE orchestrator_task (
  task_id TEXT PRIMARY KEY,
  agent_type TEXT NOT NULL,
  prompt TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'spawned', 'running', 'completed', 'failed', 'cancelled', 'blocked')),
  priority INTEGER NOT NULL,
  priority_number INTEGER,
  assigned_agent TEXT,
  workspace_dir TEXT,
  created_at TEXT NOT NULL,
  spawned_at TEXT,
  started_at TEXT,
  completed_at TEXT,
  error_message TEXT,
  -- 0 for the first run; each retry counts one.
  run INTEGER NOT NULL DEFAULT 0,
  -- The session of the current run.
  session_id TEXT
, worktree INTEGER CHECK (worktree IN (0, 1)), template TEXT, vars TEXT CHECK (vars IS NULL OR json_valid(vars)), created_by TEXT, redacted TEXT CHECK (redacted IS NULL OR json_valid(redacted))) STRICT;

CREATE INDEX orchestrator_task_created ON orchestrator_task (created_at, task_id);

CREATE INDEX orchestrator_task_status ON orchestrator_task (status, created_at, task_id);

CREATE INDEX orchestrator_task_type ON orchestrator_task (agent_type, created_at, task_id);

CREATE TABLE task_dependency (
  task_id TEXT NOT NULL REFERENCES orchestrator_task (task_id),
  -- May name a task that is added later.
  depends_on TEXT NOT NULL,
  PRIMARY KEY (task_id, depends_on)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_dependency_reverse ON task_dependency (depends_on, task_id);

CREATE TABLE agent_sessions (
  session_id TEXT PRIMARY KEY,
  agent_type TEXT NOT NULL,
  task_id TEXT,
  task_description TEXT,
  workspace_dir TEXT,
  created_by TEXT,
  restart_of TEXT,
  orchestrator_id TEXT,
  status TEXT NOT NULL DEFAULT 'queued'
    CHECK (status IN ('queued', 'starting', 'running', 'restarting', 'paused_limit', 'waiting_input',
      'waiting_workspace', 'completed', 'failed', 'cancelled')),
  created_at TEXT NOT NULL,
  claimed_at TEXT,
  started_at TEXT,
  cancel_requested_at TEXT,
  completed_at TEXT,
  success INTEGER CHECK (success IN (0, 1)),
  result TEXT,
  error_message TEXT,
  failure_reason TEXT,
  restarts INTEGER NOT NULL DEFAULT 0,
  num_turns INTEGER NOT NULL DEFAULT 0,
  duration_ms INTEGER,
  permission_denials TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(permission_denials)),
  priority INTEGER NOT NULL DEFAULT 1000,
  timeout_seconds INTEGER,
  auto_restart INTEGER CHECK (auto_restart IN (0, 1)),
  idempotency_key TEXT,
  request_digest TEXT,
  actor TEXT CHECK (actor IS NULL OR json_valid(actor)),
  pod_id TEXT,
  -- Of the workspace that its last agent began in.
  workspace_id TEXT,
  -- Sums over the session's invocations, or what its end reported where a part of that was an estimate.
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cache_read_tokens INTEGER NOT NULL DEFAULT 0,
  cache_creation_tokens INTEGER NOT NULL DEFAULT 0,
  estimated_cost_micros INTEGER NOT NULL DEFAULT 0,
  estimated_cost_usd REAL GENERATED ALWAYS AS (estimated_cost_micros / 1000000.0) VIRTUAL,
  cost_estimated INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1)),
  -- The totals that the session's end reported.
  reported_totals TEXT CHECK (reported_totals IS NULL OR json_valid(reported_totals)),
  -- Something is known to be missing: lines, a readable event, or totals that do not agree.
  incomplete INTEGER NOT NULL DEFAULT 0 CHECK (incomplete IN (0, 1))
, pruned_at TEXT, cost_nanos INTEGER NOT NULL DEFAULT 0 CHECK (cost_nanos >= 0), parent_session_id TEXT GENERATED ALWAYS AS (coalesce(restart_of, created_by)) VIRTUAL, root_session_id TEXT, template TEXT, vars TEXT CHECK (vars IS NULL OR json_valid(vars))) STRICT;

CREATE INDEX agent_sessions_created ON agent_sessions (created_at, session_id);

CREATE INDEX agent_sessions_status ON agent_sessions (status, created_at, session_id);

CREATE INDEX agent_sessions_type ON agent_sessions (agent_type, created_at, session_id);

CREATE INDEX agent_sessions_task ON agent_sessions (task_id, created_at) WHERE task_id IS NOT NULL;

CREATE INDEX agent_sessions_restart ON agent_sessions (restart_of, created_at) WHERE restart_of IS NOT NULL;

CREATE INDEX agent_sessions_completed ON agent_sessions (completed_at) WHERE completed_at IS NOT NULL;

CREATE TRIGGER agent_sessions_end_is_final
BEFORE UPDATE OF status ON agent_sessions
WHEN OLD.status IN ('completed', 'failed', 'cancelled') AND NEW.status <> OLD.status
BEGIN
  SELECT RAISE(ABORT, 'a session that has ended keeps its state');
END;

CREATE TABLE agent_lifecycle (
  agent_id TEXT PRIMARY KEY,
  agent_type TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'spawned'
    CHECK (status IN ('spawned', 'running', 'completed', 'failed', 'killed', 'stalled', 'superseded')),
  session_id TEXT NOT NULL REFERENCES agent_sessions (session_id),
  task_id TEXT,
  pid INTEGER,
  pod_id TEXT,
  epoch INTEGER NOT NULL,
  -- argv as it was run, as JSON.
  command TEXT CHECK (command IS NULL OR json_valid(command)),
  -- How the guard held its processes together: pid_namespace, cgroup or group.
  tier TEXT,
  worktree_path TEXT,
  worktree_branch TEXT,
  retry_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  spawned_at TEXT NOT NULL,
  started_at TEXT,
  completed_at TEXT,
  last_heartbeat TEXT,
  exit_code INTEGER,
  exit_signal TEXT,
  error_message TEXT,
  claude_code_version TEXT,
  -- What its closing event says of the spool, and how many of those lines are not here.
  spool_lines INTEGER,
  spool_bytes INTEGER,
  spool_sha256 TEXT,
  tail_unknown INTEGER NOT NULL DEFAULT 0 CHECK (tail_unknown IN (0, 1))
, lines_digest TEXT, host TEXT) STRICT;

CREATE INDEX agent_lifecycle_spawned ON agent_lifecycle (spawned_at, agent_id);

CREATE INDEX agent_lifecycle_status ON agent_lifecycle (status, spawned_at, agent_id);

CREATE INDEX agent_lifecycle_type ON agent_lifecycle (agent_type, spawned_at, agent_id);

CREATE INDEX agent_lifecycle_session ON agent_lifecycle (session_id, epoch);

CREATE TRIGGER agent_lifecycle_end_is_final
BEFORE UPDATE OF status ON agent_lifecycle
WHEN OLD.status NOT IN ('spawned', 'running') AND NEW.status <> OLD.status
BEGIN
  SELECT RAISE(ABORT, 'an agent that has ended keeps its state');
END;

CREATE TABLE agent_lifecycle_events (
  -- The event that it comes from; its payload says the rest.
  session_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  agent_id TEXT NOT NULL REFERENCES agent_lifecycle (agent_id),
  event_type TEXT NOT NULL
    CHECK (event_type IN ('spawned', 'started', 'health', 'stalled', 'killed', 'exited', 'closed')),
  health_status TEXT,
  cpu_percent REAL,
  memory_mb REAL,
  recorded_at TEXT NOT NULL,
  PRIMARY KEY (session_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX agent_lifecycle_events_agent ON agent_lifecycle_events (agent_id, seq);

CREATE TABLE claude_invocations (
  invocation_id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES agent_sessions (session_id),
  agent_id TEXT NOT NULL REFERENCES agent_lifecycle (agent_id),
  agent_type TEXT NOT NULL,
  prompt TEXT,
  model TEXT,
  status TEXT NOT NULL DEFAULT 'running'
    CHECK (status IN ('running', 'completed', 'failed', 'killed', 'stalled', 'superseded')),
  stop_reason TEXT,
  error TEXT,
  -- The text of the last result. The source documents know it under both names.
  final_result TEXT,
  content TEXT GENERATED ALWAYS AS (final_result) VIRTUAL,
  results INTEGER NOT NULL DEFAULT 0,
  num_turns INTEGER NOT NULL DEFAULT 0,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cache_read_tokens INTEGER NOT NULL DEFAULT 0,
  cache_creation_tokens INTEGER NOT NULL DEFAULT 0,
  cost_micros INTEGER NOT NULL DEFAULT 0,
  cost_usd REAL GENERATED ALWAYS AS (cost_micros / 1000000.0) VIRTUAL,
  -- The CLI reported a count that cannot be; it was taken as 0.
  cost_suspect INTEGER NOT NULL DEFAULT 0 CHECK (cost_suspect IN (0, 1)),
  -- Wall time from invoked_at to completed_at.
  duration_ms INTEGER,
  working_dir TEXT,
  invoked_at TEXT NOT NULL,
  completed_at TEXT
, cost_estimated INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1))) STRICT;

CREATE INDEX claude_invocations_invoked ON claude_invocations (invoked_at);

CREATE INDEX claude_invocations_session ON claude_invocations (session_id, invoked_at);

CREATE TABLE recorder_position (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  stream_key TEXT NOT NULL,
  stream_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE recorder_fault (
  fault_id INTEGER PRIMARY KEY,
  stream_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  session_id TEXT,
  reason TEXT NOT NULL,
  text TEXT NOT NULL,
  recorded_at TEXT NOT NULL,
  UNIQUE (stream_id, digest)
) STRICT;

CREATE INDEX recorder_fault_session ON recorder_fault (session_id) WHERE session_id IS NOT NULL;

CREATE INDEX agent_sessions_unpruned ON agent_sessions (completed_at)
  WHERE completed_at IS NOT NULL AND pruned_at IS NULL;

CREATE TABLE invocation_model_usage (
  session_id TEXT NOT NULL REFERENCES agent_sessions (session_id),
  invocation_id TEXT NOT NULL REFERENCES claude_invocations (invocation_id),
  model TEXT NOT NULL,
  estimated INTEGER NOT NULL CHECK (estimated IN (0, 1)),
  input_tokens INTEGER NOT NULL DEFAULT 0 CHECK (input_tokens >= 0),
  output_tokens INTEGER NOT NULL DEFAULT 0 CHECK (output_tokens >= 0),
  cache_read_tokens INTEGER NOT NULL DEFAULT 0 CHECK (cache_read_tokens >= 0),
  cache_creation_tokens INTEGER NOT NULL DEFAULT 0 CHECK (cache_creation_tokens >= 0),
  web_search_requests INTEGER NOT NULL DEFAULT 0 CHECK (web_search_requests >= 0),
  cost_nanos INTEGER NOT NULL DEFAULT 0 CHECK (cost_nanos >= 0),
  cost_micros INTEGER GENERATED ALWAYS AS ((cost_nanos + 500) / 1000) VIRTUAL,
  cost_usd REAL GENERATED ALWAYS AS ((cost_nanos + 500) / 1000 / 1000000.0) VIRTUAL,
  -- The model has no known price: its cost is what the session's own results say of it, else 0.
  unpriced INTEGER NOT NULL DEFAULT 0 CHECK (unpriced IN (0, 1)),
  PRIMARY KEY (session_id, invocation_id, model, estimated)
) STRICT, WITHOUT ROWID;

CREATE INDEX agent_sessions_parent ON agent_sessions (parent_session_id, created_at)
WHERE parent_session_id IS NOT NULL;

CREATE INDEX agent_sessions_root ON agent_sessions (root_session_id, created_at);

CREATE VIRTUAL TABLE said_search USING fts5 (
  text, content = 'said', content_rowid = 'event_id', columnsize = 0,
  tokenize = 'unicode61 remove_diacritics 2'
);

CREATE VIRTUAL TABLE asked_search USING fts5 (
  text, content = 'asked', content_rowid = 'event_id', columnsize = 0, tokenize = 'trigram'
);

CREATE TABLE search_position (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  event_id INTEGER NOT NULL
) STRICT;

CREATE INDEX session_event_own ON session_event (event_id, type) WHERE line IS NULL;

CREATE INDEX agent_lifecycle_named ON agent_lifecycle (
  spawned_at, agent_id, agent_type, session_id, task_id, pod_id
);

CREATE INDEX agent_lifecycle_pod ON agent_lifecycle (pod_id, spawned_at, agent_id);

CREATE INDEX agent_lifecycle_task ON agent_lifecycle (task_id, spawned_at, agent_id) WHERE task_id IS NOT NULL;

CREATE TABLE event_gap (
  gap_id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  agent_id TEXT,
  epoch INTEGER,
  first INTEGER NOT NULL CHECK (first >= 1),
  last INTEGER NOT NULL CHECK (last >= first),
  -- not_on_stream: the stream skipped them (it was cut, or the ledger was restored). not_sent: the agent's pod could
  -- not send them. cut_tail: the agent's closing event counted them.
  reason TEXT NOT NULL CHECK (reason IN ('not_on_stream', 'not_sent', 'cut_tail')),
  noticed_at TEXT NOT NULL,
  -- NULL while they are missing. What comes of a gap splits it.
  filled_at TEXT,
  CHECK ((agent_id IS NULL) = (epoch IS NULL))
) STRICT;

CREATE INDEX event_gap_session ON event_gap (session_id, agent_id, epoch, first);

CREATE INDEX event_gap_open ON event_gap (noticed_at) WHERE filled_at IS NULL;

CREATE TABLE recorded_spool (
  agent_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  -- The highest line that is known to exist, and how many of them are here.
  last_line INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  -- Of those lines (`core/lines-digest.ts`); NULL where some were recorded before digests were kept.
  digest TEXT,
  PRIMARY KEY (agent_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE actions (
  at TEXT NOT NULL,
  -- spawn, kill, restart, add_task …
  action TEXT NOT NULL,
  actor_via TEXT,
  actor_name TEXT,
  session_id TEXT,
  agent_id TEXT,
  task_id TEXT,
  agent_type TEXT NOT NULL,
  -- What else there is to say: a reason, a signal.
  detail TEXT,
  -- The event; NULL for an event of a task without a session.
  seq INTEGER,
  event_type TEXT NOT NULL
) STRICT;

CREATE INDEX actions_at ON actions (at);

CREATE INDEX actions_session ON actions (session_id, at) WHERE session_id IS NOT NULL;

CREATE INDEX actions_task ON actions (task_id, at) WHERE task_id IS NOT NULL;

CREATE INDEX actions_actor ON actions (actor_name, at) WHERE actor_name IS NOT NULL;

CREATE INDEX agent_lifecycle_worktree ON agent_lifecycle (spawned_at) WHERE worktree_path IS NOT NULL;

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

CREATE INDEX orchestrator_task_priority ON orchestrator_task (priority_number, status)
  WHERE priority_number IS NOT NULL;

CREATE TRIGGER roadmap_priority_added AFTER INSERT ON roadmap_priority
BEGIN
  UPDATE roadmap_priority SET status = s.status FROM priority_status AS s
  WHERE roadmap_priority.priority_number = NEW.priority_number AND s.priority_number = NEW.priority_number;
END;

CREATE TRIGGER orchestrator_task_added AFTER INSERT ON orchestrator_task WHEN NEW.priority_number IS NOT NULL
BEGIN
  UPDATE roadmap_priority SET status = s.status FROM priority_status AS s
  WHERE roadmap_priority.priority_number = NEW.priority_number AND s.priority_number = NEW.priority_number;
END;

CREATE TRIGGER orchestrator_task_moved AFTER UPDATE OF status ON orchestrator_task
WHEN NEW.priority_number IS NOT NULL AND NEW.status <> OLD.status
BEGIN
  UPDATE roadmap_priority SET status = s.status FROM priority_status AS s
  WHERE roadmap_priority.priority_number = NEW.priority_number AND s.priority_number = NEW.priority_number;
END;

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

CREATE INDEX agent_sessions_spent ON agent_sessions (
  substr(coalesce(started_at, created_at), 1, 10), agent_type, coalesce(started_at, created_at), task_id,
  root_session_id, session_id, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_nanos,
  cost_estimated,
  -- For both expressions: without them SQLite looks for these in the row.
  started_at, created_at);

CREATE INDEX orchestrator_task_created_by ON orchestrator_task (created_by) WHERE created_by IS NOT NULL;

CREATE VIEW claude_stream_messages AS
SELECT
  e.agent_id AS invocation_id,
  e.line AS sequence,
  substr(e.type, length('claude.') + 1) AS message_type,
  e.ts AS timestamp,
  CASE WHEN e.type IN ('claude.blank', 'claude.unparsed') THEN json_extract(e.payload, '$.raw') ELSE e.payload END
    AS content,
  json_object('seq', e.seq, 'epoch', e.epoch, 'late', e.late) AS metadata,
  CASE
    WHEN json_type(e.payload, '$.message.content') = 'array' THEN (
      SELECT group_concat(
        CASE json_extract(block.value, '$.type')
          WHEN 'text' THEN json_extract(block.value, '$.text')
          WHEN 'thinking' THEN json_extract(block.value, '$.thinking')
          WHEN 'tool_use' THEN json_extract(block.value, '$.name') || ' ' || json_extract(block.value, '$.input')
          WHEN 'tool_result' THEN json_extract(block.value, '$.content')
        END, char(10))
      FROM json_each(e.payload, '$.message.content') AS block
      WHERE block.type = 'object')
    ELSE coalesce(
      json_extract(e.payload, '$.message.content'),
      json_extract(e.payload, '$.result'),
      json_extract(e.payload, '$.raw'))
  END AS text,
  e.session_id AS session_id
FROM session_event AS e
WHERE e.line IS NOT NULL;

CREATE VIEW active_agents AS
SELECT
  a.agent_id, a.agent_type, a.status, a.session_id, s.status AS session_status, a.task_id, a.pid, a.pod_id, a.epoch,
  a.retry_count, a.spawned_at, a.started_at, a.last_heartbeat,
  CAST(round((julianday('now') - julianday(a.spawned_at)) * 86400) AS INTEGER) AS elapsed_seconds
FROM agent_lifecycle AS a
JOIN agent_sessions AS s USING (session_id)
WHERE a.status IN ('spawned', 'running') AND s.status NOT IN ('completed', 'failed', 'cancelled');

CREATE VIEW agent_velocity AS
SELECT
  agent_type,
  count(*) AS sessions,
  sum(status = 'completed') AS completed,
  sum(status = 'failed') AS failed,
  sum(status = 'cancelled') AS cancelled,
  round(100.0 * sum(status = 'completed') / count(*), 1) AS success_percent,
  sum(status = 'completed' AND completed_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')) AS completed_last_day,
  sum(status = 'completed' AND completed_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-7 days')) AS completed_last_week,
  CAST(round(avg(duration_ms)) AS INTEGER) AS average_duration_ms,
  round(avg(num_turns), 1) AS average_turns,
  avg(estimated_cost_micros) / 1000000.0 AS average_cost_usd
FROM agent_sessions
WHERE status IN ('completed', 'failed', 'cancelled')
GROUP BY agent_type;

CREATE VIEW cost_by_day AS
SELECT
  substr(coalesce(started_at, created_at), 1, 10) AS day,
  agent_type,
  count(*) AS sessions,
  sum(input_tokens) AS input_tokens,
  sum(output_tokens) AS output_tokens,
  sum(cache_read_tokens) AS cache_read_tokens,
  sum(cache_creation_tokens) AS cache_creation_tokens,
  CAST(round(total(cost_nanos) / 1000) AS INTEGER) AS cost_micros,
  round(total(cost_nanos) / 1000) / 1000000.0 AS cost_usd,
  max(cost_estimated) AS estimated
FROM agent_sessions
GROUP BY day, agent_type;

CREATE VIEW cost_by_model AS
SELECT
  model,
  count(DISTINCT session_id) AS sessions,
  sum(input_tokens) AS input_tokens,
  sum(output_tokens) AS output_tokens,
  sum(cache_read_tokens) AS cache_read_tokens,
  sum(cache_creation_tokens) AS cache_creation_tokens,
  sum(web_search_requests) AS web_search_requests,
  CAST(round(total(cost_nanos) / 1000) AS INTEGER) AS cost_micros,
  round(total(cost_nanos) / 1000) / 1000000.0 AS cost_usd,
  max(estimated) AS estimated
FROM invocation_model_usage
GROUP BY model;

CREATE VIEW cost_by_tree AS
SELECT
  root_session_id,
  count(*) AS sessions,
  min(created_at) AS created_at,
  max(completed_at) AS completed_at,
  sum(input_tokens) AS input_tokens,
  sum(output_tokens) AS output_tokens,
  sum(cache_read_tokens) AS cache_read_tokens,
  sum(cache_creation_tokens) AS cache_creation_tokens,
  CAST(round(total(cost_nanos) / 1000) AS INTEGER) AS cost_micros,
  round(total(cost_nanos) / 1000) / 1000000.0 AS cost_usd,
  max(cost_estimated) AS estimated
FROM agent_sessions
GROUP BY root_session_id;

CREATE VIEW said AS
SELECT
  e.event_id,
  coalesce(substr(CASE
    WHEN e.type = 'drover.session.accepted' THEN json_extract(e.payload, '$.request.prompt')
    WHEN json_type(e.payload, '$.message.content') = 'array' THEN (
      SELECT group_concat(substr(CASE json_extract(block.value, '$.type')
        WHEN 'text' THEN json_extract(block.value, '$.text')
        WHEN 'thinking' THEN json_extract(block.value, '$.thinking')
        WHEN 'tool_use' THEN json_extract(block.value, '$.name') || ' ' || json_extract(block.value, '$.input')
        WHEN 'tool_result' THEN CASE json_type(block.value, '$.content')
          WHEN 'text' THEN json_extract(block.value, '$.content')
          WHEN 'array' THEN (
            SELECT group_concat(json_extract(part.value, '$.text'), char(10))
            FROM json_each(block.value, '$.content') AS part
            WHERE part.type = 'object')
        END
      END, 1, 4000), char(10))
      FROM json_each(e.payload, '$.message.content') AS block
      WHERE block.type = 'object')
    ELSE coalesce(
      json_extract(e.payload, '$.message.content'),
      json_extract(e.payload, '$.result'),
      json_extract(e.payload, '$.errors'))
  END, 1, 16000), '') AS text
FROM session_event AS e
WHERE e.type IN ('claude.assistant', 'claude.user', 'claude.result', 'drover.session.accepted')
  OR e.type GLOB 'claude.result.*';

CREATE VIEW asked AS
SELECT
  e.event_id,
  e.session_id || char(10) || e.agent_type || char(10) ||
    coalesce(json_extract(e.payload, '$.request.task_id'), '') || char(10) ||
    coalesce(json_extract(e.payload, '$.request.orchestrator_id'), '') || char(10) ||
    coalesce(substr(json_extract(e.payload, '$.request.prompt'), 1, 10000), '') AS text
FROM session_event AS e
WHERE e.type = 'drover.session.accepted';

CREATE VIEW agent_bottlenecks AS
SELECT
  agent_type,
  sum(status = 'queued') AS queued,
  min(CASE WHEN status = 'queued' THEN created_at END) AS oldest_queued_at,
  sum(status NOT IN ('queued', 'completed', 'failed', 'cancelled')) AS active,
  CAST(round(avg((julianday(started_at) - julianday(created_at)) * 86400)) AS INTEGER) AS average_wait_seconds,
  CAST(round(max((julianday(started_at) - julianday(created_at)) * 86400)) AS INTEGER) AS longest_wait_seconds,
  sum(restarts) AS restarts,
  sum(status = 'failed') AS failed,
  sum(failure_reason IS 'stalled') AS stalled,
  sum(failure_reason IS 'timeout') AS timed_out,
  sum(incomplete) AS incomplete
FROM agent_sessions
GROUP BY agent_type;

CREATE VIEW priority_status AS
SELECT
  p.priority_number,
  CASE
    WHEN NOT EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status IN ('pending', 'spawned', 'running', 'failed', 'cancelled', 'blocked')) THEN 'completed'
    WHEN EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status IN ('spawned', 'running')) THEN 'in_progress'
    WHEN EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status IN ('failed', 'cancelled', 'blocked')) THEN 'blocked'
    WHEN EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status = 'completed') THEN 'in_progress'
    ELSE 'planned'
  END AS status
FROM roadmap_priority AS p
WHERE EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number);

CREATE VIEW priority_timeline AS
SELECT
  p.priority_number,
  r.title,
  CASE
    WHEN count(t.task_id) = 0 THEN r.status
    WHEN sum(t.status = 'completed') = count(t.task_id) THEN 'completed'
    WHEN sum(t.status IN ('spawned', 'running')) > 0 THEN 'in_progress'
    WHEN sum(t.status IN ('failed', 'cancelled', 'blocked')) > 0 THEN 'blocked'
    WHEN sum(t.status = 'completed') > 0 THEN 'in_progress'
    ELSE 'planned'
  END AS roadmap_status,
  count(t.task_id) AS tasks,
  coalesce(sum(t.status = 'completed'), 0) AS completed,
  coalesce(sum(t.status IN ('spawned', 'running')), 0) AS active,
  coalesce(sum(t.status IN ('pending', 'blocked')), 0) AS waiting,
  coalesce(sum(t.status IN ('failed', 'cancelled')), 0) AS failed,
  min(t.created_at) AS created_at,
  min(t.started_at) AS started_at,
  CASE WHEN sum(t.status = 'completed') = count(t.task_id) THEN max(t.completed_at) END AS completed_at
FROM (
  SELECT priority_number FROM roadmap_priority
  UNION
  SELECT priority_number FROM orchestrator_task WHERE priority_number IS NOT NULL
) AS p
LEFT JOIN roadmap_priority AS r USING (priority_number)
LEFT JOIN orchestrator_task AS t USING (priority_number)
GROUP BY p.priority_number
ORDER BY p.priority_number;
