/**
 * What refuses a session that must not wait (`on_busy: "fail"`). A look and no reservation: another session may still
 * come first, and then this one waits in line after all.
 */
import { DroverError } from '../core/errors.ts'
import type { PodRow } from '../core/pod-row.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'
import type { Queues } from '../queue/jobs.ts'
import type { PodDirectory } from '../queue/pods.ts'
import type { SessionRecord, SessionStore } from '../queue/session-store.ts'

export interface BusyParts {
  readonly queues: Pick<Queues, 'of'>
  readonly store: Pick<SessionStore, 'read'>
  readonly pods: Pick<PodDirectory, 'list'>
}

/** Room comes and goes within seconds; where sessions fill the pods, it takes as long as they do. */
const RETRY_AFTER_SECONDS = 5

/**
 * @param sessionId of the one that is asked for, which is not in its own way
 * @throws DroverError `singleton_violation`, `resource_exhaustion`
 */
export async function refuseWhenBusy(
  parts: BusyParts,
  type: AgentTypeSummary,
  sessionId: string,
): Promise<void> {
  await refuseSecond(parts, type, sessionId)
  await refuseWithoutRoom(parts, type.name)
}

async function refuseSecond(
  { queues, store }: BusyParts,
  type: AgentTypeSummary,
  sessionId: string,
): Promise<void> {
  const queue = queues.of(type.name)
  // Every job has a priority, so those that wait are `prioritized`; `waiting` holds those handed over.
  const [active, waiting] = await Promise.all([
    queue.getActive(),
    queue.getJobCountByTypes('waiting', 'prioritized'),
  ])
  const others = active.filter((job) => job.id !== sessionId)
  if (others.length + waiting < type.max_instances) return
  const holder = others[0]?.id === undefined ? null : await store.read(others[0].id)
  throw new DroverError(
    'singleton_violation',
    holder === null
      ? `${type.name} has a session waiting already. With on_busy "queue" (the default) this one waits in line.`
      : // The source document's own words; where no process runs, what the session does instead.
        `${type.name} already running (PID: ${(hasProcess(holder) ? holder.pid : null) ?? holder.state})`,
    {
      agent_type: type.name,
      existing_agent_id: holder?.agentId ?? null,
      existing_session_id: holder?.sessionId ?? null,
    },
  )
}

function hasProcess({ state }: SessionRecord): boolean {
  return state === 'running' || state === 'waiting_input'
}

/** Only where pods of the type are there and each of them says that it has no room; another one may come any moment. */
async function refuseWithoutRoom({ pods }: BusyParts, agentType: string): Promise<void> {
  const serving = (await pods.list()).filter(
    (pod) => pod.agent_types.includes(agentType) && pod.state !== 'draining',
  )
  if (serving.length === 0 || serving.some((pod) => pod.state !== 'no_room')) return
  throw new DroverError(
    'resource_exhaustion',
    `No pod has room for ${agentType}. ${serving.map(inWords).join(' ')} With on_busy "queue" (the default) the session waits for room.`,
    {
      agent_type: agentType,
      retry_after_seconds: RETRY_AFTER_SECONDS,
      pods: serving.map(({ pod_id, why, free_cpu_percent, free_memory_mb, running, max_sessions }) => ({
        pod_id,
        why,
        free_cpu_percent,
        free_memory_mb,
        running,
        max_sessions,
      })),
    },
  )
}

function inWords({ pod_id: id, why }: PodRow): string {
  return `${id}: ${why ?? 'no room.'}`
}
