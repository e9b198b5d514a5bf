/**
 * Watches the file with the agent types, for changes without a restart. It is looked at again and again instead of
 * listened to: editors rename, mounts and network file systems tell nobody, and the file may come to be in another
 * place (`./agent_specs.json` beside the shipped one). A look is one `stat`.
 */
import { statSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'
import { findSpecFile, loadAgentSpecs, type LoadedSpecs } from './spec-file.ts'

const LOOK_MS = 1000

export interface SpecWatchOptions {
  /** As `loadAgentSpecs` takes them. */
  readonly path: string | null
  readonly cwd: string
  /** What is read now differs from before. Called again with the next change when this has failed. */
  readonly onChange: (loaded: LoadedSpecs) => Promise<void> | void
  /** The file is broken: all its problems as one text; what was read last stays. null: it is right again. */
  readonly onProblem: (problem: string | null) => void
  /** @default 1000 */
  readonly lookMs?: number
}

export interface SpecWatch {
  stop(): void
}

/** Begins to watch. What is there now counts as known. */
export function watchSpecs(options: SpecWatchOptions): SpecWatch {
  const { path, cwd, onChange, onProblem, lookMs = LOOK_MS } = options
  let known = stampOf(findSpecFile({ path, cwd }))
  let seen = known
  let problem: string | null = null
  let changing: Promise<void> | null = null
  const timer = setInterval(look, lookMs)
  timer.unref()

  function look(): void {
    if (changing !== null) return
    const stamp = stampOf(findSpecFile({ path, cwd }))
    // Twice the same: nobody is writing it at this moment.
    const isStill = stamp === seen
    seen = stamp
    if (!isStill || stamp === known) return
    known = stamp
    changing = change().finally(() => {
      changing = null
    })
  }

  async function change(): Promise<void> {
    try {
      const loaded = loadAgentSpecs({ path, cwd })
      if (problem !== null) say(null)
      await onChange(loaded)
    } catch (error) {
      say(messageOf(error))
    }
  }

  function say(next: string | null): void {
    if (next === problem) return
    problem = next
    onProblem(next)
  }

  return { stop: () => clearInterval(timer) }
}

/** Differs when the file does, or is another one. What cannot be looked at (a loop of links, a mount) is said when it is read. */
function stampOf(file: string): string {
  try {
    const found = statSync(file, { throwIfNoEntry: false, bigint: true })
    return found === undefined ? `${file} missing` : `${file} ${found.ino} ${found.size} ${found.mtimeNs}`
  } catch (error) {
    return `${file} ${messageOf(error)}`
  }
}
