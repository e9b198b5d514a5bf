/** The built `drover worker`, as its users run it. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { keysOf } from '../src/queue/keys.ts'
import { runIdOf } from '../src/queue/run-id.ts'
import { removeSessionDirectory } from '../src/session/directory.ts'
import type { Stage } from './stage.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Its drain, and its way out. */
const STOP_TIMEOUT_MS = 10_000

/** Builds what is measured: an older build would be somebody else's. Seconds where nothing has changed. */
export async function buildDrover(): Promise<void> {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  try {
    await promisify(execFile)(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: ROOT })
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    throw new Error(`Drover could not be built (npm run build):\n${output}`, { cause: error })
  }
}

export interface BenchWorker {
  readonly pid: number
  readonly namespace: string
  readonly workspace: string
  /** Ends it and removes the files of its sessions. Safe to call twice; the stage does it too. */
  stop(): Promise<void>
}

export interface WorkerOptions {
  readonly namespace: string
  /** The program to run as the CLI. */
  readonly claude: string
  /** `agent_types` of a specs file; the shipped ones by default. */
  readonly agentTypes?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a pod and waits until it serves. */
export async function startWorker(stage: Stage, options: WorkerOptions): Promise<BenchWorker> {
  const home = join(stage.dir, options.namespace)
  const [workspace, dataDir] = [join(home, 'workspace'), join(home, 'data')]
  for (const dir of [workspace, dataDir]) await mkdir(dir, { recursive: true })
  // The stage's own server, which nobody has used; no recorder runs here that would say so.
  await stage.redis.set(keysOf(options.namespace).seeded, await runIdOf(stage.redis))
  const { agentTypes } = options
  if (agentTypes !== undefined) {
    await writeFile(join(home, 'agent_specs.json'), JSON.stringify({ agent_types: agentTypes }))
  }

  const child = spawn(
    process.execPath,
    [join(ROOT, 'dist/cli/main.js'), 'worker', '--json', '--while-stdin'],
    {
      cwd: home,
      env: {
        PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
        HOME: home,
        REDIS_URL: stage.redisUrl,
        DROVER_NAMESPACE: options.namespace,
        DROVER_DATA_DIR: dataDir,
        DROVER_WORKSPACE_ROOTS: workspace,
        DROVER_CLAUDE_PATH: options.claude,
        DROVER_LOG_LEVEL: 'warn',
        DROVER_DRAIN_GRACE_MS: '1000',
        // What else runs on the machine must not make the pod pause between two sessions.
        DROVER_MIN_FREE_CPU_PERCENT: '0',
        DROVER_MIN_FREE_MEMORY_MB: '0',
        ...options.env,
      },
      // Its own group: a Ctrl-C is for the benchmark, which stops its pods. When it dies, their stdin ends, and so do they.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  child.stdin.on('error', () => undefined)
  const exited = once(child, 'exit')
  const stderr = text(child.stderr)

  let stopping: Promise<void> | null = null
  async function stop(): Promise<void> {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
    await removeSessions(dataDir)
  }
  const stopOnce = (): Promise<void> => (stopping ??= stop())
  stage.defer(stopOnce)

  const ready = once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line))
  const answer = await Promise.race([ready, exited.then(() => stderr)])
  if (!answer.startsWith('{"success":true')) throw new Error(`\`drover worker\` did not start: ${answer}`)
  return { pid: child.pid ?? 0, namespace: options.namespace, workspace, stop: stopOnce }
}

/** No recorder runs beside it, so the worker keeps them; their temporary directories are outside of the stage's. */
async function removeSessions(dataDir: string): Promise<void> {
  const sessionIds = await readdir(join(dataDir, 'sessions')).catch(() => [])
  for (const sessionId of sessionIds) await removeSessionDirectory(dataDir, sessionId)
}
