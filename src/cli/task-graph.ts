/** The graph of tasks as text: for people by level, and as a Mermaid flowchart. */
import type { TaskGraph } from '../core/task-answer.ts'
import { TASK_STATES, type TaskState } from '../core/state.ts'
import type { Output } from './output.ts'
import { TASK_COLORS } from './show-tasks.ts'
import { table } from './table.ts'

/** Fill colours of Mermaid's nodes. */
const FILLS: Readonly<Record<TaskState, string>> = {
  pending: '#f4f4f5',
  spawned: '#e0f2fe',
  running: '#7dd3fc',
  completed: '#86efac',
  failed: '#fca5a5',
  cancelled: '#d4d4d8',
  blocked: '#fde68a',
}

/** Tasks below those that they wait for; what is on one level may run at the same time. */
export function graphText(graph: TaskGraph, output: Output): string {
  if (graph.nodes.length === 0) return 'No tasks.'
  const waitsFor = new Map<string, string[]>()
  for (const { from, to } of graph.edges) {
    const known = waitsFor.get(to)
    if (known === undefined) waitsFor.set(to, [from])
    else known.push(from)
  }
  let level = -1
  const rows = graph.nodes.map((node) => {
    const mark = node.level === level ? '' : String(node.level)
    level = node.level
    return [
      mark,
      node.task_id,
      output.colors[TASK_COLORS[node.status]](node.status),
      node.agent_type,
      (waitsFor.get(node.task_id) ?? []).join(', '),
    ]
  })
  const counts = TASK_STATES.map(
    (state) => [state, graph.nodes.filter(({ status }) => status === state).length] as const,
  )
  const sum = counts.flatMap(([state, count]) => (count === 0 ? [] : [`${count} ${state}`])).join(', ')
  return [
    table(['level', 'task', 'status', 'agent type', 'after'], rows, output),
    '',
    `${sum}${omittedText(graph)}`,
  ].join('\n')
}

/** A flowchart for a page or a pull request. Names are our own ids, which need no escaping in quotes. */
export function graphMermaid({ nodes, edges }: TaskGraph): string {
  const keys = new Map(nodes.map(({ task_id }, index) => [task_id, `t${index}`]))
  const states = TASK_STATES.filter((state) => nodes.some(({ status }) => status === state))
  return [
    'flowchart TD',
    ...nodes.map(
      ({ task_id, agent_type, status }) =>
        `  ${keys.get(task_id)}["${task_id}<br/>${agent_type}"]:::${status}`,
    ),
    ...edges.map(({ from, to }) => `  ${keys.get(from)} --> ${keys.get(to)}`),
    ...states.map((state) => `  classDef ${state} fill:${FILLS[state]},color:#18181b`),
  ].join('\n')
}

function omittedText({ omitted }: TaskGraph): string {
  return omitted === 0 ? '' : `; ${omitted} older ones are not shown (--limit, --task-id)`
}
