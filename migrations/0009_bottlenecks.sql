-- The view agent_bottlenecks had NULL where nothing had stalled or run out of time, and 0 elsewhere.

DROP VIEW agent_bottlenecks;

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
