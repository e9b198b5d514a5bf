/**
 * The board: HTTP API, pages, Bull Board, and the recorder that fills the ledger they read.
 *
 * Requests use a Redis connection that fails at once, so that an outage is answered and not waited for; the recorder
 * and the live events wait for Redis to come back. What is in the ledger can be read all the while.
 */
import { join } from 'node:path'
import type { FastifyReply } from 'fastify'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { AgentSpec } from '../config/agent-spec.ts'
import type { Config } from '../config/settings.ts'
import { createClosing } from '../core/closing.ts'
import { messageOf } from '../core/errors.ts'
import { createRedactor } from '../core/redact.ts'
import type { TakesOut } from '../core/redacted.ts'
import { parseToken } from '../core/token.ts'
import { openLedger, openLedgerReader } from '../ledger/open.ts'
import { createSessionOperations } from '../producer/session-operations.ts'
import { createTasks } from '../producer/tasks.ts'
import { summaryOf } from '../queue/agent-types.ts'
import { connectRedis } from '../queue/connection.ts'
import { createOutage } from '../queue/outage.ts'
import { keysOf } from '../queue/keys.ts'
import { createLive } from '../queue/live.ts'
import { createSessionStore } from '../queue/session-store.ts'
import { readSessionToken } from '../queue/session-token.ts'
import type { GitEnvironment } from '../session/worktree/git.ts'
import { checkAtStart } from '../ledger/check-at-start.ts'
import { aboutFile } from '../ledger/database.ts'
import { createRecording } from '../recorder/recording.ts'
import { createAlarms } from '../telemetry/alarms.ts'
import { createErrorLimiter } from '../telemetry/error-limiter.ts'
import { createProcessMetrics } from '../telemetry/exposition.ts'
import { askedAt, hostWithPort, listen, requireLoopback } from './address.ts'
import { createApp } from './app.ts'
import { REQUEST_TIMEOUT_MS } from './client-errors.ts'
import { watchCommits } from './commits.ts'
import { watchHealth } from './health-watch.ts'
import { createDispatch } from './dispatch.ts'
import { createServices } from './services.ts'
import { createTasksOfWaits } from './tasks-of-waits.ts'
import { readVersion } from '../config/version.ts'
import { createViaRedis } from './via-redis.ts'
import type { DeclaredRoute } from './zod-routes.ts'

/** The ledger's file in the data directory (CONTRACT §8). */
const LEDGER_FILE = 'orchestrator.db'
/** Below the 30 s after which many proxies drop a silent connection. */
const HEARTBEAT_MS = 15_000
/** What is being answered when the board stops has so long to reach its reader. */
const LAST_ANSWERS_MS = 2000

export interface BoardParts {
  readonly config: Pick<
    Config,
    | 'namespace'
    | 'dataDir'
    | 'board'
    | 'workspace'
    | 'liveness'
    | 'restart'
    | 'lease'
    | 'ledger'
    | 'lineage'
    | 'mcp'
  >
  /** Announced to producers and pods. */
  readonly specs: ReadonlyMap<string, AgentSpec>
  readonly redisUrl: string
  readonly log: Logger
  /** Of which git gets the search path and the home. */
  readonly environment?: GitEnvironment
  /** How often a stream of events that is silent gives a sign of life. @default 15000 */
  readonly heartbeatMs?: number
  /** How long a request may take to arrive, body included. @default 120000 */
  readonly requestTimeoutMs?: number
  /** Takes secrets out of what people write, and agents to each other. @default what looks like one */
  readonly redactor?: TakesOut
}

export interface Board {
  /** `http://127.0.0.1:4680` */
  readonly url: string
  readonly port: number
  /** Every route that it has, Bull Board's with them. */
  readonly routes: readonly DeclaredRoute[]
  /** Does this board's recorder write, or does it wait for another one to end? */
  readonly recording: boolean
  /** These agent types count from now on, and are announced. What is gone from them the pods that serve it retract. */
  serve(specs: ReadonlyMap<string, AgentSpec>): Promise<void>
  /**
   * Ends streams and waits, answers what is being answered, stops recording, closes everything. Resolves when
   * nothing is left; safe to call twice.
   */
  stop(): Promise<void>
}

/**
 * Starts a board; resolves when it answers.
 *
 * @throws DroverError `invalid_request` for a host that others can reach where there is no token, `redis_unavailable`,
 *   `ledger_unavailable`, `port_in_use`; nothing is left open then
 */
