/** Tasks in the order in which they can run. */
import type { TaskGraph } from '../core/task-answer.ts'
import type { TaskGraphRows } from '../ledger/task-graph.ts'

/** With the level of each task: one more than the highest of those that it waits for. */
export function leveled({ tasks, edges, omitted }: TaskGraphRows): TaskGraph {
  const levels = levelsOf(
    tasks.map(({ task_id }) => task_id),
    edges,
  )
  const nodes = tasks
    .map((task) => ({ ...task, level: levels.get(task.task_id) ?? 0 }))
    .toSorted((a, b) => a.level - b.level)
  return { success: true, nodes, edges, omitted }
}

/** Kahn's order, a level at a time; there are no cycles in what is recorded. */
function levelsOf(ids: readonly string[], edges: TaskGraphRows['edges']): ReadonlyMap<string, number> {
  const levels = new Map<string, number>()
  const waits = new Map(ids.map((id) => [id, 0]))
  const dependents = new Map<string, string[]>()
  for (const { from, to } of edges) {
    waits.set(to, (waits.get(to) ?? 0) + 1)
    const known = dependents.get(from)
    if (known === undefined) dependents.set(from, [to])
    else known.push(to)
  }
  let ready = ids.filter((id) => waits.get(id) === 0)
  for (let level = 0; ready.length > 0; level++) {
    const next: string[] = []
    for (const id of ready) {
      levels.set(id, level)
      for (const dependent of dependents.get(id) ?? []) {
        const left = (waits.get(dependent) ?? 0) - 1
        waits.set(dependent, left)
        if (left === 0) next.push(dependent)
      }
    }
    ready = next
  }
  return levels
}
