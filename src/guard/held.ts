/** A process that a tier holds: started behind the gate, known by identity, and not yet running its program. */
import { execa } from 'execa'
import type { Duplex, Writable } from 'node:stream'
import { DroverError, messageOf } from '../core/errors.ts'
import { readLines } from './lines.ts'
import { identityOf, sendGroup, sendTo, MARK_VARIABLE } from './process-table.ts'
import type { CommandLine, Hold, ProcessExit, Tier } from './tier.ts'

/** Two or three small programs start meanwhile: 5 ms here, more on a busy machine. */
const HOLD_TIMEOUT_MS = 10_000
/** The gate's descriptor says little. */
const GATE_LINE_LIMIT_BYTES = 100
const GATE_FD = 3

/** What to start behind the gate. */
export interface HeldProgram extends CommandLine {
  readonly cwd: string
  /** The whole environment; the mark is added. */
  readonly env: Readonly<Record<string, string>>
  readonly mark: string
  /** A file descriptor to be its standard output, or nothing. */
  readonly stdout: 1 | 'ignore'
  /** Likewise; `pipe` for the caller. */
  readonly stderr: 1 | 'pipe'
}

/** A process behind the gate. */
export interface HeldProcess extends Hold {
  readonly stdin: Writable
  /** Lets the program run. */
  release(): void
  /** Ends it before or after its release: what was started, not what that has started. */
  abandon(): void
  /**
   * Resolves when the program has ended. Not when its pipes have: a daemon that holds one would keep them open
   * (4.3 s measured, M17). `left`: processes that the kernel ended with it.
   */
  readonly exit: Promise<ProcessExit & { readonly left: number }>
}

/** Starts a program in a tier and holds it. Rejects with `spawn_failed`; then nothing was started. */
export async function startHeld(
  tier: Tier,
  program: HeldProgram,
  limitMs = HOLD_TIMEOUT_MS,
): Promise<HeldProcess> {
  const { file, args } = tier.wrap(program)
  const child = execa(file, args, {
    cwd: program.cwd,
    env: { ...program.env, [MARK_VARIABLE]: program.mark },
    extendEnv: false,
    stdio: ['pipe', program.stdout, program.stderr, 'pipe'],
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
  })
  // The end is taken from `exit`; a write to a process that is gone is no news.
  child.stdin.on('error', () => undefined)
  if (child.pid === undefined) throw notStarted(program.file, (await child).cause)
  const { pid, stdin } = child
  const started = identityOf(pid)
  const errorText = keepText(child.stderr)
  const gate = openGate(child.nodeChildProcess.stdio[GATE_FD] as Duplex)
  let isOver = false
  const ended = new Promise<ProcessExit>((resolve) => {
    child.nodeChildProcess.once('exit', (code, signal) => {
      isOver = true
      resolve({ code, signal })
    })
  })
  const exit = ended.then(async (end) => {
    const left = await gate.left
    return { ...tier.exitOf(end, left !== null), left: left ?? 0 }
  })
  const abandon = (): void => {
    gate.close()
    if (isOver) return
    sendGroup(pid, 'SIGKILL')
    sendTo(started, 'SIGKILL')
  }

  const timer = setTimeout(abandon, limitMs)
  const isHeld = await Promise.race([gate.held, ended.then(() => false)])
  clearTimeout(timer)
  try {
    if (isHeld) return { ...tier.hold(pid, program.mark), stdin, release: gate.open, abandon, exit }
    abandon()
    throw new Error(endedEarly(await ended, errorText()))
  } catch (error) {
    abandon()
    await ended
    const what = `The ${tier.how} did not hold the agent: ${messageOf(error)}`
    throw new DroverError('spawn_failed', what, {}, { cause: error })
  }
}

interface Gate {
  /** Resolves true when the program is held, false when that will not come. */
  readonly held: Promise<boolean>
  /** Resolves after the end of the program with what the init said was left; null when it said nothing. */
  readonly left: Promise<number | null>
  open(): void
  close(): void
}

function openGate(socket: Duplex): Gate {
  const held = Promise.withResolvers<boolean>()
  const left = Promise.withResolvers<number | null>()
  socket.on('error', () => undefined)
  readLines(
    socket,
    GATE_LINE_LIMIT_BYTES,
    (line) => {
      if (line === 'held') return held.resolve(true)
      const count = /^left (\d+)$/.exec(line)?.[1]
      if (count !== undefined) left.resolve(Number(count))
    },
    () => undefined,
  )
  // Nobody but the shells of the gate has the other end, so it closes when they end or become the program.
  socket.once('close', () => {
    held.resolve(false)
    left.resolve(null)
  })
  return {
    held: held.promise,
    left: left.promise,
    open: () => void socket.write('go\n'),
    close: () => void socket.destroy(),
  }
}

const KEPT_CHARACTERS = 500

/** The beginning of what a stream says. */
function keepText(stream: NodeJS.ReadableStream | null | undefined): () => string {
  let text = ''
  stream?.setEncoding('utf8').on('data', (more) => {
    text = (text + String(more)).slice(0, KEPT_CHARACTERS)
  })
  return () => text.trim()
}

function endedEarly({ code, signal }: ProcessExit, said: string): string {
  return said === '' ? `it ended at once (${signal ?? `exit code ${code}`}).` : said
}

function notStarted(file: string, cause: unknown): DroverError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : messageOf(cause)
  const advice =
    code === 'E2BIG'
      ? 'An argument or the environment is too long for this system: pass long text in a file.'
      : 'Look at the limits of this machine (processes, open files, memory) and try again.'
  return new DroverError('spawn_failed', `The program ${file} could not be started (${code}). ${advice}`)
}
