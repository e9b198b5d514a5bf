/** The payloads of Drover's own events: what each says, for whoever writes or projects them. */
import type { Actor, Usage } from './envelope.ts'
import type { MessagePriority } from './follow-up.ts'
import type { SpawnRequest, TemplateVars } from './request.ts'
import type { AgentState, EndState, FailureReason, TaskState } from './state.ts'

/** `drover.session.accepted`: the whole request, so that the session can be made again from the ledger. */
export interface SessionAccepted {
  readonly request: SpawnRequest
  /** Digest of the request; a repeat of the idempotency key with another one is a conflict. */
  readonly digest: string
  readonly idempotency_key: string | null
  readonly created_by: string | null
  readonly restart_of: string | null
  readonly actor: Actor
  /** Whoever asked waits for its start or its end. */
  readonly awaited?: boolean
  /** The session's whole life: the request's, else the agent type's at that moment. */
  readonly timeout_seconds?: number
}

/** `drover.session.claimed`: a pod took the job. */
export interface SessionClaimed {
  readonly pod_id: string
  /** It cannot run on that pod: its workspace is not there. It waits for a pod that has it. */
  readonly waiting_workspace?: {
    /** null: it has not begun anywhere. */
    readonly workspace_id: string | null
    /** The pod of its last agent. */
    readonly last_pod_id: string | null
    readonly message: string
  }
}

/** `drover.session.restarting`: an agent ended, the next one starts at `not_before`. */
export interface SessionRestarting {
  /** `message`: nothing had failed; a message came when the agent had ended. */
  readonly reason: FailureReason | 'message'
  readonly message: string
  /** Restarts so far, this one included. */
  readonly restarts: number
  readonly backoff_ms: number
  readonly not_before: string
  /** Somebody asked for it: the counters begin again. */
  readonly actor?: Actor
}

/** `drover.session.cancel_requested`: somebody wants the session to end. */
export interface SessionCancelRequested {
  readonly actor: Actor
  readonly reason: string
  /** null: as the pod is configured. */
  readonly grace_seconds: number | null
  readonly force: boolean
}

/** `drover.session.waiting_input`: a person is waited for, until then. */
export interface SessionWaitingInput {
  /** `permission`: the agent asks for a tool call. `interrupted`: its turn was stopped, and a message is to follow. */
  readonly reason: 'permission' | 'interrupted'
  /** Then the answer is a denial; or the session ends. */
  readonly until: string
  /** The question; only of `permission`. */
  readonly request_id?: string
  readonly tool_name?: string
  readonly tool_use_id?: string | null
  /** As the agent printed it, without secrets; `{cut: …}` where it is long. */
  readonly input?: unknown
  readonly description?: string | null
}

/** `drover.session.resumed`: nobody is waited for any more. */
export interface SessionResumed {
  /** All that the session has waited for people so far: its timeout does not count it. In milliseconds. */
  readonly waited_ms: number
}

/** `drover.session.interrupt_requested`: somebody wants the running turn to stop. */
export interface SessionInterruptRequested {
  readonly request_id: string
  readonly actor: Actor
}

/** `drover.agent.interrupted`: the agent has confirmed it. */
export interface AgentInterrupted {
  readonly request_id: string
}

/** `drover.message.sent`: a message for the session's agent, kept until one has it. */
export interface MessageSent {
  readonly message_id: string
  readonly text: string
  readonly priority: MessagePriority
  readonly actor: Actor
}

/** `drover.message.delivered`: the agent of the event has taken it up. */
export interface MessageDelivered {
  readonly message_id: string
  /** Only where it is false: it was given to the agent, which never said so. */
  readonly confirmed?: false
}

/** `drover.message.answered`: a question of the agent has its answer. Nobody in time: `actor` is Drover. */
export interface MessageAnswered {
  readonly request_id: string
  readonly tool_name: string
  readonly behavior: 'allow' | 'deny'
  readonly message: string | null
  readonly updated_input: Readonly<Record<string, unknown>> | null
  readonly interrupt: boolean
  readonly actor: Actor
}

/** `drover.session.ended`: the completed answer of CONTRACT §3, in ledger units. */
export interface SessionEnded {
  readonly status: EndState
  readonly failure_reason: FailureReason | null
  readonly message: string | null
  /** The agent's final text, cut at `OUTPUT_LIMIT` characters. */
  readonly output: string | null
  /** What the results of its agents cost. An estimate for an agent that ended without one is made in the ledger only. */
  readonly cost_micros: number
  /** Of its results, too. */
  readonly usage: Usage
  readonly num_turns: number
  /** From the first agent's start to the end. */
  readonly duration_ms: number
  readonly restarts: number
  readonly permission_denials: readonly unknown[]
  readonly actor?: Actor
}

