/**
 * Everything on this machine: Redis if none is configured, one worker, the board; each a process of its own, so
 * that a slow query on the board never delays a lease. A role that dies is started again.
 */
import type { Config } from '../../config/settings.ts'
import { sleep } from '../../core/clock.ts'
import { DroverError, messageOf } from '../../core/errors.ts'
import { findClaude } from '../../setup/claude-cli.ts'
import { makeDataDir } from './data-dir.ts'
import { openRedis, type OpenRedis } from './redis.ts'
import { startRole, type Role } from './role.ts'
import { announceUp, findUp, type RunningUp } from './up-file.ts'
import { toolsDirOf } from './tools.ts'

/** Between a role's death and its next start. */
const START_AGAIN_MS = 1000
/** The board writes out what is recorded and closes; it has nothing to wait for. */
const BOARD_GRACE_MS = 10_000
/** For a role's own ending, on top of the times that it is configured to wait. */
const EXTRA_MS = 5000

/** How long an `up` may take to stop, when it has been told to hurry or not. */
export function patienceOf(config: Config): number {
  return workerPatienceOf(config) + BOARD_GRACE_MS + EXTRA_MS
}

/** The worker ends by itself: it drains, and its agents get the grace of a kill. */
function workerPatienceOf(config: Config): number {
  return config.worker.drainGraceMs + config.session.killGraceMs + EXTRA_MS
}

export interface UpOptions {
  readonly config: Config
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Passed on to the worker. */
  readonly workerArgs: readonly string[]
  readonly rehearsal: string | null
  readonly say: (line: string) => void
  readonly warn: (line: string) => void
}

export interface Up {
  readonly url: string
  readonly redisUrl: string
  /** Resolves when the embedded Redis has died; nothing goes on without it. */
  readonly redisDied: Promise<void>
  /** Drains the worker, then ends the rest. Safe to call twice. */
  stop(): Promise<void>
  /** The worker's agents are ended instead of waited for. */
  hurry(): void
}

/**
 * Starts it all, and resolves when all of it is ready.
 *
 * @throws DroverError `port_in_use`, `setup_failed`, `ledger_unavailable` where nothing can be written, or what a role answered
 */
export async function startUp(options: UpOptions): Promise<Up> {
  const { config, env, cwd, say } = options
  await makeDataDir(config.dataDir)
  const present = await findUp(config.dataDir)
  if (present !== null) throw alreadyUp(config.dataDir, present)

  let redis: OpenRedis | null = null
  const roles: KeptRole[] = []
  const stop = async (): Promise<void> => {
    // The worker first: it reports the end of its sessions while board and Redis are still there.
    for (const role of roles.toReversed()) await role.stop()
    await redis?.stop()
  }
  try {
    const searchPath = env.PATH ?? ''
    // Fetched here, where somebody reads the progress; the worker finds it by the same rules.
    const claude = await findClaude({
      path: config.claude.path,
      searchPath,
      toolsDir: toolsDirOf(config),
      say,
    })
    redis = await openRedis(config, searchPath, say)
    const roleEnv = {
      ...env,
      REDIS_URL: redis.url,
      DROVER_NAMESPACE: config.namespace,
      DROVER_DATA_DIR: config.dataDir,
      DROVER_TOOLS_DIR: toolsDirOf(config),
      DROVER_CLAUDE_PATH: claude.path,
      DROVER_WORKSPACE_ROOTS: config.workspace.roots.join(':'),
      ...(config.agentSpecs === null ? {} : { DROVER_AGENT_SPECS: config.agentSpecs }),
      DROVER_LOG_LEVEL: config.log.level,
    }
    const place = ['--host', config.board.host, '--port', String(config.board.port)]
    const board = await keepRole(
      'board',
      BOARD_GRACE_MS,
      (url) => {
        // Started again it must be found where it was.
        const at = url === null ? place : ['--host', config.board.host, '--port', new URL(url).port]
        return startRole({ args: ['board', ...at], env: roleEnv, cwd })
      },
      options.warn,
    )
    roles.push(board)
    const url = String(board.ready.url)
    const worker = await keepRole(
      'worker',
      workerPatienceOf(config),
      () =>
        startRole({
          args: ['worker', ...options.workerArgs],
          // Tokens are the board's and its clients': no pod needs one, and none of its agents may find one.
          env: {
            ...roleEnv,
            DROVER_URL: url,
            DROVER_POD_ID: undefined,
            DROVER_TOKEN: undefined,
            DROVER_TOKENS: undefined,
          },
          cwd,
        }),
      options.warn,
    )
    roles.push(worker)
    const announced = await announceUp(config.dataDir, {
      url,
      redis_url: redis.url,
      namespace: config.namespace,
      roots: [...config.workspace.roots],
      agent_specs: config.agentSpecs,
      rehearsal: options.rehearsal,
    })
    let stopping: Promise<void> | null = null
    return {
      url,
      redisUrl: redis.url,
      redisDied: redis.exited,
      stop: () => (stopping ??= announced.remove().then(stop)),
      hurry: () => worker.hurry(),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function alreadyUp(dataDir: string, up: RunningUp): DroverError {
  return new DroverError(
    'port_in_use',
    `Drover is up in ${dataDir} already: pid ${up.pid}, ${up.url}. Stop that one first, or give this one another DROVER_DATA_DIR and --port.`,
    { pid: up.pid, url: up.url },
  )
}

interface KeptRole {
  readonly ready: Role['ready']
  stop(): Promise<void>
  hurry(): void
}

/** A role that is started again when it dies. `start` gets the address it had, if it had one. */
async function keepRole(
  name: 'worker' | 'board',
  patienceMs: number,
  start: (url: string | null) => Promise<Role>,
  warn: (line: string) => void,
): Promise<KeptRole> {
  const stopped = new AbortController()
  let role = await start(null)
  const { ready } = role
  const keeping = (async () => {
    while (!stopped.signal.aborted) {
      const code = await role.exited
      while (!stopped.signal.aborted) {
        warn(`the ${name} (pid ${role.pid}) ended with ${code}; starting it again`)
        await sleep(START_AGAIN_MS, stopped.signal)
        if (stopped.signal.aborted) return
        try {
          role = await start(typeof ready.url === 'string' ? ready.url : null)
          if (stopped.signal.aborted) await role.stop(patienceMs)
          break
        } catch (error) {
          warn(`the ${name} did not start: ${messageOf(error)}`)
        }
      }
    }
  })()
  return {
    ready,
    async stop() {
      stopped.abort()
      await role.stop(patienceMs)
      await keeping
    },
    hurry: () => role.hurry(),
  }
}
