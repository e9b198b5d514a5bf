/** A role of Drover (worker, board, a whole `up`) as a child process of this one. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DroverError } from '../../core/errors.ts'

/** Told to a role in its environment: it ends when its standard input does, so that it never outlives its parent. */
export const WATCH_PARENT = '--while-stdin'

/** The command's entry, beside this file's folder: `.ts` when run from sources, `.js` from dist. */
export const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../main.ts' : '../main.js', import.meta.url),
)

export interface RoleOptions {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** A file for what it logs; without one it logs to our stderr. */
  readonly logFile?: string
  /** It goes on when this process ends, without a terminal. */
  readonly detached?: boolean
}

export interface Role {
  readonly pid: number
  /** The document that it printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>
  readonly exited: Promise<number>
  /** SIGTERM, and SIGKILL if it is still there after `patienceMs`. Resolves when it is gone. */
  stop(patienceMs: number): Promise<void>
  /** A second signal: a role that drains waits no longer. */
  hurry(): void
  /** Lets go of a detached role: this process may end. */
  release(): void
}

/**
 * Starts a role and waits until it says that it is ready, by one JSON document on its stdout.
 *
 * @throws DroverError with the role's own failure document, or `setup_failed` when it ended without one
 */
export async function startRole(options: RoleOptions): Promise<Role> {
  const watched = options.detached ? [] : [WATCH_PARENT]
  const log = options.logFile === undefined ? null : openSync(options.logFile, 'a')
  const child = spawn(process.execPath, [MAIN, ...options.args, '--json', ...watched], {
    cwd: options.cwd,
    env: options.env,
    // Its own group: the terminal's Ctrl-C is for us, and we stop the roles in their order.
    detached: true,
    stdio: [options.detached ? 'ignore' : 'pipe', 'pipe', log ?? 'inherit'],
  })
  if (log !== null) closeSync(log)
  child.stdin?.on('error', () => {})
  const exited = new Promise<number>((resolve) => {
    child.on('exit', (code, signal) =>
      resolve(code ?? (signal === null ? 1 : 128 + constants.signals[signal])),
    )
    child.on('error', () => resolve(1))
  })
  const document = await Promise.race([firstDocument(child), exited.then(() => null)])
  if (document === null || document.success !== true) {
    child.kill('SIGKILL')
    await exited
    throw failureOf(document, options, howItEnded(child))
  }
  return {
    pid: child.pid ?? 0,
    ready: document,
    exited,
    async stop(patienceMs) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs)
      await exited
      clearTimeout(timer)
    },
    // Another signal than the first: the same one would be one with it where the role has not heard it yet.
    hurry: () => void child.kill('SIGINT'),
    release() {
      child.stdout?.destroy()
      child.unref()
    },
  }
}

async function firstDocument(child: ChildProcess): Promise<Record<string, unknown> | null> {
  if (child.stdout === null) return null
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    try {
      return JSON.parse(line) as Record<string, unknown>
    } catch {
      return null
    }
  }
  return null
}

/** SIGKILL may have been ours. */
function howItEnded({ exitCode, signalCode }: ChildProcess): string {
  if (exitCode !== null) return ` (exit code ${exitCode})`
  return signalCode === null || signalCode === 'SIGKILL' ? '' : ` (${signalCode})`
}

function failureOf(document: Record<string, unknown> | null, options: RoleOptions, how: string): DroverError {
  if (document !== null && typeof document.error === 'string') {
    const { success: _, error, message, ...details } = document
    return new DroverError(error as ConstructorParameters<typeof DroverError>[0], String(message), details)
  }
  const where = options.logFile === undefined ? '' : ` Its log is ${options.logFile}.`
  return new DroverError(
    'setup_failed',
    `\`drover ${options.args.join(' ')}\` ended before it was ready${how}.${where}`,
  )
}
