/** `drover.session.*` → `agent_sessions`, and the task that the session is a run of. */
import { cutText } from '../core/cut-text.ts'
import type { SessionAccepted, SessionClaimed, SessionEnded, SessionRestarting } from '../core/events.ts'
import { DEFAULT_PRIORITY } from '../core/request.ts'
import type { EndState, SessionState } from '../core/state.ts'
import type { Tables } from '../ledger/tables.ts'
import type { Effects, Handler, Handlers, SessionHeader } from './handler.ts'
import { onWaitingInput } from './follow-up-projection.ts'
import { endTask, redactedColumn, templateColumns } from './task-projection.ts'

/** Longest prompt in `agent_sessions.task_description`; the whole of it is in the session's first event. */
const DESCRIPTION_LIMIT = 10_000

function onAccepted(tables: Tables, header: SessionHeader, payload: SessionAccepted, effects: Effects): void {
  const { request } = payload
  const taskId = request.task_id ?? null
  const template = templateColumns(request)
  tables.sessions.accept({
    session_id: header.session_id,
    agent_type: header.agent_type,
    task_id: taskId,
    task_description: cutText(request.prompt, DESCRIPTION_LIMIT),
    workspace_dir: request.workspace_dir,
    created_by: payload.created_by,
    restart_of: payload.restart_of,
    orchestrator_id: request.orchestrator_id ?? null,
    created_at: header.ts,
    priority: request.priority ?? DEFAULT_PRIORITY,
    timeout_seconds: payload.timeout_seconds ?? request.timeout_seconds ?? null,
    auto_restart: request.auto_restart ?? null,
    idempotency_key: payload.idempotency_key,
    request_digest: payload.digest,
    actor: JSON.stringify(payload.actor),
    ...template,
  })
  effects.acceptedSessionIds.add(header.session_id)
  if (taskId === null) return
  // Kept as it is where the task is known, which is the rule.
  tables.tasks.add({
    task_id: taskId,
    agent_type: header.agent_type,
    prompt: request.prompt,
    priority: request.priority ?? DEFAULT_PRIORITY,
    priority_number: null,
    workspace_dir: request.workspace_dir,
    worktree: request.worktree ?? null,
    created_at: header.ts,
    run: 0,
    created_by: payload.created_by,
    ...template,
    redacted: redactedColumn(payload),
  })
  // What would close a circle is left out: somebody else made the other one wait at the same moment.
  const more = (request.depends_on ?? []).filter((id) => !tables.tasks.waitsFor(id, taskId))
  tables.tasks.addDependencies(taskId, more)
  tables.tasks.link(taskId, header.session_id, header.ts)
  effects.taskIds.add(taskId)
}

function onClaimed(tables: Tables, header: SessionHeader, payload: SessionClaimed): void {
  tables.sessions.ensure(header.session_id, header.agent_type, header.ts)
  tables.sessions.claim(header.session_id, payload.pod_id, header.ts)
  if (payload.waiting_workspace !== undefined) tables.sessions.move(header.session_id, 'waiting_workspace')
}

function onRestarting(tables: Tables, header: SessionHeader, payload: SessionRestarting): void {
  tables.sessions.ensure(header.session_id, header.agent_type, header.ts)
  tables.sessions.restart(header.session_id, payload.restarts)
}

const movesTo =
  (state: Exclude<SessionState, EndState>): Handler<SessionHeader> =>
  (tables, header) => {
    tables.sessions.ensure(header.session_id, header.agent_type, header.ts)
    tables.sessions.move(header.session_id, state)
  }

function onResumed(tables: Tables, header: SessionHeader): void {
  tables.questions.close(header.session_id, header.ts)
  tables.sessions.resume(header.session_id)
}

function onCancelRequested(tables: Tables, header: SessionHeader): void {
  tables.sessions.ensure(header.session_id, header.agent_type, header.ts)
  tables.sessions.requestCancel(header.session_id, header.ts)
}

function onEnded(tables: Tables, header: SessionHeader, payload: SessionEnded, effects: Effects): void {
  tables.questions.close(header.session_id, header.ts)
  tables.sessions.ensure(header.session_id, header.agent_type, header.ts)
  tables.sessions.end({
    session_id: header.session_id,
    status: payload.status,
    completed_at: header.ts,
    result: payload.output,
    error_message: payload.message,
    failure_reason: payload.failure_reason,
    restarts: payload.restarts,
    num_turns: payload.num_turns,
    duration_ms: payload.duration_ms,
    permission_denials: JSON.stringify(payload.permission_denials),
    totals: { ...payload.usage, cost_micros: payload.cost_micros },
  })
  tables.messages.endSession(header.session_id, header.ts)
  effects.unsettled.add(header.session_id)
  effects.endedSessionIds.add(header.session_id)
  // A task's run is its session, so they end together, also where whoever ended the session did not say so.
  const taskId = tables.sessions.taskOf(header.session_id)
  if (taskId !== null) {
    endTask(
      tables,
      header,
      { task_id: taskId, status: payload.status, error_message: payload.message },
      effects,
    )
  }
}

export const SESSION_HANDLERS: Handlers<SessionHeader> = {
  'drover.session.accepted': onAccepted,
  'drover.session.claimed': onClaimed,
  'drover.session.restarting': onRestarting,
  'drover.session.paused_limit': movesTo('paused_limit'),
  'drover.session.waiting_input': onWaitingInput,
  'drover.session.resumed': onResumed,
  'drover.session.cancel_requested': onCancelRequested,
  'drover.session.ended': onEnded,
}
