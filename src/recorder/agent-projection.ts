/**
 * `drover.agent.*` → `agent_lifecycle`, `agent_lifecycle_events`, `claude_invocations`, and the session's state.
 *
 * What a superseded agent still says (`late`) completes its own rows and changes no state.
 */
import type {
  AgentClosed,
  AgentExited,
  AgentHealth,
  AgentKilled,
  AgentSpawned,
  AgentStarted,
} from '../core/events.ts'
import type { LifecycleEvent } from '../ledger/agent-lifecycle-event.ts'
import type { Tables } from '../ledger/tables.ts'
import { ensureAgent } from './ensure-agent.ts'
import type { AgentHeader, Effects, Handlers } from './handler.ts'
import { markUnbilled } from './settle.ts'

type Health = Partial<Pick<LifecycleEvent, 'health_status' | 'cpu_percent' | 'memory_mb'>>

function note(
  tables: Tables,
  header: AgentHeader,
  eventType: LifecycleEvent['event_type'],
  health: Health = {},
): void {
  tables.agentEvents.add({
    agent_id: header.agent_id,
    event_type: eventType,
    health_status: health.health_status ?? null,
    cpu_percent: health.cpu_percent ?? null,
    memory_mb: health.memory_mb ?? null,
    recorded_at: header.ts,
    session_id: header.session_id,
    seq: header.seq,
  })
}

function onSpawned(tables: Tables, header: AgentHeader, payload: AgentSpawned, effects: Effects): void {
  const { session_id, ts } = header
  ensureAgent(tables, header, payload)
  tables.agents.supersede(session_id, header.epoch, ts)
  for (const agentId of tables.invocations.endSuperseded(session_id, ts)) {
    markUnbilled(effects, agentId)
    effects.unsettled.add(session_id)
  }
  note(tables, header, 'spawned')
  if (header.late === true) return
  tables.sessions.move(session_id, 'starting')
  if (payload.workspace_id !== undefined) tables.sessions.setWorkspace(session_id, payload.workspace_id)
}

function onStarted(tables: Tables, header: AgentHeader, payload: AgentStarted, effects: Effects): void {
  const { agent_id, session_id } = header
  ensureAgent(tables, header)
  tables.agents.start({
    agent_id,
    epoch: header.epoch,
    pid: payload.pid,
    started_at: payload.started_at,
    claude_code_version: payload.claude_code_version,
  })
  if (payload.model !== null) tables.invocations.setModel(agent_id, session_id, payload.model)
  note(tables, header, 'started', { health_status: 'healthy' })
  if (header.late === true) return
  tables.sessions.start(session_id, payload.started_at)
  const taskId = tables.sessions.taskOf(session_id)
  if (taskId === null) return
  tables.tasks.run(taskId, session_id, agent_id, payload.started_at)
  effects.taskIds.add(taskId)
}

function onHealth(tables: Tables, header: AgentHeader, payload: AgentHealth): void {
  ensureAgent(tables, header)
  tables.agents.beat(header, header.ts)
  note(tables, header, 'health', payload)
}

/** Why it is; that it is stalled says the change of health before it. */
function onStalled(tables: Tables, header: AgentHeader): void {
  ensureAgent(tables, header)
  note(tables, header, 'stalled')
}

function onKilled(tables: Tables, header: AgentHeader, _payload: AgentKilled): void {
  ensureAgent(tables, header)
  note(tables, header, 'killed')
}

function onExited(tables: Tables, header: AgentHeader, payload: AgentExited, effects: Effects): void {
  tables.questions.close(header.session_id, header.ts, header.agent_id)
  const { agent_id, epoch, session_id, ts } = header
  ensureAgent(tables, header)
  tables.agents.exit({
    agent_id,
    epoch,
    status: payload.status,
    completed_at: ts,
    pid: payload.pid,
    exit_code: payload.exit_code,
    exit_signal: payload.exit_signal,
    error_message: payload.message,
  })
  tables.invocations.end(agent_id, session_id, payload.status, ts, payload.message)
  markUnbilled(effects, header.agent_id)
  effects.unsettled.add(header.session_id)
  note(tables, header, 'exited', { health_status: payload.status === 'completed' ? 'completed' : 'failed' })
  // What the session does next is the next event; without one (a hand-over) it waits for another pod.
  if (header.late !== true) tables.sessions.requeue(session_id)
}

function onClosed(tables: Tables, header: AgentHeader, payload: AgentClosed, effects: Effects): void {
  const { agent_id, epoch } = header
  ensureAgent(tables, header)
  tables.agents.close({
    agent_id,
    epoch,
    spool_lines: payload.lines,
    spool_bytes: payload.bytes,
    spool_sha256: payload.sha256,
    lines_digest: payload.lines_digest ?? null,
    tail_unknown: payload.tail_unknown,
  })
  note(tables, header, 'closed')
  markUnbilled(effects, header.agent_id)
  effects.unsettled.add(header.session_id)
  if (payload.tail_unknown) return
  effects.closed.push({ session_id: header.session_id, agent_id, epoch, lines: payload.lines })
}

export const AGENT_HANDLERS: Handlers<AgentHeader> = {
  'drover.agent.spawned': onSpawned,
  'drover.agent.started': onStarted,
  'drover.agent.health': onHealth,
  'drover.agent.stalled': onStalled,
  'drover.agent.killed': onKilled,
  'drover.agent.exited': onExited,
  'drover.agent.closed': onClosed,
}
