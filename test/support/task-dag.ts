/** Tasks that wait for one another as chance has it, and the proof that they ran in that order. */
import type { Random } from '../fault/rig/random.ts'
import type { WitnessRecord } from './fake-claude.ts'

export interface DagTask {
  readonly task_id: string
  readonly agent_type: string
  readonly depends_on: readonly string[]
}

/** A task waits for up to so many of those shortly before it. */
const MOST_DEPENDENCIES = 3
const WINDOW = 60
/** Of ten tasks so many wait for nothing. */
const ROOTS_OF_TEN = 1

/** Without a circle; types in turns, so that neighbours are of different ones. */
export function randomDag(count: number, types: readonly string[], random: Random): DagTask[] {
  return Array.from({ length: count }, (_, index) => {
    const wanted = random.integer(1, 10) <= ROOTS_OF_TEN ? 0 : random.integer(1, MOST_DEPENDENCIES)
    const from = Math.max(0, index - WINDOW)
    const before = Array.from({ length: index === 0 ? 0 : wanted }, () => random.integer(from, index - 1))
    return {
      task_id: `T-${index}`,
      agent_type: types[index % types.length] ?? '',
      depends_on: [...new Set(before)].map((other) => `T-${other}`),
    }
  })
}

/**
 * Each task that did not run exactly once, or whose process began before one that it waits for had ended; empty is
 * right. By the clock of the processes themselves, which is one for all of them.
 */
export function orderViolations(
  tasks: readonly DagTask[],
  sessionOf: ReadonlyMap<string, string>,
  records: readonly WitnessRecord[],
): string[] {
  const times = new Map<string, { starts: bigint[]; last: bigint }>()
  for (const { kind, session_id, mono_ns } of records) {
    const known = times.get(session_id) ?? { starts: [], last: 0n }
    times.set(session_id, known)
    const at = BigInt(mono_ns)
    if (kind === 'start') known.starts.push(at)
    // Its last word, whatever that is: one that was slow to go after its result was ended without another.
    if (at > known.last) known.last = at
  }
  const timesOf = (taskId: string) => times.get(sessionOf.get(taskId) ?? '')
  return tasks.flatMap(({ task_id, depends_on }) => {
    const [start, ...more] = timesOf(task_id)?.starts ?? []
    if (start === undefined || more.length > 0)
      return [`${task_id} began ${more.length + (start ? 1 : 0)} times`]
    return depends_on.flatMap((other) => {
      const last = timesOf(other)?.last
      return last !== undefined && last < start ? [] : [`${task_id} began before ${other} had ended`]
    })
  })
}
