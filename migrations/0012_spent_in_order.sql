-- Costs in the order of day and type: what is grouped by them needs no sorting, which took longer than adding up. As
-- before it holds all that a report of costs reads, so that the rows, with prompts and answers, are never touched.
DROP INDEX agent_sessions_spent;
CREATE INDEX agent_sessions_spent ON agent_sessions (
  substr(coalesce(started_at, created_at), 1, 10), agent_type, coalesce(started_at, created_at), task_id,
  root_session_id, session_id, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_nanos,
  cost_estimated,
  -- For both expressions: without them SQLite looks for these in the row.
  started_at, created_at);
