/** What the hash of a session holds, and how it is read. */
import type { Actor, Usage } from '../core/envelope.ts'
import type { AgentKilled, SessionEnded } from '../core/events.ts'
import type { Secret } from '../core/redact.ts'
import type { Redacted } from '../core/redacted.ts'
import type { SpawnRequest } from '../core/request.ts'
import type { StreamFacts } from '../core/stream-facts.ts'
import type { SessionState } from '../core/state.ts'

/** A kill that was asked for: it stands until the session has ended. */
export interface CancelRequest {
  readonly actor: Actor
  readonly reason: string
  /** Between SIGTERM and SIGKILL; null: as the pod is configured. */
  readonly grace_seconds: number | null
  /** SIGKILL at once. */
  readonly force: boolean
  readonly at: string
}

/** A restart that was asked for: it means the agent of this epoch, and no later one. */
export interface RestartRequest {
  readonly actor: Actor
  readonly epoch: string
  readonly at: string
}

/** An interrupt that was asked for: it means the agent of this epoch, and no later one. */
export interface InterruptRequest {
  readonly request_id: string
  readonly actor: Actor
  readonly epoch: string
  readonly at: string
}

/** What was said to a session from outside, as far as its hash tells. */
export interface Said {
  /** Grows with everything that is said: what it is, is read when this differs. */
  readonly version: number
  readonly interrupt: InterruptRequest | null
}

/** What was asked of a session from outside, as its pod reads it. */
export interface Requests {
  /** Nothing can be asked of it any more. Of a session that Redis has lost nothing is known: false. */
  readonly ended: boolean
  readonly cancel: CancelRequest | null
  readonly restart: RestartRequest | null
  readonly said: Said
  /** Messages that no conversation has yet. */
  readonly inbox: number
  /** As in the record. */
  readonly interruptedUntil: number
  /** Before this time, in milliseconds of Redis' clock, no agent starts; 0: at once. */
  readonly notBefore: number
}

/** The session script notes each agent's complete closing event under this and its id. */
const CLOSED = 'closed:'

/** What the hash of a session holds. */
export interface SessionRecord {
  readonly sessionId: string
  readonly agentType: string
  readonly state: SessionState
  /** As it is recorded. */
  readonly request: SpawnRequest
  /** What was taken out of it before; null for nothing. */
  readonly redacted: Redacted | null
  /** The prompt as it was given, where something was taken out of it; null too where Redis has lost it. */
  readonly unredactedPrompt: string | null
  /** The values that were taken out of the prompt, for the pod, which may not know them. */
  readonly takenOut: readonly Secret[]
  readonly digest: string
  readonly createdAt: string
  readonly createdBy: string | null
  readonly priority: number
  readonly timeoutSeconds: number
  readonly seq: number
  readonly firstId: string
  readonly lastId: string
  readonly epoch: string
  readonly agentId: string | null
  readonly podId: string | null
  readonly pid: number | null
  readonly startedAt: string | null
  /** Of the present agent, as its pod last said, or `dead` as a board did; null before its first beat. */
  readonly health: string | null
  readonly restarts: number
  /** Agents that were followed by another without costing a try. */
  readonly freeSteps: number
  readonly notBefore: number
  /** Pauses for usage limits so far; the session's timeout does not count them. */
  readonly pausedMs: number
  readonly cancel: CancelRequest | null
  readonly restartRequested: RestartRequest | null
  /** The session that this one is a restart of. */
  readonly restartOf: string | null
  /** How Drover ended the last agent, where the session ended by that. */
  readonly killed: (AgentKilled & { readonly pid: number | null }) | null
  readonly usage: Usage
  readonly costMicros: number
  readonly numTurns: number
  /** Last line taken of the current agent's spool. */
  readonly cursor: number
  readonly workspaceId: string | null
  /** Of its last agent, where that worked in a worktree. A Redis that lost it does not get it back. */
  readonly worktreePath: string | null
  /** Of a session that waits for its workspace: since when, and the pods that have looked in vain. */
  readonly workspaceWait: { readonly since: string; readonly looked: readonly string[] } | null
  /** The pod that has the conversation, where it is too large to travel. */
  readonly pinnedPod: string | null
  /** Waits for people so far, in milliseconds; the session's timeout does not count them. */
  readonly waitedMs: number
  /**
   * Since when a person is waited for, in milliseconds since 1970 by the clock of the pod, as `startedAt`; 0: nobody is.
   * It stays while a message is waited for without an agent.
   */
  readonly waitingSince: number
  /** The last turn was stopped by a person: until when, in milliseconds since 1970, a message is waited for; else 0. */
  readonly interruptedUntil: number
  /** The interrupt that an agent has confirmed last. */
  readonly interruptDone: string | null
  /** How the last agent ended, for the prompt of the next one (`core/agent-prompt.ts`). */
  readonly previousEnd: string | null
  /** What the lines of the present agent said, while its result is the last word. */
  readonly facts: StreamFacts | null
  /** The lease of the present agent, and its holder's token. */
  readonly lease: { readonly key: string; readonly token: string } | null
  /** SHA-256 of the present agent's token, and the orchestrator's tools that it may use. */
  readonly token: { readonly hash: string; readonly tools: readonly string[] } | null
  /** Epoch of an agent that was found dead, or whose end was taken: it changes nothing any more. */
  readonly over: string | null
  /** Agents whose last event says all that their spool held; of others more may come. */
  readonly closed: ReadonlySet<string>
  readonly ended: (SessionEnded & { readonly completed_at: string }) | null
}

