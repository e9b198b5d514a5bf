/**
 * One agent: from its epoch to the moment its process is gone, its spool drained and its end known.
 *
 * When the worker dies in between: before `start` nothing has begun. After it the session is `starting` with an
 * epoch that no other agent has, the guard ends the process, and whoever takes the job next closes this agent and
 * goes on.
 */
import { hostname } from 'node:os'
import { messageOf } from '../core/errors.ts'
import type { AgentSpawned, SessionResumed } from '../core/events.ts'
import { agentIdPrefix, newId } from '../core/ids.ts'
import { GuardLost, type Guard } from '../guard/client.ts'
import type { AgentRef, Started } from '../queue/session-store.ts'
import { userMessage } from '../session/message.ts'
import { notSpawned, type AgentEnded } from './agent-end.ts'
import { rightsOf, type AgentPlan } from './agent-plan.ts'
import { superviseAgent, type LiveAgent, type SuperviseParts } from './supervise-agent.ts'

export interface AgentParts extends SuperviseParts {
  readonly guard: () => Promise<Guard>
}

/** What the hash still says of the agent before. */
const NO_BEAT = { health: '', process_state: '', cpu_percent: '', memory_mb: '', beat_at: '' }

/** Runs one agent to its end; or answers why it was not started. Throws when Redis refuses to record it. */
export async function runAgent(
  parts: AgentParts,
  plan: AgentPlan,
): Promise<AgentEnded | Exclude<Started, { ok: true }>> {
  const { record, lease, workplace } = plan
  // Without a guard nothing is begun: the next one is waited for.
  const { tier } = await parts.guard()
  const session = { sessionId: record.sessionId, agentType: record.agentType }
  const spawned: AgentSpawned = {
    pod_id: plan.podId,
    command: [plan.file, ...plan.args],
    cwd: workplace.cwd,
    workspace_id: workplace.workspaceId,
    host: hostname(),
    ...(workplace.worktree === null
      ? {}
      : { worktree_path: workplace.worktree.path, worktree_branch: workplace.worktree.branch }),
    tier,
    model: plan.spec.model,
    retry_count: record.restarts,
    resumed: plan.resumed,
    prompt: plan.words.recordedPrompt,
    ...(plan.words.isRedacted ? { prompt_redacted: true } : {}),
  }
  const resumed: SessionResumed = { waited_ms: plan.waitedMs }
  const started = await parts.store.start(session, {
    leaseKey: lease.key,
    token: lease.token,
    agentIdPrefix: agentIdPrefix(record.agentType, parts.clock.now()),
    set: {
      pod_id: plan.podId,
      workspace_id: workplace.workspaceId,
      worktree_path: workplace.worktree?.path ?? '',
      pid: '',
      facts: '',
      ...rightsOf(plan),
      interrupted_until: '',
      waited_ms: plan.waitedMs,
      waiting_since: '',
      ...NO_BEAT,
    },
    epoch: record.epoch,
    restarts: record.restarts,
    events: [
      { type: 'drover.agent.spawned', payload: spawned },
      ...(record.waitingSince > 0 ? [{ type: 'drover.session.resumed', payload: resumed } as const] : []),
    ],
  })
  if (!started.ok) return started
  return await liveAgent(parts, plan, { ...session, agentId: started.agentId, epoch: started.epoch })
}

async function liveAgent(parts: AgentParts, plan: AgentPlan, agent: AgentRef): Promise<AgentEnded> {
  let live: LiveAgent
  try {
    const { dir, env, redactor } = await plan.prepare(agent)
    const guard = await parts.guard()
    const guarded = await guard.start({
      agentId: agent.agentId,
      sessionId: agent.sessionId,
      file: plan.file,
      args: plan.args,
      cwd: plan.workplace.cwd,
      env,
      dir,
      deadline: parts.pulse.trustedUntil(),
      input: userMessage(plan.words.prompt, plan.promptMessageId ?? newId()),
    })
    live = { agent, guarded, dir, redactor }
  } catch (error) {
    return notSpawned(agent, messageOf(error), error instanceof GuardLost)
  }
  try {
    return await superviseAgent(parts, plan, live)
  } finally {
    live.guarded.kill(0)
    parts.pulse.unwatch()
  }
}
