/**
 * A pod: one worker process with its guard. It serves the queues of its agent types, one session per type at a
 * time (as many as the type has instances), and stops in order.
 */
import { hostname } from 'node:os'
import type { Redis } from 'ioredis'
import type { Logger } from '../telemetry/logger.ts'
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Config } from '../config/settings.ts'
import { readVersion } from '../config/version.ts'
import { sleep, type Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { createAgentTypeRegistry } from '../queue/agent-types.ts'
import { readBacklog } from '../queue/backlog.ts'
import { connectRedis } from '../queue/connection.ts'
import { createQueues } from '../queue/jobs.ts'
import { createOutage } from '../queue/outage.ts'
import { keysOf } from '../queue/keys.ts'
import { createLeases } from '../queue/lease.ts'
import { createPodDirectory } from '../queue/pods.ts'
import { createLocks } from '../queue/lock.ts'
import { createSessionRequests } from '../queue/session-requests.ts'
import { createSessionStore, lifeOf } from '../queue/session-store.ts'
import { createTalkStore } from '../queue/talk.ts'
import { createTidying } from '../queue/tidying.ts'
import { createTranscripts } from '../queue/transcripts.ts'
import type { OwnProgram } from '../session/mcp.ts'
import { createGit } from '../session/worktree/git.ts'
import { createWorktrees } from '../session/worktree/worktrees.ts'
import type { SecretKeeper } from '../telemetry/secret-keeper.ts'
import { createErrorLimiter } from '../telemetry/error-limiter.ts'
import { createProcessMetrics } from '../telemetry/exposition.ts'
import { startClaims, type Claims } from './claims.ts'
import { createDoorbell } from './doorbell.ts'
import { createFlow } from './flow.ts'
import { createLooker } from './free.ts'
import { createGuardKeeper } from './guard-keeper.ts'
import { startHealthServer } from './health-server.ts'
import { createLauncher, spoolOf, type RehearsedModel } from './launch.ts'
import { keepPodEntry } from './pod-entry.ts'
import { podMetrics } from './pod-metrics.ts'
import { readinessOf, STARTING, type Readiness } from './readiness.ts'
import { watchRoom } from './room.ts'
import { runSession } from './session-run.ts'
import { createOutbox } from './outbox.ts'
import { forgetFailedClaims, noteFailedClaim } from '../queue/failed-claims.ts'
import { redactedStore } from './redacted-store.ts'
import { serveTypes, type ServedTypes } from './served-types.ts'
import { createSpoolKeeper } from './spool-keeper.ts'
import { keepWorktrees } from './worktree-keeper.ts'

/** A server that has not answered for so many beats is gone, though its connection stands. */
const SILENT_BEATS = 3
/** Milliseconds; the longest script takes a tenth of it. */
const LEAST_SILENCE_MS = 5000
/** Files that a pass is about to remove may wait for the next start. */
const FILES_MS = 2000
/** On top of an agent's kill, for the last events and BullMQ's own end. */
const CLOSE_MS = 5000
export interface PodParts {
  readonly config: Config
  /** The agent types that this pod serves. */
  readonly specs: ReadonlyMap<string, AgentSpec>
  readonly redisUrl: string
  /** The `claude` program, found and checked. */
  readonly claude: string
  readonly rehearsal: RehearsedModel | null
  /** The process environment, for the agents' allow-list. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly url: string
  /** Starts the `drover` command, for the MCP server of sessions; without it they have none. */
  readonly drover?: OwnProgram
  readonly log: Logger
  /** What the pod's log leaves out already. */
  readonly secrets: SecretKeeper
  readonly clock: Clock
}

export interface Pod {
  /** Sessions that are claimed at this moment. */
  readonly running: number
  /** These agent types count from now on; sessions that run keep the spec that they began with (`served-types.ts`). */
  serve(specs: ReadonlyMap<string, AgentSpec>): Promise<void>
  /**
   * Stops claiming at once and gives running sessions `graceMs` to end; then they are ended by SIGTERM and handed
   * over. A second call with 0 shortens it. Resolves when nothing of the pod is left.
   */
  stop(graceMs: number): Promise<void>
}

/** Connects, starts the guard, and serves. */
export async function createPod(parts: PodParts): Promise<Pod> {
  const { config, log } = parts
  const limiter = createErrorLimiter(log)
  const onError = (error: unknown): void => limiter.warn('pod', messageOf(error))
  const onQueueError = (error: unknown): void => limiter.warn('queue', messageOf(error))
  const keys = keysOf(config.namespace)
  const outage = createOutage((awayMs) => log.info({ away_ms: awayMs }, 'Redis answers again'))
  const connect = async (name: string): Promise<Redis> => {
    const connection = await connectRedis({
      url: parts.redisUrl,
      mode: 'waits',
      name,
      silenceMs: Math.max(SILENT_BEATS * config.lease.renewMs, LEAST_SILENCE_MS),
      onError: (error) => limiter.warn('redis', messageOf(error)),
    })
    outage.watch(connection)
    return connection
  }
  // First, because it fails for its own reasons; it keeps no process alive.
  const identity = { service: 'drover', role: 'worker', pod_id: config.podId, pid: globalThis.process.pid }
  const { healthHost, healthPort } = config.worker
  const flow = createFlow(config.recorder.streamHighWater, log)
  const processMetrics = createProcessMetrics()
  let started = false
  let claims: Claims | null = null
  let served: ServedTypes | null = null
  let readiness = (): Readiness => STARTING
  const health =
    healthPort === 0
      ? null
      : await startHealthServer({
          host: healthHost,
          port: healthPort,
          identity,
          readiness: () => readiness(),
          metrics: () =>
            podMetrics({ podId: config.podId, running: claims?.count ?? 0, flow, processMetrics }),
        })
  const redis = await connect('worker')
  const subscriber = await connect('worker-live')
  const guards = await createGuardKeeper(config, log, () => claims?.update())

  const outbox = await createOutbox({
    redis,
    subscriber,
    keys,
    spoolOf: ({ sessionId, agentId }) => spoolOf(config.dataDir, sessionId, agentId),
    onResent(text) {
      entry.note({ resent: text })
      served?.announce().catch(onError)
    },
    onError,
  })
  const store = redactedStore(createSessionStore(redis, keys, outbox.hooks), parts.secrets)
  const requests = createSessionRequests(redis, keys)
  const transcripts = createTranscripts(redis, keys)
  const pods = createPodDirectory(redis, keys)
  const doorbell = await createDoorbell(subscriber, keys)
  const queues = createQueues(redis, keys, onQueueError)
  const leases = createLeases(redis, keys, config.lease, config.podId, parts.clock, onError)
  const spools = createSpoolKeeper({
    redis,
    keys,
    store,
    transcripts,
    dataDir: config.dataDir,
    flow,
    keep: config.worker.keepSpools,
    isRunning: (sessionId) => claims?.has(sessionId) ?? false,
    onError,
  })
  outbox.onRecorded(spools.recorded)
  const worktrees = createWorktrees({
    git: createGit(parts.environment),
    dataDir: config.dataDir,
    roots: config.workspace.roots,
    podId: config.podId,
    host: hostname(),
    namespace: config.namespace,
    // What it is waited for is tried again: no longer than that it holds others up.
    lock: createLocks(redis, keys, { patienceMs: config.lease.ttlMs, onTrouble: onError }),
    lifeOf: (sessionId) => lifeOf(store, sessionId),
  })
  const tidying = createTidying(redis, keys)
  const launcher = createLauncher({
    file: parts.claude,
    dataDir: config.dataDir,
    environment: parts.environment,
    idleTimeoutMs: config.liveness.idleTimeoutMs,
    startupTimeoutMs: config.session.startupTimeoutMs,
    url: parts.url,
    rehearsal: parts.rehearsal,
    drover: parts.drover ?? null,
    secrets: parts.secrets,
  })
  const types = await serveTypes(
    {
      redis,
      queues,
      registry: createAgentTypeRegistry(redis, keys),
      pods,
      podId: config.podId,
      async onChange(specs) {
        await claims?.serve(specs)
        entry.note({ types: [...specs.keys()].join(','), max_sessions: limitShown() })
      },
      onError,
    },
    parts.specs,
  )
  served = types

  const draining = new AbortController()
  const sessionLimit = (): number =>
    (config.worker.maxSessions ?? types.present().size) || Number.POSITIVE_INFINITY
  const limitShown = (): number | string => (Number.isFinite(sessionLimit()) ? sessionLimit() : '')
  const closing = new AbortController()

  const onRoom = (shortage: string | null): void => {
    if (shortage === null) log.info('room again: claiming')
    else log.warn({ shortage }, 'no room: claiming nothing')
    claims?.update()
    // Whoever asks for a session that must not wait looks into the directory.
    entry.changed()
  }
  const room = watchRoom(config.worker, onRoom, onError, createLooker(config.dataDir))

  const entry = keepPodEntry({
    pods,
    podId: config.podId,
    beatMs: config.lease.renewMs,
    clock: parts.clock,
    fixed: {
      host: hostname(),
      pid: identity.pid,
      version: readVersion(),
      tier: guards.tier(),
      resent: outbox.resent(),
      types: [...parts.specs.keys()].join(','),
      max_sessions: limitShown(),
    },
    readiness: () => readiness(),
    running: () => claims?.count ?? 0,
    free: room.free,
    onError,
  })
  readiness = () =>
    readinessOf({
      started,
      draining: closing.signal.aborted,
      redisProblem: redis.status === 'ready' ? entry.problem() : 'Redis is not reachable.',
      guardAlive: guards.alive(),
      running: claims?.count ?? 0,
      maxSessions: sessionLimit(),
      shortage: room.shortage(),
    })

  const sessionParts = {
    store,
    requests,
    talk: createTalkStore(redis, keys),
    doorbell,
    leases,
    guard: guards.current,
    launcher,
    flow,
    transcripts,
    worktrees,
    tidying,
    searchPath: parts.environment['PATH'] ?? '',
    pods,
    config,
    clock: parts.clock,
    onError,
    onEnded: spools.ended,
  }
  claims = await startClaims({
    redis,
    queuePrefix: keys.queuePrefix,
    podId: config.podId,
    lockMs: config.lease.ttlMs,
    specs: parts.specs,
    limit: sessionLimit,
    // A pod without room pauses its workers instead of taking jobs that would wait here while another has room.
    hasRoom: () => room.shortage() === null && guards.alive(),
    run: (sessionId, spec, extendLock) =>
      runSession(sessionParts, {
        sessionId,
        spec,
        extendLock,
        stop: draining.signal,
        closing: closing.signal,
      }),
    onNoRecord: (sessionId, agentType) => redis.hset(keys.noRecord, sessionId, agentType),
    onClaim: (sessionId, problem) =>
      problem === null
        ? forgetFailedClaims(redis, keys, sessionId)
        : noteFailedClaim(redis, keys, sessionId, problem),
    redact: parts.secrets.text,
    onChange: entry.changed,
    limiter,
  })
  spools.start()
  const keeper = keepWorktrees({
    worktrees,
    tidying,
    doorbell,
    isRunning: (sessionId) => claims?.has(sessionId) ?? false,
    onError,
  })
  // A subscriber asks nothing by itself, so it would never notice that nobody answers.
  const asking = setInterval(() => {
    subscriber.ping().catch(onError)
    // Also while no agent prints anything, and before one does.
    readBacklog(redis, keys).then(({ unrecorded }) => flow.note(unrecorded), onError)
  }, config.lease.renewMs)
  started = true
  entry.changed()
  log.info({ pod_id: config.podId, types: [...parts.specs.keys()], guard: guards.pid() }, 'pod ready')

  let stopping: Promise<void> | null = null
  let graceOver: () => void = () => {}

  async function stop(graceMs: number): Promise<void> {
    closing.abort()
    entry.changed()
    room.stop()
    // close() first: a worker that is not closing takes its own job again after a hand-over (bullmq.md §9).
    const closed = claims?.close().catch(onQueueError) ?? Promise.resolve()
    const grace = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs)
      graceOver = () => {
        clearTimeout(timer)
        resolve()
      }
      void closed.then(graceOver)
    })
    await grace
    draining.abort('drain')
    flow.lift()
    // Redis may be away, and a worker waits for it without bound: the agents end all the same.
    const patience = new AbortController()
    await Promise.race([
      closed,
      sleep(config.session.killGraceMs + CLOSE_MS, patience.signal).then(() => {
        if (!patience.signal.aborted) log.error('Redis does not answer; stopping without it')
      }),
    ])
    patience.abort()
    types.stop()
    await guards.stop()
    outbox.stop()
    doorbell.close()
    clearInterval(asking)
    // Redis may be away, and a pass waits for it.
    await Promise.race([Promise.all([spools.stop(), keeper.stop()]), sleep(FILES_MS)])
    await entry.stop()
    await health?.stop()
    processMetrics.stop()
    // The other way round each of them would wait for a Redis that is away.
    subscriber.disconnect()
    redis.disconnect()
    await queues.close().catch(onError)
    limiter.flush()
    log.info({ pod_id: config.podId }, 'pod stopped')
  }

  return {
    get running() {
      return claims?.count ?? 0
    },
    async serve(specs) {
      if (stopping !== null) return
      await types.change(specs)
      log.info({ types: [...specs.keys()] }, 'agent types changed')
    },
    stop(graceMs) {
      if (stopping !== null && graceMs === 0) graceOver()
      stopping ??= stop(graceMs)
      return stopping
    },
  }
}
