/** Tasks as tables and pages for people. */
import type { TaskState } from '../core/state.ts'
import type { TaskView } from '../ledger/ledger.ts'
import type { AddedTasks } from '../core/task-view.ts'
import type { ListDocument, TaskDocument } from '../producer/http-client.ts'
import { ago } from './format.ts'
import type { Colors, Output } from './output.ts'
import { visible, visibleLines } from './safe-text.ts'
import { textTable } from './table.ts'

/** What the states of tasks are shown in. */
export const TASK_COLORS = {
  pending: 'dim',
  spawned: 'dim',
  running: 'cyan',
  completed: 'green',
  failed: 'red',
  cancelled: 'red',
  blocked: 'yellow',
} as const satisfies Record<TaskState, keyof Colors>

const HEADS = ['task', 'agent type', 'status', 'age', 'waits for', 'prompt']

/** A page of `tasks list`; `now` is what the ages count from. */
export function tasksTable(
  { tasks, next_cursor }: Pick<ListDocument<'tasks', TaskView>, 'tasks' | 'next_cursor'>,
  output: Output,
  now: Date,
): string {
  if (tasks.length === 0) return 'No tasks.'
  const rows = tasks.map((task) => [
    task.task_id,
    task.agent_type,
    output.colors[TASK_COLORS[task.status]](task.status),
    ago(task.created_at, now),
    task.waiting_for.join(', '),
    visible(task.prompt.trimStart().split('\n', 1)[0] ?? ''),
  ])
  const more = next_cursor === null ? '' : `\n\nMore with --cursor ${next_cursor}`
  return `${textTable(HEADS, rows, output)}${more}`
}

/** What `tasks add` and `tasks import` did; `asked`: how many tasks were sent. */
export function addedText({ added, tasks, durability }: AddedTasks, asked: number): string {
  const before = asked - added
  const states = tasks.map((task) => `${task.task_id} ${task.status}`)
  return [
    `${added} added${before > 0 ? `, ${before} there already` : ''}`,
    ...states.map((line) => `  ${line}`),
    ...(durability === 'redis' ? ['The ledger is behind; "drover tasks list" shows them in a moment.'] : []),
  ].join('\n')
}

/** `tasks show`: the facts, then the prompt. */
export function taskText({ task, dependents }: TaskDocument, { colors }: Output): string {
  const facts: [string, string | null][] = [
    ['task', task.task_id],
    ['agent type', task.agent_type],
    ['priority', String(task.priority)],
    ['roadmap', task.priority_number === null ? null : String(task.priority_number)],
    ['run', task.run === 0 ? null : String(task.run)],
    ['template', task.template],
    ['depends on', task.depends_on.join(', ') || null],
    ['waits for', task.waiting_for.join(', ') || null],
    ['awaited by', dependents.join(', ') || null],
    ['workspace', task.workspace_dir],
    ['session', task.session_id],
    ['agent', task.assigned_agent],
    ['created', task.created_at],
    ['started', task.started_at],
    ['ended', task.completed_at],
    ['why', task.error_message],
  ]
  const line = (name: string, value: string): string => `${colors.dim(name.padEnd(11))} ${value}`
  return [
    line('status', colors[TASK_COLORS[task.status]](task.status)),
    ...facts.flatMap(([name, value]) => (value === null ? [] : [line(name, visible(value))])),
    '',
    ...visibleLines(task.prompt),
  ].join('\n')
}
