/** The built `drover` command as its users run it: `dist/cli/main.js` in a process of its own. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, resolve } from 'node:path'
import { claudePath } from './claude.ts'
import type { Scratch } from './leaks.ts'
import { until } from './until.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MAIN = resolve(ROOT, 'dist/cli/main.js')

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** stdout as one JSON document. */
  json(): Record<string, unknown>
}

export interface DroverOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  readonly input?: string
}

export interface Started {
  readonly pid: number
  /** What came on stdout so far. */
  stdout(): string
  stderr(): string
  readonly exited: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

export interface Drover {
  /** Runs a command to its end. */
  run(args: readonly string[], options?: DroverOptions): Promise<Ran>
  /** Starts a command that goes on. */
  start(args: readonly string[], options?: DroverOptions): Started
}

/** Commands whose home, data and temporary files are in the test's directory; nothing of this machine's environment. */
export function openDrover(scratch: Scratch): Drover {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: build it first (npm run build; ./check does)`)
  const base = {
    ...scratch.env,
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    HOME: scratch.dir,
    DROVER_DATA_DIR: resolve(scratch.dir, 'data'),
    DROVER_TOOLS_DIR: resolve(ROOT, 'data/tools'),
    DROVER_CLAUDE_PATH: claudePath(),
    NO_COLOR: '1',
  }

  function start(args: readonly string[], options: DroverOptions = {}): Started {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? scratch.dir,
      env: { ...base, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
    return {
      pid: child.pid ?? 0,
      stdout: () => stdout,
      stderr: () => stderr,
      exited: new Promise((done) => child.on('close', done)),
      kill: (signal) => void child.kill(signal),
    }
  }

  return {
    start,
    async run(args, options) {
      const started = start(args, options)
      const code = await started.exited
      const stdout = started.stdout()
      return {
        code,
        stdout,
        stderr: started.stderr(),
        json() {
          try {
            return JSON.parse(stdout) as Record<string, unknown>
          } catch (error) {
            throw new Error(`stdout is no JSON document: ${stdout}\nstderr: ${started.stderr()}`, {
              cause: error,
            })
          }
        },
      }
    },
  }
}

/** A `drover up --json` that is ready; its only line of stdout. */
export interface Up {
  readonly ready: { readonly url: string; readonly redis_url: string; readonly data_dir: string }
  /** Ends it, which must go well. */
  stop(): Promise<void>
}

/** Resolves when it is ready. @param rehearse `--rehearse`, with a script or without */
export async function startUp(drover: Drover, rehearse: string, env: Record<string, string>): Promise<Up> {
  const started = drover.start(['up', rehearse, '--port', '0', '--json'], {
    env: { DROVER_MIN_FREE_CPU_PERCENT: '0', ...env },
  })
  await until(() => started.stdout().includes('\n'), { timeoutMs: 60_000, message: () => started.stderr() })
  return {
    ready: JSON.parse(started.stdout()) as Up['ready'],
    async stop() {
      started.kill('SIGTERM')
      const code = await started.exited
      if (code !== 0) throw new Error(`drover up ended with ${code}: ${started.stderr()}`)
    },
  }
}
