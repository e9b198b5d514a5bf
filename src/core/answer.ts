/** What Drover answers (CONTRACT §3), as types; shared by producer, board, client and command line. */
import type { ErrorCode } from './errors.ts'
import type { Usage } from './envelope.ts'
import type { EndState, FailureReason, SessionState } from './state.ts'

/** `wait: "accepted"` */
export interface AcceptedAnswer {
  readonly success: true
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  readonly status: SessionState
  /** `ledger`: recorded for good. `redis`: on the durable stream, not yet seen in the ledger. */
  readonly durability: 'ledger' | 'redis'
  /** 1 = next of its type; 0 = not waiting in the queue (it runs, or waits for tasks). */
  readonly queue_position: number
  readonly waiting_for: readonly string[]
  readonly created_at: string
  readonly timeout_seconds: number
  /** True when the same key or task had been accepted before. */
  readonly repeated: boolean
}

/** `wait: "started"` */
export interface StartedAnswer {
  readonly success: true
  readonly agent_id: string
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  readonly status: SessionState
  readonly pid: number | null
  readonly created_at: string
  readonly started_at: string
  readonly expected_completion: string
  readonly timeout_seconds: number
}

/** `wait: "completed"`, for success and failure alike. */
export interface CompletedAnswer {
  readonly success: boolean
  readonly agent_id: string | null
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  readonly status: EndState
  readonly pid: number | null
  readonly created_at: string
  readonly started_at: string | null
  readonly expected_completion: string | null
  readonly timeout_seconds: number
  readonly completed_at: string
  readonly output: string | null
  /** USD. Without the ledger (`createProducer`) that of results alone: what a killed agent used is not in it. */
  readonly cost: number
  /** A part of cost and usage is an estimate, for an agent that ended without a result. Only of the ledger's answers. */
  readonly cost_estimated?: boolean
  readonly usage: Usage
  readonly num_turns: number
  readonly duration_ms: number
  readonly restarts: number
  readonly permission_denials: readonly unknown[]
  /** Only where `success` is false. */
  readonly error?: 'session_failed'
  readonly failure_reason?: FailureReason
  readonly message?: string
}

/** `POST /sessions/:id/kill` */
export interface KillAnswer {
  readonly success: true
  /** null: no agent of the session ever ran. */
  readonly agent_id: string | null
  readonly session_id: string
  readonly action: 'graceful_kill' | 'force_kill'
  /** null where no process lived; `kill_signal` likewise. */
  readonly pid: number | null
  /** What ended it: SIGKILL also where the grace was not enough. */
  readonly kill_signal: 'SIGTERM' | 'SIGKILL' | null
  readonly task_id: string | null
  readonly killed_at: string
  readonly grace_period_seconds: number
  /** It was gone before the grace was over, or there was none. */
  readonly killed_gracefully: boolean
  readonly processes_killed: number
}

/** One of several that could not be done, and why. */
export interface NotDone {
  readonly session_id: string
  readonly agent_id: string | null
  readonly agent_type: string
  readonly error: ErrorCode
  readonly message: string
}

/** `POST /agents/kill-stalled` */
export interface KillStalledAnswer {
  /** False where one of them could not be killed. */
  readonly success: boolean
  readonly action: 'kill_stalled'
  readonly agents_killed: number
  readonly killed_agents: readonly KillAnswer[]
  readonly not_killed: readonly NotDone[]
  readonly timestamp: string
}

/** `POST /sessions/:id/restart` */
export interface RestartAnswer {
  readonly success: true
  readonly action: 'restart'
  /** The agent that the next one goes on from; null where none ever ran. */
  readonly old_agent_id: string | null
  /** The session that goes on: a new one where the old one had ended. */
  readonly session_id: string
  /** The ended session; null where the session itself goes on. */
  readonly restart_of: string | null
  readonly task_id: string | null
  /** Restarts that count so far: a restart by hand begins anew; of an ended session, those that led to this one. */
  readonly retry_count: number
  readonly backoff_seconds: number
  readonly max_retries: number
  readonly message: string
  /** Once it is known. */
  readonly new_agent_id?: string
}

/** `POST /sessions/restart-failed` */
export interface RestartFailedAnswer {
  readonly success: true
  readonly action: 'restart_all_failed'
  readonly agents_restarted: number
  readonly restarted: readonly RestartAnswer[]
  /** Failed sessions that are left as they are: `non_retryable_error`, `max_retries_exceeded` … */
  readonly skipped: readonly NotDone[]
  readonly timestamp: string
}

export type SpawnAnswer = AcceptedAnswer | StartedAnswer | CompletedAnswer
