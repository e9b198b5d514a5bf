/** Starts recorders as processes (`recorder-process.ts`) and tells them how they end. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Fate } from './fate.ts'
import { until } from './until.ts'

export interface RecorderChild {
  readonly pid: number
  /** Begins to record; without a fate it goes on until it is ended. */
  begin(fate?: Partial<Fate>): Promise<void>
  /** Steps that it has taken so far. */
  readonly met: readonly string[]
  /** Steps that it has done since it was stopped and went on. */
  readonly done: readonly string[]
  /** Where its fate came: resolves when it does; null where the process ended otherwise. */
  readonly fate: Promise<Pick<Fate, 'step' | 'when'> | null>
  readonly exited: Promise<NodeJS.Signals | number | null>
  log(): string
  signal(signal: NodeJS.Signals): void
}

export interface RecorderPlace {
  readonly redisUrl: string
  readonly namespace: string
  readonly ledger: string
  /** Compiled once for all of them. */
  readonly cacheDir: string
}

const NONE: Fate = { step: null, when: 'before', nth: 1, signal: 'SIGKILL', atLatest: null }

/** The process is started at once, and does nothing before `begin`. */
export function startRecorderChild(place: RecorderPlace): RecorderChild {
  const program = join(import.meta.dirname, 'recorder-process.ts')
  const child = spawn(process.execPath, [program, place.redisUrl, place.namespace, place.ledger], {
    env: { NODE_COMPILE_CACHE: place.cacheDir },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // One that was killed takes no more words.
  child.stdin.on('error', () => undefined)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const met: string[] = []
  const done: string[] = []
  let isReady = false
  const fated = Promise.withResolvers<Pick<Fate, 'step' | 'when'> | null>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const news: { ready?: true; met?: string; done?: string; step?: string; when?: Fate['when'] } =
      JSON.parse(line)
    if (news.ready) isReady = true
    if (news.met !== undefined) met.push(news.met)
    if (news.done !== undefined) done.push(news.done)
    if (news.step !== undefined) fated.resolve({ step: news.step, when: news.when ?? 'before' })
  })
  const exited = exitOf(child)
  // Its last words are read when its output is closed, and that is before `close`.
  void exited.then(() => fated.resolve(null))
  return {
    pid: child.pid ?? 0,
    async begin(fate = {}) {
      await until(() => isReady, { timeoutMs: 30_000, message: () => `a recorder to be ready: ${log}` })
      child.stdin.write(`${JSON.stringify({ ...NONE, ...fate })}\n`)
    },
    met,
    done,
    fate: fated.promise,
    exited,
    log: () => log,
    signal: (signal) => void child.kill(signal),
  }
}

async function exitOf(child: ChildProcess): Promise<NodeJS.Signals | number | null> {
  await once(child, 'close')
  return child.signalCode ?? child.exitCode
}
