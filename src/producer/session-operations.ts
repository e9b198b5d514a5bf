/**
 * What can be done with sessions over Redis, put together: accepting, following, killing, restarting, talking. The same
 * for a service straight at Redis and for the board.
 */
import type { Redis } from 'ioredis'
import type { LineageLimits } from '../core/lineage.ts'
import type { TakesOut } from '../core/redacted.ts'
import { createAgentTypeRegistry, type AgentTypeRegistry } from '../queue/agent-types.ts'
import { createQueues, type Queues } from '../queue/jobs.ts'
import type { Keys } from '../queue/keys.ts'
import { hasLostLease } from '../queue/lease.ts'
import type { Live } from '../queue/live.ts'
import { createPodDirectory } from '../queue/pods.ts'
import { createSessionRequests } from '../queue/session-requests.ts'
import type { SessionStore } from '../queue/session-store.ts'
import { createTalkStore } from '../queue/talk.ts'
import { createTidying, type Tidying } from '../queue/tidying.ts'
import { createTranscripts } from '../queue/transcripts.ts'
import { createUnredactedStore, type UnredactedStore } from '../queue/unredacted.ts'
import { createWaitStore } from '../queue/waits.ts'
import { createAcceptor, type Acceptor } from './accept.ts'
import { createFollower, type Follower } from './follow.ts'
import { createFollowUp, type FollowUp } from './follow-up.ts'
import { createKill, type Kill } from './kill.ts'
import { createRestarter, type Restarter } from './restart.ts'
import { createWaits, type TasksOfWaits, type Waits } from './waits.ts'

export interface SessionOperationsParts {
  /** Fails at once while Redis is away. */
  readonly redis: Redis
  readonly store: SessionStore
  readonly live: Live
  readonly keys: Keys
  readonly lineage: LineageLimits
  readonly maxRestarts: number
  /** Takes secrets out of what is recorded of what people write (docs/redaction.md). */
  readonly redactor: TakesOut
  /** Where there is a ledger. */
  readonly tasks?: TasksOfWaits
  readonly onError: (error: unknown) => void
}

export interface SessionOperations {
  /** Closed by whoever made the operations. */
  readonly queues: Queues
  readonly types: AgentTypeRegistry
  readonly waits: Waits
  readonly tidying: Tidying
  readonly acceptor: Acceptor
  readonly follower: Follower
  readonly kill: Kill
  readonly restarter: Restarter
  readonly followUp: FollowUp
  readonly unredacted: UnredactedStore
}

/** Opens nothing of its own. */
export function createSessionOperations(parts: SessionOperationsParts): SessionOperations {
  const { redis, store, live, keys, lineage, maxRestarts, redactor, tasks, onError } = parts
  const queues = createQueues(redis, keys, onError)
  const types = createAgentTypeRegistry(redis, keys)
  const waits = createWaits({
    store: createWaitStore(redis, keys, onError),
    types,
    ...(tasks === undefined ? {} : { tasks }),
    onError,
  })
  const pods = createPodDirectory(redis, keys)
  const unredacted = createUnredactedStore(redis, keys)
  const acceptor = createAcceptor({
    store,
    queues,
    types,
    pods,
    keys,
    lineage,
    waits,
    unredacted,
    redactor,
    onError,
  })
  const requests = createSessionRequests(redis, keys)
  const follower = createFollower(redis, keys, store, live)
  const tidying = createTidying(redis, keys)
  const kill = createKill({
    store,
    tidying,
    hasLostLease: (lease) => hasLostLease(redis, keys, lease),
    requests,
    queues,
    transcripts: createTranscripts(redis, keys),
    follower,
    redactor,
    onError,
  })
  const { namespace } = keys
  const restarter = createRestarter({ store, requests, acceptor, follower, namespace, maxRestarts })
  const followUp = createFollowUp({ store, talk: createTalkStore(redis, keys), follower, redactor })
  return { queues, types, waits, tidying, acceptor, follower, kill, restarter, followUp, unredacted }
}
