/** Cycles among tasks that wait for one another. */

/**
 * The first cycle that is reached from `starts`, as the way around it (`['a', 'b', 'a']`: a waits for b, b for a);
 * null where there is none. Iterative: a chain of 10,000 tasks is a valid file.
 */
export function findCycle(
  starts: Iterable<string>,
  dependenciesOf: (taskId: string) => readonly string[],
): readonly string[] | null {
  const done = new Set<string>()
  for (const start of starts) {
    const way: { readonly id: string; readonly rest: string[] }[] = []
    const onWay = new Set<string>()
    const enter = (id: string): void => {
      way.push({ id, rest: [...dependenciesOf(id)] })
      onWay.add(id)
    }
    if (!done.has(start)) enter(start)
    for (let step = way.at(-1); step !== undefined; step = way.at(-1)) {
      const next = step.rest.shift()
      if (next === undefined) {
        way.pop()
        onWay.delete(step.id)
        done.add(step.id)
      } else if (onWay.has(next)) {
        const ids = way.map(({ id }) => id)
        return [...ids.slice(ids.indexOf(next)), next]
      } else if (!done.has(next)) {
        enter(next)
      }
    }
  }
  return null
}
