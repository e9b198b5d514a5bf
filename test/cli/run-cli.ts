/** The command line from its sources, in a process of its own, with nothing of this machine's environment. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** The entry, as it is run from sources. */
export const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts')

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** What comes on standard input, which ends then. */
  readonly input?: string | Buffer
  /** Of Node, before the program. */
  readonly nodeArgs?: readonly string[]
}

export interface Running {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  readonly ended: Promise<Ran>
}

export interface Cli {
  /** An empty directory of its own: working directory, home and data. */
  readonly dir: string
  /** Runs a command to its end. */
  run(args: readonly string[], options?: CliOptions): Promise<Ran>
  /** Runs with `--json`, and answers the one document that must be on stdout. */
  json(
    args: readonly string[],
    options?: CliOptions,
  ): Promise<{ code: number | null; document: any; stderr: string }>
  start(args: readonly string[], options?: CliOptions): Running
  /** Kills what still runs and removes the directory. */
  close(): Promise<void>
}

/** @param url the board; without one nobody answers */
export async function openCli(url = 'http://127.0.0.1:1'): Promise<Cli> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'drover-cli-')))
  const running = new Set<ChildProcess>()

  function start(args: readonly string[], options: CliOptions = {}): Running {
    const child = spawn(process.execPath, [...(options.nodeArgs ?? []), MAIN, ...args], {
      cwd: options.cwd ?? dir,
      env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: dir, DROVER_URL: url, ...options.env },
      stdio: 'pipe',
    })
    running.add(child)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    // It may end before it has read everything.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
    const ended = new Promise<Ran>((done) => {
      child.once('close', (code) => {
        running.delete(child)
        done({ code, stdout, stderr })
      })
    })
    return { child, stdout: () => stdout, stderr: () => stderr, ended }
  }

  return {
    dir,
    start,
    run: (args, options) => start(args, options).ended,
    async json(args, options) {
      const { code, stdout, stderr } = await start(['--json', ...args], options).ended
      return { code, document: JSON.parse(stdout), stderr }
    },
    async close() {
      for (const child of running) child.kill('SIGKILL')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
