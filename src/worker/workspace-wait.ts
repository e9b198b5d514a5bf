/**
 * A session whose workspace is not on this pod: it waits, visibly, and its job goes back so that another pod looks.
 *
 * Where it has begun, its workspace is somewhere, maybe on a pod that is down for a moment: it waits for
 * `worker.workspace_wait_ms`. Where it has not begun, the path may simply be wrong: it fails as soon as every pod that
 * serves its type has looked, which with one pod is at once. In both cases it does not fail while a pod that serves
 * its type has not looked: that one may be full, and have it.
 *
 * A look costs a few reads and one write, and takes no lease, so sessions of the type that can run do. Looks are 0.5 s
 * apart at first and a tenth of the time waited later, 10 s at most: about 100 in ten minutes.
 *
 * Nothing here is exact to the second: the wait is measured on the pods' own clocks, and a dead pod counts for some
 * beats as one that has not looked.
 */
import type { AgentSpec } from '../config/agent-spec.ts'
import type { SessionClaimed } from '../core/events.ts'
import { isResting, SESSION_STATES } from '../core/state.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import type { Claim, SessionParts } from './claimed-session.ts'
import { endSession, failure } from './conclude.ts'
import { preflight, type PreflightParts } from './preflight.ts'

const SHORTEST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
const PAUSE_SHARE = 0.1
const RESTING = SESSION_STATES.filter(isResting)

/** Why it cannot run here, for people; null where it can, as far as the workspace goes. */
export async function missingWorkspace(
  parts: SessionParts,
  spec: AgentSpec,
  record: SessionRecord,
): Promise<string | null> {
  const check = await preflight(preflightParts(parts), spec, record)
  if (!check.ok) return check.isElsewhere ? check.problem : null
  // A worktree that is not there yet, or was not made to its end, is made with the lease.
  if (record.workspaceId === null || check.workspaceId === null) return null
  if (record.workspaceId === check.workspaceId) return null
  return `The workspace ${check.dir} is not the one that the session began in; its files are others.`
}

/** The part of the session's parts that `preflight` needs. */
export function preflightParts({ config, worktrees, searchPath }: SessionParts): PreflightParts {
  return { roots: config.workspace.roots, worktrees, searchPath }
}

/** Lets the session wait, or ends it when it has waited in vain. Only for one without a living agent. */
export async function waitForWorkspace(
  parts: SessionParts,
  record: SessionRecord,
  problem: string,
): Promise<Claim> {
  const { store, config, clock } = parts
  const waiting = record.state === 'waiting_workspace' ? record.workspaceWait : null
  const now = clock.now()
  const since = waiting?.since ?? now.toISOString()
  const looked = [...new Set([...(waiting?.looked ?? []), config.podId])]
  const waitedMs = now.getTime() - Date.parse(since)
  const hasBegun = record.workspaceId !== null
  if (!hasBegun || waitedMs >= config.worker.workspaceWaitMs) {
    const serving = await servingPods(parts, record.agentType)
    if (serving.every((podId) => looked.includes(podId))) {
      return await endSession(parts, record, ending(record, problem, hasBegun))
    }
  }
  const changed = await store.change(
    { sessionId: record.sessionId, agentType: record.agentType, epoch: record.epoch },
    {
      from: RESTING,
      to: 'waiting_workspace',
      set: { workspace_wait: JSON.stringify({ since, looked }) },
      events:
        waiting === null
          ? [{ type: 'drover.session.claimed', payload: claimed(parts, record, problem) }]
          : [],
    },
  )
  // It moved meanwhile: cancelled, or with an agent on the pod that has the workspace.
  if (!changed.ok) return 'hand_over'
  const pauseMs = Math.min(Math.max(waitedMs * PAUSE_SHARE, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS)
  return { laterMs: Math.round(pauseMs) }
}

/** Those that will look: one that is told to stop takes no job any more. */
async function servingPods({ pods }: SessionParts, agentType: string): Promise<string[]> {
  const rows = await pods.list()
  return rows
    .filter((pod) => pod.agent_types.includes(agentType) && pod.state !== 'draining')
    .map((pod) => pod.pod_id)
}

function claimed({ config }: SessionParts, record: SessionRecord, problem: string): SessionClaimed {
  const { workspaceId, podId } = record
  return {
    pod_id: config.podId,
    waiting_workspace: { workspace_id: workspaceId, last_pod_id: podId, message: problem },
  }
}

function ending({ podId }: SessionRecord, problem: string, hasBegun: boolean): ReturnType<typeof failure> {
  if (!hasBegun) return failure('invalid_config', problem)
  const where = podId === null ? '' : ` It was last on pod ${podId}: start that pod again, or`
  const what = `${where === '' ? ' To prevent it,' : where} keep workspaces on storage that all pods share.`
  return failure('workspace_lost', `The session cannot go on. ${problem}${what}`)
}
