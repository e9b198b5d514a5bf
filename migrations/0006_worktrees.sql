-- Sessions in git worktrees: the machine that has them, and which tasks ask for one.

-- The pod's machine.
ALTER TABLE agent_lifecycle ADD COLUMN host TEXT;

CREATE INDEX agent_lifecycle_worktree ON agent_lifecycle (spawned_at) WHERE worktree_path IS NOT NULL;

-- NULL: as the agent type has it.
ALTER TABLE orchestrator_task ADD COLUMN worktree INTEGER CHECK (worktree IN (0, 1));
