-- The session whose agent added the task: the parent of the task's sessions.
ALTER TABLE orchestrator_task ADD COLUMN created_by TEXT;
CREATE INDEX orchestrator_task_created_by ON orchestrator_task (created_by) WHERE created_by IS NOT NULL;
