/**
 * A process that ends, or stops, itself at one step of its work: before or after the nth time that it runs a certain
 * SQL statement or sends a certain Redis command. Every statement counts, BEGIN, SAVEPOINT and COMMIT included, and
 * nothing of the code under test knows of it.
 */
import { writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import { Redis, type Command } from 'ioredis'

export interface Fate {
  /** As `onStep` says it; null: at no certain one. */
  readonly step: string | null
  readonly when: 'before' | 'after'
  /** The how many-th time. */
  readonly nth: number
  readonly signal: 'SIGKILL' | 'SIGSTOP'
  /** It comes at step number so many at the latest, whatever that is; null: there is no latest. */
  readonly atLatest: number | null
}

/**
 * What the process says on stdout, a line each: a step that was met for the first time, where its fate comes, and what
 * it has done after it, if it only was stopped.
 */
export type FateNews =
  | { readonly met: string }
  | { readonly step: string; readonly when: Fate['when'] }
  | { readonly done: string }

export function say(news: FateNews | { readonly ready: true }): void {
  writeSync(1, `${JSON.stringify(news)}\n`)
}

/** From now on every step of this process counts. */
export function meet(fate: Fate): void {
  const met = new Set<string>()
  let [steps, times, isOver] = [0, 0, false]

  function come(step: string, when: Fate['when']): void {
    isOver = true
    say({ step, when })
    process.kill(process.pid, fate.signal)
  }
  function before(step: string): void {
    if (isOver) return
    if (!met.has(step)) say({ met: step })
    met.add(step)
    steps++
    if (step === fate.step) times++
    if (steps === fate.atLatest || (step === fate.step && times === fate.nth && fate.when === 'before'))
      come(step, 'before')
  }
  function after(step: string): void {
    if (isOver) say({ done: step })
    else if (step === fate.step && times >= fate.nth) come(step, 'after')
  }

  watchStatements(before, after)
  watchCommands(before, after)
}

type Watch = (step: string) => void

interface Runnable {
  readonly source: string
  run(...values: unknown[]): unknown
  get(...values: unknown[]): unknown
  all(...values: unknown[]): unknown
  iterate(...values: unknown[]): unknown
}

/** better-sqlite3 runs all it runs, also the BEGIN and COMMIT of its transactions, by methods of one prototype. */
function watchStatements(before: Watch, after: Watch): void {
  const db = new Database(':memory:')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- statements are of this shape
  const prototype = Object.getPrototypeOf(db.prepare('SELECT 1')) as Runnable
  db.close()
  for (const method of ['run', 'get', 'all', 'iterate'] as const) {
    const original = prototype[method]
    prototype[method] = function watched(this: Runnable, ...values: unknown[]): unknown {
      const step = this.source.replaceAll(/\s+/gu, ' ').trim()
      before(step)
      const answer = original.apply(this, values)
      after(step)
      return answer
    }
  }
}

/** After a command: when its answer is here. */
function watchCommands(before: Watch, after: Watch): void {
  const { sendCommand } = Redis.prototype
  Redis.prototype.sendCommand = function watched(command: Command, ...rest): unknown {
    const step = stepOf(command)
    before(step)
    command.promise.then(
      () => after(step),
      () => undefined,
    )
    return sendCommand.call(this, command, ...rest)
  }
}

/** Scripts differ by what they do; of the rest the name says enough. */
function stepOf({ name, args }: Command): string {
  const script = name === 'eval' ? String(args[0]).replaceAll(/\s+/gu, ' ').trim() : ''
  return `redis ${name} ${script}`.trim()
}
