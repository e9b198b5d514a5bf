-- What is known to be missing, what is here of each spool, and who asked for what.

-- Numbers that were skipped and have not come. `agent_id` NULL: events of the session, by `seq`; else lines of that
-- agent. Not a projection: it says what the recorder saw, and stays when projections are made anew.
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

-- What is here of an agent's spool, kept with each batch: also when the lines themselves were removed by retention.
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

INSERT INTO recorded_spool (agent_id, epoch, session_id, last_line, lines)
SELECT agent_id, epoch, min(session_id), max(line), count(*) FROM session_event WHERE line IS NOT NULL
GROUP BY agent_id, epoch;

-- What the agent's closing event says of its lines as they were published.
ALTER TABLE agent_lifecycle ADD COLUMN lines_digest TEXT;
ALTER TABLE agent_lifecycle DROP COLUMN missing_lines;

-- Who asked for what, and when (CFR-014): one row per event that names an actor.
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
