/**
 * The state machines of session, agent and task, as data. `docs/state-machines.md` shows the same tables as
 * diagrams; a test keeps them equal.
 */

export const SESSION_STATES = [
  'queued',
  'starting',
  'running',
  'restarting',
  'paused_limit',
  'waiting_input',
  'waiting_workspace',
  'completed',
  'failed',
  'cancelled',
] as const
export type SessionState = (typeof SESSION_STATES)[number]

export const AGENT_STATES = [
  'spawned',
  'running',
  'completed',
  'failed',
  'killed',
  'stalled',
  'superseded',
] as const
export type AgentState = (typeof AGENT_STATES)[number]

export const TASK_STATES = [
  'pending',
  'spawned',
  'running',
  'completed',
  'failed',
  'cancelled',
  'blocked',
] as const
export type TaskState = (typeof TASK_STATES)[number]

type Machine<S extends string> = Readonly<Record<S, readonly S[]>>

/** From a state to the states that may follow it. An empty list is an end: it is never left. */
export const SESSION_TRANSITIONS: Machine<SessionState> = {
  queued: ['starting', 'waiting_workspace', 'failed', 'cancelled'],
  starting: ['running', 'restarting', 'paused_limit', 'queued', 'completed', 'failed', 'cancelled'],
  running: [
    'waiting_input',
    'restarting',
    'paused_limit',
    'waiting_workspace',
    'queued',
    'completed',
    'failed',
    'cancelled',
  ],
  restarting: ['starting', 'waiting_workspace', 'completed', 'failed', 'cancelled'],
  paused_limit: ['starting', 'restarting', 'waiting_workspace', 'failed', 'cancelled'],
  waiting_input: ['running', 'restarting', 'queued', 'completed', 'failed', 'cancelled'],
  waiting_workspace: ['starting', 'restarting', 'completed', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
}

export const AGENT_TRANSITIONS: Machine<AgentState> = {
  spawned: ['running', 'completed', 'failed', 'killed', 'stalled', 'superseded'],
  running: ['completed', 'failed', 'killed', 'stalled', 'superseded'],
  completed: [],
  failed: [],
  killed: [],
  stalled: [],
  superseded: [],
}

export const TASK_TRANSITIONS: Machine<TaskState> = {
  pending: ['spawned', 'blocked', 'cancelled'],
  spawned: ['running', 'pending', 'completed', 'failed', 'cancelled'],
  running: ['completed', 'failed', 'cancelled'],
  completed: [],
  failed: ['pending'],
  cancelled: ['pending'],
  blocked: ['pending', 'cancelled'],
}

export const END_STATES = ['completed', 'failed', 'cancelled'] as const
export type EndState = (typeof END_STATES)[number]

export function isEnded(state: SessionState): state is EndState {
  return SESSION_TRANSITIONS[state].length === 0
}

/** Whether an agent of the session may be alive in this state. */
export function isLive(state: SessionState): boolean {
  return state === 'starting' || state === 'running' || state === 'waiting_input'
}

/** No agent, and another one will follow: it waits for a turn, a time, or its workspace. */
export function isResting(state: SessionState): boolean {
  return !isLive(state) && !isEnded(state)
}

/** The states that a session may be in for `next` to follow: what a guarded update names. */
export function sessionStatesBefore(next: SessionState): readonly SessionState[] {
  return SESSION_STATES.filter((state) => SESSION_TRANSITIONS[state].includes(next))
}

/** Why a session failed (CONTRACT §3). */
export const FAILURE_REASONS = [
  'agent_error',
  'api_error',
  'auth_error',
  'billing_error',
  'usage_limit',
  'max_turns',
  'budget_exceeded',
  'timeout',
  'stalled',
  'worker_lost',
  'crashed',
  'startup_timeout',
  'spawn_failed',
  'no_result',
  'refused',
  'missing_files',
  'workspace_lost',
  'lost',
  'cancelled',
  'invalid_config',
] as const
export type FailureReason = (typeof FAILURE_REASONS)[number]
