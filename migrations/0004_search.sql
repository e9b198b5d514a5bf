-- Searching: full text over what was said, any part of what a session was asked, and lists that stay quick when
-- there are many rows. The indexes hold no text of their own: they point into `session_event`, whose rows keep their
-- `event_id` (a `VACUUM` may give other tables new row numbers). They are filled after the commit, in transactions of
-- their own (`search_position`), so that a slow or broken index never stops recording.

-- What was said in an event, as far as it is searched: each part cut at 4,000 characters, the whole at 16,000.
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

CREATE VIRTUAL TABLE said_search USING fts5 (
  text, content = 'said', content_rowid = 'event_id', columnsize = 0,
  tokenize = 'unicode61 remove_diacritics 2'
);

-- What a session was asked for: ids, type, the beginning of its prompt.
CREATE VIEW asked AS
SELECT
  e.event_id,
  e.session_id || char(10) || e.agent_type || char(10) ||
    coalesce(json_extract(e.payload, '$.request.task_id'), '') || char(10) ||
    coalesce(json_extract(e.payload, '$.request.orchestrator_id'), '') || char(10) ||
    coalesce(substr(json_extract(e.payload, '$.request.prompt'), 1, 10000), '') AS text
FROM session_event AS e
WHERE e.type = 'drover.session.accepted';

-- Any three characters in a row find it.
CREATE VIRTUAL TABLE asked_search USING fts5 (
  text, content = 'asked', content_rowid = 'event_id', columnsize = 0, tokenize = 'trigram'
);

-- How far both are filled: every event up to this one.
CREATE TABLE search_position (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  event_id INTEGER NOT NULL
) STRICT;

INSERT INTO search_position (id, event_id) VALUES (1, 0);

-- Drover's own events, among many times as many lines.
CREATE INDEX session_event_own ON session_event (event_id, type) WHERE line IS NULL;

-- What lists are searched and filtered by, beside what 0001 has.
CREATE INDEX agent_lifecycle_named ON agent_lifecycle (
  spawned_at, agent_id, agent_type, session_id, task_id, pod_id
);
CREATE INDEX agent_lifecycle_pod ON agent_lifecycle (pod_id, spawned_at, agent_id);
CREATE INDEX agent_lifecycle_task ON agent_lifecycle (task_id, spawned_at, agent_id) WHERE task_id IS NOT NULL;
