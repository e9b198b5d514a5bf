-- What the life of the file needs: one order over all events, and a mark on sessions whose raw lines are gone.

-- The session event that was the last one when this was recorded: with both ids all events have one order, in which
-- they can be projected again.
ALTER TABLE task_event ADD COLUMN after_event_id INTEGER NOT NULL DEFAULT 0;

-- When retention took the raw lines of the session away. Its results, Drover's own events and the totals stay.
ALTER TABLE agent_sessions ADD COLUMN pruned_at TEXT;

CREATE INDEX agent_sessions_unpruned ON agent_sessions (completed_at)
  WHERE completed_at IS NOT NULL AND pruned_at IS NULL;