/** The members as they are stored; '' and nothing are null. */
export function requestsOf(
  cancel: string | null | undefined,
  restart: string | null | undefined,
  talk?: string | null,
  interrupt?: string | null,
): Pick<Requests, 'cancel' | 'restart' | 'said'> {
  return {
    said: {
      version: Number(talk ?? 0),
      interrupt: interrupt ? (JSON.parse(interrupt) as InterruptRequest) : null,
    },
    cancel: cancel ? (JSON.parse(cancel) as CancelRequest) : null,
    restart: restart ? (JSON.parse(restart) as RestartRequest) : null,
  }
}

/** The hash as Redis has it → the record. */
export function recordOf(sessionId: string, hash: Readonly<Record<string, string>>): SessionRecord {
  const text = (field: string): string => hash[field] ?? ''
  const orNull = (field: string): string | null => hash[field] || null
  const number = (field: string): number => Number(hash[field] ?? 0)
  const json = (field: string): unknown => (hash[field] ? JSON.parse(hash[field]) : null)
  return {
    sessionId,
    agentType: text('agent_type'),
    state: text('state') as SessionState,
    request: JSON.parse(text('request')) as SpawnRequest,
    redacted: json('redacted') as SessionRecord['redacted'],
    unredactedPrompt: orNull('unredacted_prompt'),
    takenOut: (json('taken_out') ?? []) as SessionRecord['takenOut'],
    digest: text('digest'),
    createdAt: text('created_at'),
    createdBy: orNull('created_by'),
    priority: number('priority'),
    timeoutSeconds: number('timeout_seconds'),
    seq: number('seq'),
    firstId: text('first_id'),
    lastId: text('last_id'),
    epoch: text('epoch'),
    agentId: orNull('agent_id'),
    podId: orNull('pod_id'),
    pid: hash.pid ? Number(hash.pid) : null,
    startedAt: orNull('started_at'),
    health: orNull('health'),
    restarts: number('restarts'),
    freeSteps: number('free_steps'),
    notBefore: number('not_before'),
    pausedMs: number('paused_ms'),
    waitedMs: number('waited_ms'),
    waitingSince: number('waiting_since'),
    interruptedUntil: number('interrupted_until'),
    interruptDone: orNull('interrupt_done'),
    cancel: json('cancel') as SessionRecord['cancel'],
    restartRequested: json('restart_requested') as SessionRecord['restartRequested'],
    restartOf: orNull('restart_of'),
    killed: json('killed') as SessionRecord['killed'],
    usage: {
      input_tokens: number('input_tokens'),
      output_tokens: number('output_tokens'),
      cache_read_tokens: number('cache_read_tokens'),
      cache_creation_tokens: number('cache_creation_tokens'),
    },
    costMicros: number('cost_micros'),
    numTurns: number('num_turns'),
    cursor: Number(hash[`line:${hash.agent_id ?? ''}`] ?? 0),
    workspaceId: orNull('workspace_id'),
    worktreePath: orNull('worktree_path'),
    workspaceWait: json('workspace_wait') as SessionRecord['workspaceWait'],
    pinnedPod: orNull('pinned_pod'),
    previousEnd: orNull('previous_end'),
    facts: json('facts') as SessionRecord['facts'],
    lease: hash['lease_key'] ? { key: hash['lease_key'], token: text('lease_token') } : null,
    token: hash['token_hash']
      ? { hash: hash['token_hash'], tools: text('tools').split(',').filter(Boolean) }
      : null,
    over: orNull('over'),
    closed: new Set(
      Object.keys(hash)
        .filter((field) => field.startsWith(CLOSED))
        .map((field) => field.slice(CLOSED.length)),
    ),
    ended: json('ended') as SessionRecord['ended'],
  }
}
