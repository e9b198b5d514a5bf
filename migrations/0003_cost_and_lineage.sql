-- What each model of an invocation was used for, subagents included. Rows with `estimated` 0 are the sums over the
-- invocation's results. A row with `estimated` 1 stands for what an agent used that no result bills; it goes when that
-- result comes after all. Sums of costs are kept in billionths of a dollar, and rounded to micro-dollars once.
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

-- Sums over the rows above, estimates included.
ALTER TABLE claude_invocations ADD COLUMN cost_estimated INTEGER NOT NULL DEFAULT 0 CHECK (cost_estimated IN (0, 1));
ALTER TABLE agent_sessions ADD COLUMN cost_nanos INTEGER NOT NULL DEFAULT 0 CHECK (cost_nanos >= 0);

INSERT INTO invocation_model_usage (session_id, invocation_id, model, estimated, input_tokens, output_tokens,
  cache_read_tokens, cache_creation_tokens, cost_nanos)
SELECT session_id, invocation_id, coalesce(model, 'unknown'), 0, input_tokens, output_tokens, cache_read_tokens,
  cache_creation_tokens, cost_micros * 1000
FROM claude_invocations WHERE results > 0;
UPDATE agent_sessions SET cost_nanos = estimated_cost_micros * 1000;

-- Lineage. The parent of a restart by hand is the session that it goes on from; of any other the session whose agent
-- asked for it. The root is that of the parent, and the session itself where there is none.
ALTER TABLE agent_sessions
  ADD COLUMN parent_session_id TEXT GENERATED ALWAYS AS (coalesce(restart_of, created_by)) VIRTUAL;
ALTER TABLE agent_sessions ADD COLUMN root_session_id TEXT;

WITH RECURSIVE tree (session_id, root) AS (
  SELECT session_id, coalesce(parent_session_id, session_id) FROM agent_sessions
  WHERE parent_session_id IS NULL OR parent_session_id NOT IN (SELECT session_id FROM agent_sessions)
  UNION
  SELECT s.session_id, t.root FROM tree AS t JOIN agent_sessions AS s ON s.parent_session_id = t.session_id
)
UPDATE agent_sessions AS s SET root_session_id = t.root FROM tree AS t WHERE t.session_id = s.session_id;

CREATE INDEX agent_sessions_parent ON agent_sessions (parent_session_id, created_at)
WHERE parent_session_id IS NOT NULL;
CREATE INDEX agent_sessions_root ON agent_sessions (root_session_id, created_at);

-- All that a report of costs reads, so that it never touches the rows, which hold prompts and answers.
DROP INDEX agent_sessions_spent;
CREATE INDEX agent_sessions_spent ON agent_sessions (
  coalesce(started_at, created_at), agent_type, task_id, root_session_id, session_id, input_tokens, output_tokens,
  cache_read_tokens, cache_creation_tokens, cost_nanos, cost_estimated,
  -- For the day, which is made from the expression: SQLite takes that from these.
  started_at, created_at);

-- A session's cost is on the day it started.
DROP VIEW cost_by_day;
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

-- The same by model: what was reported, and what was estimated.
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

-- Every session's tree: what came of one request, restarts by hand and what its agents asked for included.
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
