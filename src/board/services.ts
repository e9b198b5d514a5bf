/** What the board's routes call, put together: one service for each thing that can be asked of sessions and tasks. */
import { hostname } from 'node:os'
import type { Redis } from 'ioredis'
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Config } from '../config/settings.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { SessionOperations } from '../producer/session-operations.ts'
import type { Tasks } from '../producer/tasks.ts'
import { readBeats } from '../queue/beats.ts'
import { createCountChildren } from '../queue/children.ts'
import type { Keys } from '../queue/keys.ts'
import { createLocks } from '../queue/lock.ts'
import { createMailStore } from '../queue/mail.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { createGit, type GitEnvironment } from '../session/worktree/git.ts'
import { createAddTasks } from './add-tasks.ts'
import type { AppParts } from './app.ts'
import type { Commits } from './commits.ts'
import { createControlAll } from './control-all.ts'
import { createControl } from './control.ts'
import { createBoardFollowUp } from './follow-up.ts'
import { createPostOffice } from './mail.ts'
import { createMonitor } from './monitor.ts'
import { createSpawn } from './spawn.ts'
import { createTaskControl } from './task-control.ts'
import type { ViaRedis } from './via-redis.ts'
import { createWorktreeBoard } from './worktrees.ts'

/** An agent that was silent for fewer beats is not stalled, however short its stall timeout. */
const MISSED_BEATS = 3

export interface ServicesParts {
  readonly config: Pick<Config, 'namespace' | 'liveness' | 'restart' | 'lease' | 'lineage'>
  /** Fails at once while Redis is away. */
  readonly redis: Redis
  readonly keys: Keys
  readonly ledger: LedgerReader
  readonly store: SessionStore
  readonly operations: SessionOperations
  readonly tasks: Tasks
  readonly recorder: Recorder
  readonly commits: Commits
  /** For tasks and sessions that name none. */
  readonly defaultWorkspace: string
  /** As it counts now; undefined for a type that this board does not know. */
  readonly specOf: (agentType: string) => AgentSpec | undefined
  /** Of which git gets the search path and the home. */
  readonly environment: GitEnvironment
  /** Takes secrets out of messages between agents. */
  readonly redact: (text: string) => string
  readonly viaRedis: ViaRedis
  readonly onError: (error: unknown) => void
}

export type Services = Pick<
  AppParts,
  | 'spawn'
  | 'control'
  | 'controlAll'
  | 'monitor'
  | 'followUp'
  | 'addTasks'
  | 'taskControl'
  | 'postOffice'
  | 'worktrees'
>

/** Opens nothing of its own. */
export function createServices(parts: ServicesParts): Services {
  const { config, redis, keys, ledger, store, operations, recorder, viaRedis } = parts
  const { namespace, lineage } = config
  const { maxRestarts } = config.restart
  const { acceptor, types, queues, waits, tidying, kill, restarter, followUp, unredacted } = operations
  const { tasks, commits, defaultWorkspace, onError } = parts
  const shared = {
    ledger,
    namespace,
    defaultWorkspace,
    store,
    types,
    queues,
    recorder,
    commits,
    waits,
    viaRedis,
    onError,
  }
  const control = createControl({ ...shared, kill, restarter })
  const monitor = createMonitor({
    ledger,
    beatsOf: (sessionIds) => readBeats(redis, keys, sessionIds),
    stallTimeoutMs(agentType) {
      const own = parts.specOf(agentType)?.stallTimeoutSeconds ?? null
      const asked = own === null ? config.liveness.stallTimeoutMs : own * 1000
      // A beat comes with each renewal of the lease: one that is not due yet is not missed.
      return Math.max(asked, MISSED_BEATS * config.lease.renewMs)
    },
    viaRedis,
  })
  return {
    spawn: createSpawn({ ...shared, tidying, unredacted, acceptor }),
    control,
    controlAll: createControlAll({ ledger, control, monitor, maxRestarts }),
    monitor,
    followUp: createBoardFollowUp({ ledger, followUp, recorder, viaRedis }),
    addTasks: createAddTasks({ ...shared, tasks, lineage, countChildren: createCountChildren(redis, keys) }),
    taskControl: createTaskControl({ ...shared, tasks, kill }),
    postOffice: createPostOffice({ ...shared, mail: createMailStore(redis, keys), redact: parts.redact }),
    worktrees: createWorktreeBoard({
      git: createGit(parts.environment),
      ledger,
      namespace,
      host: hostname(),
      lock: createLocks(redis, keys, { onTrouble: onError }),
      append: async (event) => (await redis.xadd(keys.events, '*', 'event', event)) ?? '',
      recorder,
      viaRedis,
    }),
  }
}
