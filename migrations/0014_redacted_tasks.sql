-- What was taken out of a task's prompt and variables before they were recorded (docs/redaction.md): where, and the digest
-- of what was given.
ALTER TABLE orchestrator_task ADD COLUMN redacted TEXT CHECK (redacted IS NULL OR json_valid(redacted));
