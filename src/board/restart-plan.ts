/** What the restart of an ended session is made of, worked out against the ledger. */
import { DroverError } from '../core/errors.ts'
import type { TaskPending } from '../core/events.ts'
import { FAILURE_REASONS, isEnded } from '../core/state.ts'
import type { LedgerReader, SessionView } from '../ledger/ledger.ts'
import type { EndedToRestart } from '../producer/restart.ts'
import { pendingOf } from '../producer/tasks.ts'
import { earlierAcceptance } from './earlier.ts'

export interface RestartPlanParts {
  readonly ledger: LedgerReader
  /** For tasks that name none. */
  readonly defaultWorkspace: string
}

/** Longer chains of restarts are not counted further. */
const MOST_RESTARTS = 1000

/**
 * @param view of an ended session
 * @param unredactedPrompt its prompt as it was given, where something was taken out of it and Redis still has it
 * @throws DroverError `task_not_ready` where its task goes on with another session; `session_not_found` where what it
 *   was asked for is not recorded
 */
export function endedToRestart(
  parts: RestartPlanParts,
  view: SessionView,
  unredactedPrompt: string | null,
): EndedToRestart {
  const { ledger } = parts
  const { session_id: sessionId, status } = view
  const accepted = earlierAcceptance(ledger, sessionId)
  if (accepted === null || !isEnded(status)) {
    throw new DroverError(
      'session_not_found',
      `What the session ${sessionId} was asked for is not recorded. Ask for a new one with drover spawn.`,
      { session_id: sessionId },
    )
  }
  return {
    sessionId,
    agentType: view.agent_type,
    status,
    failureReason: FAILURE_REASONS.find((reason) => reason === view.failure_reason) ?? null,
    request: accepted.request,
    before:
      accepted.redacted === undefined ? null : { redacted: accepted.redacted, prompt: unredactedPrompt },
    lastAgentId: view.agent_id,
    restartsBefore: restartsBefore(ledger, view),
    task: view.task_id === null ? null : taskOf(parts, sessionId, view.task_id),
    waitingFor: view.task_id === null ? [] : (ledger.tasks.get(view.task_id)?.waiting_for ?? []),
  }
}

/** How often the work was restarted by hand up to this session. */
export function restartsBefore(ledger: LedgerReader, view: SessionView): number {
  let count = 0
  let before = view.restart_of
  while (before !== null && count < MOST_RESTARTS) {
    count++
    before = ledger.sessions.get(before)?.restart_of ?? null
  }
  return count
}

/** The task as its next run begins with it. */
function taskOf(
  { ledger, defaultWorkspace }: RestartPlanParts,
  sessionId: string,
  taskId: string,
): Omit<TaskPending, 'actor'> | null {
  const task = ledger.tasks.get(taskId)
  if (task === null) return null
  const known = { ...task, workspace_dir: task.workspace_dir ?? defaultWorkspace }
  if (task.session_id !== null && task.session_id !== sessionId) {
    const restarted = ledger.sessions.get(task.session_id)
    // Asked before: the same run again makes the same session.
    if (restarted?.restart_of !== sessionId) throw movedOn(taskId, sessionId, task.session_id)
    return { ...pendingOf(known), run: task.run - 1 }
  }
  return pendingOf(known)
}

function movedOn(taskId: string, sessionId: string, present: string): DroverError {
  return new DroverError(
    'task_not_ready',
    `The task ${taskId} went on with the session ${present} after ${sessionId} had ended. Restart that one.`,
    { task_id: taskId, session_id: present },
  )
}
