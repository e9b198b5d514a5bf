/** Signals of the process: the end at once, or for a command that asked for it, a request to put things away. */
import { constants } from 'node:os'
import { EXIT } from '../core/errors.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What became of the signals of this process. */
export interface Signals {
  /** See `Surroundings.takeSignals`. */
  readonly take: (onSecond?: () => void) => AbortSignal
  /** Nothing can be written to stdout any more: the same as a signal, with an exit code of its own. */
  readonly outputGone: (code: number) => void
}

/** The exit code of a command that was stopped, from the reason of the taken signal. By the shell's convention. */
export function exitCodeOf(stop: AbortSignal): number {
  const name = SIGNALS.find((candidate) => candidate === stop.reason)
  return name === undefined ? EXIT.ok : 128 + constants.signals[name]
}

/** Listens from now on. */
export function watchSignals(exit: (code: number) => never): Signals {
  const first = new AbortController()
  let taken = false
  let second: (() => void) | null = null

  function arrived(name: (typeof SIGNALS)[number]): void {
    if (taken && !first.signal.aborted) return first.abort(name)
    if (!taken || second === null) exit(128 + constants.signals[name])
    const call = second
    second = null
    call()
  }

  for (const name of SIGNALS) process.on(name, () => arrived(name))
  return {
    take(onSecond) {
      taken = true
      second = onSecond ?? null
      return first.signal
    },
    outputGone(code) {
      if (!taken) exit(code)
      // Every further write says so again: only the first counts.
      if (!first.signal.aborted) first.abort('SIGPIPE')
    },
  }
}
