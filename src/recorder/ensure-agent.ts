/** The rows of an agent, made by its first event. */
import type { AgentSpawned } from '../core/events.ts'
import type { Tables } from '../ledger/tables.ts'
import type { AgentHeader } from './handler.ts'

/**
 * Makes session, agent and invocation where they are missing, so that the event has its place also when an earlier
 * one is lost. The first event of an agent is `drover.agent.spawned`, which says all of it.
 *
 * Throws when the id belongs to another agent: Redis lost its counters and gave the id out twice.
 */
export function ensureAgent(tables: Tables, header: AgentHeader, spawned?: AgentSpawned): void {
  const { agent_id, epoch, session_id, agent_type, ts } = header
  if (tables.agents.has({ agent_id, epoch })) return
  tables.sessions.ensure(session_id, agent_type, ts)
  const added = tables.agents.spawn({
    agent_id,
    epoch,
    session_id,
    agent_type,
    spawned_at: ts,
    pod_id: spawned?.pod_id ?? null,
    command: spawned === undefined ? null : JSON.stringify(spawned.command),
    tier: spawned?.tier ?? null,
    host: spawned?.host ?? null,
    worktree_path: spawned?.worktree_path ?? null,
    worktree_branch: spawned?.worktree_branch ?? null,
    retry_count: spawned?.retry_count ?? 0,
  })
  if (!added) throw new Error(`The agent id ${agent_id} belongs to another agent already.`)
  tables.invocations.start({
    agent_id,
    session_id,
    agent_type,
    prompt: spawned?.prompt ?? null,
    model: spawned?.model ?? null,
    working_dir: spawned?.cwd ?? null,
    invoked_at: ts,
  })
}