/** `drover.agent.spawned`: an agent got its epoch; its process is about to be started. */
export interface AgentSpawned {
  readonly pod_id: string
  /** argv as it is run: never the prompt, never a secret. */
  readonly command: readonly string[]
  readonly cwd: string
  /** Of the workspace `cwd`: the session goes on only where that is found. */
  readonly workspace_id?: string
  /** The pod's machine. */
  readonly host?: string
  /** Of a session in a git worktree of its own: the checkout, and its branch. */
  readonly worktree_path?: string
  readonly worktree_branch?: string
  /** How its guard holds its processes together: a `TierName` of `guard/tier.ts`. */
  readonly tier?: string
  readonly model: string
  /** Restarts before this agent: 0 for the first. */
  readonly retry_count: number
  readonly resumed: boolean
  /** The prompt given to this agent: the session's, or for a resume what happened. */
  readonly prompt: string
}

/** `drover.agent.started`: the CLI confirmed its start (`system/init`). */
export interface AgentStarted {
  readonly pid: number
  /** Milliseconds from process start (`started_at`) to confirmation. */
  readonly startup_ms: number
  readonly started_at: string
  readonly model: string | null
  readonly claude_code_version: string | null
}

/** `drover.agent.health`: a change of health, never a beat. */
export interface AgentHealth {
  readonly health_status: 'healthy' | 'stalled' | 'dead' | 'completed' | 'failed'
  readonly cpu_percent: number | null
  readonly memory_mb: number | null
  /** What else there is to say, for people. */
  readonly message?: string
}

/** `drover.agent.stalled`: the agent lives, but does not move; it is ended. */
export interface AgentStalled {
  readonly reason: string
}

/** `drover.agent.killed`: Drover ended the process, and why. */
export interface AgentKilled {
  readonly reason: string
  readonly signal: 'SIGTERM' | 'SIGKILL'
  readonly processes_killed: number
  /** Given between SIGTERM and SIGKILL; 0: SIGKILL at once. */
  readonly grace_seconds?: number
  readonly actor?: Actor
}

/** `drover.agent.exited`: the process is gone and its spool is drained. */
export interface AgentExited {
  readonly status: AgentState
  readonly pid: number | null
  readonly exit_code: number | null
  readonly exit_signal: string | null
  readonly failure_reason: FailureReason | null
  readonly message: string | null
  /** The last 64 KiB of stderr. */
  readonly stderr_tail: string
}

/** `drover.agent.closed`: the last event of an agent; a cut tail shows against it. */
export interface AgentClosed {
  readonly lines: number
  readonly bytes: number
  /** SHA-256 of the spool; null when the tail is unknown because its pod never came back. */
  readonly sha256: string | null
  /** Of the lines as they were published (`lines-digest.ts`); none where nothing was read. */
  readonly lines_digest?: string
  readonly tail_unknown: boolean
}

/** `drover.task.pending`: a task was added, or is to run again, or got more to wait for: `run` counts on then. */
export interface TaskPending {
  readonly task_id: string
  readonly agent_type: string
  readonly prompt: string
  readonly priority: number
  readonly priority_number: number | null
  readonly workspace_dir: string
  /** Its session works in a git worktree, or does not; where it is missing or null the agent type decides. */
  readonly worktree?: boolean | null
  readonly depends_on: readonly string[]
  /** Of a template's prompt: its name, and what it was rendered with. */
  readonly template?: string
  readonly vars?: TemplateVars
  /** The session of each run has an id of its own. */
  readonly run: number
  /** Those of `depends_on` that are new, where that is why there is another run: the run before never began. */
  readonly added_dependencies?: readonly string[]
  readonly actor: Actor
}

/** `drover.task.spawned`: the task's session was accepted. */
export interface TaskSpawned {
  readonly task_id: string
  readonly session_id: string
}

/** `drover.task.blocked`: a task that it depends on has failed or was cancelled. */
export interface TaskBlocked {
  readonly task_id: string
  readonly blocked_by: readonly string[]
}

/** `drover.task.ended`: with its session, or before it had one. */
export interface TaskEnded {
  readonly task_id: string
  readonly status: Extract<TaskState, 'completed' | 'failed' | 'cancelled'>
  readonly error_message: string | null
  /** Only that run, where no session says which it is. */
  readonly run?: number
  readonly actor?: Actor
}

/** `drover.roadmap.priority`: what a place in the roadmap is called. */
export interface RoadmapPriority {
  /** Its place among the events of tasks: `#31`, which is no task's id. */
  readonly task_id: string
  readonly priority_number: number
  readonly title: string
  /** null: `planned`, or as its tasks say. */
  readonly status: string | null
  readonly actor: Actor
}

/** `drover.worktree.merged`, `drover.worktree.removed`: somebody asked for it. What a session's end removes is no event. */
export interface WorktreeChanged {
  /** Whose worktree it was. */
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  readonly branch: string
  readonly base_branch: string
  /** Of a merge: where the base branch is now. */
  readonly commit?: string
  /** Of a removal: also what was in it. */
  readonly force?: boolean
  /** In words, for `actions`. */
  readonly reason: string
  readonly actor: Actor
}

/** Longest `output` of an answer; the rest is in the session's events. */
export const OUTPUT_LIMIT = 1_000_000