export async function createBoard(parts: BoardParts): Promise<Board> {
  const { config, log, redisUrl, heartbeatMs = HEARTBEAT_MS } = parts
  const tokens = config.board.tokens.map(parseToken)
  requireLoopback(config.board.host, tokens)
  const closing = createClosing()
  try {
    return await open()
  } catch (error) {
    await closing.run()
    throw error
  }

  async function open(): Promise<Board> {
    const limiter = createErrorLimiter(log)
    const alarms = createAlarms(log)
    const stopping = new AbortController()
    closing.add(() => limiter.flush())
    const onError = (error: unknown): void => {
      if (!stopping.signal.aborted) limiter.warn('board', messageOf(error))
    }
    const outage = createOutage((awayMs) => log.info({ away_ms: awayMs }, 'Redis answers again'))
    const connect = async (name: string, mode: 'waits' | 'fails'): Promise<Redis> => {
      const redis = await connectRedis({
        url: redisUrl,
        mode,
        name,
        onError: (error) => limiter.warn('redis', `Redis is not reachable: ${messageOf(error)}`),
      })
      outage.watch(redis)
      closing.add(() => redis.disconnect())
      return redis
    }

    const { namespace } = config
    const keys = keysOf(namespace)
    const redis = await connect('board', 'fails')
    const recorderRedis = await connect('board-recorder', 'waits')
    const subscriber = await connect('board-live', 'waits')

    const path = join(config.dataDir, LEDGER_FILE)
    const checked = aboutFile(path, () => checkAtStart(path))
    const writer = openLedger(path)
    closing.add(() => writer.close())
    const ledger = openLedgerReader(path)
    closing.add(() => ledger.close())

    const live = createLive(subscriber, keys)
    const store = createSessionStore(redis, keys)
    const redactor = parts.redactor ?? createRedactor({ secrets: [] })
    const operations = createSessionOperations({
      redis,
      store,
      live,
      keys,
      lineage: config.lineage,
      maxRestarts: config.restart.maxRestarts,
      redactor,
      tasks: createTasksOfWaits(ledger),
      onError,
    })
    const { queues, types, waits, tidying, acceptor, unredacted } = operations
    closing.add(() => queues.close())
    const tasks = createTasks({ redis, keys, acceptor, queues, unredacted, redactor })
    const commits = watchCommits(subscriber, keys, onError)

    // Always there: the configuration's default is the current directory.
    const [defaultWorkspace = config.dataDir] = config.workspace.roots
    let { specs } = parts
    const announce = (): Promise<void> => types.announce([...specs.values()].map(summaryOf))
    const announceTypes = (): void => void announce().catch(onError)
    const recording = createRecording({
      redis,
      recorderRedis,
      keys,
      ledger: writer,
      config,
      dispatch: createDispatch({ tasks, store, defaultWorkspace }),
      onDamage: (problem) => ledger.condemn(problem),
      onRestored: announceTypes,
      onError,
      alarms,
      limiter,
      log,
    })
    const { recorder } = recording
    closing.add(() => recording.stop())
    const processMetrics = createProcessMetrics()
    closing.add(() => processMetrics.stop())

    const viaRedis = createViaRedis(redisUrl)
    const services = createServices({
      config,
      redis,
      keys,
      ledger,
      store,
      operations,
      tasks,
      recorder,
      commits,
      defaultWorkspace,
      specOf: (agentType) => specs.get(agentType),
      environment: parts.environment ?? {},
      redact: redactor.text,
      viaRedis,
      onError,
    })
    const app = createApp({
      ...services,
      ledger,
      namespace,
      types,
      queues,
      recorder,
      waits,
      viaRedis,
      onError,
      log,
      alarms,
      processMetrics,
      host: config.board.host,
      allowedHosts: config.board.allowedHosts,
      tokens,
      sessionToken: (sessionId) => viaRedis(readSessionToken(redis, keys, sessionId)),
      requestTimeoutMs: parts.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      version: readVersion(),
      dataDir: config.dataDir,
      leaseTtlMs: config.lease.ttlMs,
      redis,
      keys,
      store,
      heartbeatMs,
      tidying,
      maxResultChars: config.mcp.maxResultChars,
      stopping: stopping.signal,
      untilGone: (reply) => untilGone(reply, stopping.signal),
      feed: {
        events: ledger.events,
        live,
        commits,
        lastSeq: async (sessionId) => Number((await redis.hget(keys.session(sessionId), 'seq')) ?? 0),
        onError,
      },
    })
    closing.add(() => app.bullBoard.stop())
    // Before what it answers from.
    closing.add(async () => {
      stopping.abort()
      const cut = setTimeout(() => app.fastify.server.closeAllConnections(), LAST_ANSWERS_MS)
      await app.fastify.close()
      clearTimeout(cut)
    })

    await viaRedis(announce())
    await viaRedis(app.bullBoard.look())
    // A Redis that comes back may be an empty one.
    redis.on('ready', announceTypes)
    closing.add(() => redis.off('ready', announceTypes))

    const port = await listen(app.fastify, config.board.host, config.board.port)
    recording.start(checked)
    const healthWatch = watchHealth({
      monitor: services.monitor,
      ledger,
      store,
      recording: () => recorder.recording,
      everyMs: config.liveness.heartbeatMs,
      onError,
    })
    closing.add(() => healthWatch.stop())

    const url = `http://${hostWithPort(askedAt(config.board.host), port)}`
    log.info({ url, namespace, ledger: path, types: [...parts.specs.keys()] }, 'board ready')
    return {
      url,
      port,
      routes: app.routes,
      get recording() {
        return recorder.recording
      },
      async serve(next) {
        specs = next
        // Where Redis is away now, they are announced when it is back.
        await announce().catch(onError)
        log.info({ types: [...next.keys()] }, 'agent types changed')
      },
      async stop() {
        stopping.abort()
        await closing.run()
        log.info({ url }, 'board stopped')
      },
    }
  }
}

/** Aborts when the client has gone (or has its answer), or when the board stops. */
function untilGone(reply: FastifyReply, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController()
  // Also while we looked something up: it is said once.
  if (reply.raw.destroyed) gone.abort()
  else reply.raw.once('close', () => gone.abort())
  return AbortSignal.any([gone.signal, stopping])
}
