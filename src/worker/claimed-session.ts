/** A session that this pod has claimed: what it is run with, and what becomes of its claim. */
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Config } from '../config/settings.ts'
import type { Clock } from '../core/clock.ts'
import type { Guard } from '../guard/client.ts'
import type { Leases } from '../queue/lease.ts'
import type { PodDirectory } from '../queue/pods.ts'
import type { SessionRequests } from '../queue/session-requests.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { TalkStore } from '../queue/talk.ts'
import type { Tidying } from '../queue/tidying.ts'
import type { Transcripts } from '../queue/transcripts.ts'
import type { Worktrees } from '../session/worktree/worktrees.ts'
import type { Doorbell } from './doorbell.ts'
import type { Flow } from './flow.ts'
import type { Launcher } from './launch.ts'

/** How a claim ended, for the job: finished, to be given to another pod, or to be looked at again later. */
export type Claim = 'finished' | 'hand_over' | 'no_record' | { readonly laterMs: number }

/** What a pod runs sessions with. */
export interface SessionParts {
  readonly store: SessionStore
  readonly requests: SessionRequests
  readonly talk: TalkStore
  readonly doorbell: Doorbell
  readonly leases: Leases
  readonly guard: () => Promise<Guard>
  readonly launcher: Launcher
  readonly flow: Flow
  readonly transcripts: Transcripts
  readonly worktrees: Worktrees
  readonly tidying: Tidying
  /** `PATH` as agents get it. */
  readonly searchPath: string
  readonly pods: PodDirectory
  readonly config: Config
  readonly clock: Clock
  readonly onError: (error: unknown) => void
  /** The session's events are all on the stream up to this id: its files may go once they are recorded. */
  readonly onEnded: (sessionId: string, streamId: string) => void
}

/** The job by which a session was claimed. */
export interface ClaimedJob {
  readonly sessionId: string
  readonly spec: AgentSpec
  readonly extendLock: () => Promise<void>
  /** Aborts when the pod drains (`Asked` as the reason). */
  readonly stop: AbortSignal
  /** Aborts as soon as the pod is told to stop: what only waits is given away at once. */
  readonly closing: AbortSignal
}

/** What follows an agent's end. */
export type Next = Claim | 'resume' | 'fresh'
