/** A session's end, put together: its event, its task's, and what the hash keeps. One way for whoever ends it. */
import {
  OUTPUT_LIMIT,
  type AgentClosed,
  type AgentExited,
  type AgentHealth,
  type AgentKilled,
  type SessionEnded,
  type TaskEnded,
} from '../core/events.ts'
import { NO_USAGE } from '../core/envelope.ts'
import type { Outcome } from '../core/outcome.ts'
import type { OwnEvent } from './own-event.ts'
import type { CancelRequest, SessionRecord } from './session-record.ts'

/** How it ended, as far as its record does not say it. */
export type Ending = Pick<Outcome, 'status' | 'failureReason' | 'message' | 'output' | 'permissionDenials'>

/** What a change to the end's state takes. */
export interface SessionEnd {
  readonly to: SessionEnded['status']
  readonly set: Readonly<Record<string, string>>
  readonly events: readonly OwnEvent[]
}

/** The end of a session that somebody killed. */
export function cancelledEnding(cancel: Pick<CancelRequest, 'reason'> | null): Ending {
  const message = `Cancelled: ${cancel?.reason ?? 'somebody asked for it'}.`
  return { status: 'cancelled', failureReason: 'cancelled', message, output: null, permissionDenials: [] }
}

/**
 * @param record with the totals as they are now
 * @param lastEvents of the last agent; they come first
 */
export function endOf(
  record: SessionRecord,
  ending: Ending,
  completedAt: Date,
  lastEvents: readonly OwnEvent[] = [],
): SessionEnd {
  const { cancel, startedAt } = record
  const ended: SessionEnded = {
    status: ending.status,
    failure_reason: ending.failureReason,
    message: ending.status === 'completed' ? null : ending.message,
    output: ending.output === null ? null : ending.output.slice(0, OUTPUT_LIMIT),
    cost_micros: record.costMicros,
    usage: record.usage,
    num_turns: record.numTurns,
    duration_ms: startedAt === null ? 0 : completedAt.getTime() - Date.parse(startedAt),
    restarts: record.restarts,
    permission_denials: ending.permissionDenials,
    ...(ending.status === 'cancelled' && cancel !== null ? { actor: cancel.actor } : {}),
  }
  const events: OwnEvent[] = [...lastEvents, { type: 'drover.session.ended', payload: ended }]
  const taskId = record.request.task_id ?? null
  if (taskId !== null) {
    const task: TaskEnded = { task_id: taskId, status: ended.status, error_message: ended.message }
    events.push({ type: 'drover.task.ended', payload: task })
  }
  const killed = payloadOf(lastEvents, 'drover.agent.killed') as AgentKilled | undefined
  const exited = payloadOf(lastEvents, 'drover.agent.exited') as AgentExited | undefined
  return {
    to: ended.status,
    set: {
      ended: JSON.stringify({ ...ended, completed_at: completedAt.toISOString() }),
      // What a kill answers, also when it is asked again.
      ...(killed === undefined ? {} : { killed: JSON.stringify({ ...killed, pid: exited?.pid ?? null }) }),
    },
    events,
  }
}

function payloadOf(events: readonly OwnEvent[], type: OwnEvent['type']): object | undefined {
  return events.find((event) => event.type === type)?.payload
}

/** That the worker of this agent is gone, and so the agent: a change of health, which is said once. */
export function deadEvents({ health }: Pick<SessionRecord, 'health'>): OwnEvent[] {
  if (health === 'dead') return []
  const dead: AgentHealth = { health_status: 'dead', cpu_percent: null, memory_mb: null }
  return [{ type: 'drover.agent.health', payload: dead }]
}

/**
 * The end of a session that never had an agent, as far as it is the session's own: what becomes of its task is said
 * beside it.
 */
export function neverBegan(
  message: string,
  status: 'failed' | 'cancelled' = 'cancelled',
): Omit<SessionEnd, 'to'> {
  const ended: SessionEnded = {
    status,
    failure_reason: 'cancelled',
    message,
    output: null,
    cost_micros: 0,
    usage: NO_USAGE,
    num_turns: 0,
    duration_ms: 0,
    restarts: 0,
    permission_denials: [],
  }
  return {
    set: { ended: JSON.stringify({ ...ended, completed_at: new Date().toISOString() }) },
    events: [{ type: 'drover.session.ended', payload: ended }],
  }
}

/** The last events of an agent that nobody has heard of: what it still printed may come from its pod, late. */
export function lostAgentEvents(record: Pick<SessionRecord, 'pid' | 'cursor' | 'health'>): OwnEvent[] {
  const exited: AgentExited = {
    status: 'superseded',
    pid: record.pid,
    exit_code: null,
    exit_signal: null,
    failure_reason: 'worker_lost',
    message: 'The worker of the agent died or was cut off, and the agent was ended.',
    stderr_tail: '',
  }
  const closed: AgentClosed = { lines: record.cursor, bytes: 0, sha256: null, tail_unknown: true }
  return [
    ...deadEvents(record),
    { type: 'drover.agent.exited', payload: exited },
    { type: 'drover.agent.closed', payload: closed },
  ]
}
