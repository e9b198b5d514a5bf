/** Agents, the processes of sessions, as tables and pages for people. */
import type { AgentState } from '../core/state.ts'
import type { AgentView } from '../ledger/ledger.ts'
import type { ListDocument } from '../producer/http-client.ts'
import { ago } from './format.ts'
import type { Colors, Output } from './output.ts'
import { visible } from './safe-text.ts'
import { table } from './table.ts'

const STATE_COLORS = {
  spawned: 'dim',
  running: 'cyan',
  completed: 'green',
  failed: 'red',
  killed: 'red',
  stalled: 'yellow',
  superseded: 'yellow',
} as const satisfies Record<AgentState, keyof Colors>

const HEADS = ['agent', 'status', 'age', 'pid', 'session', 'pod']

/** A page of `agents list`; `now` is what the ages count from. */
export function agentsPage(
  { agents, next_cursor }: ListDocument<'agents', AgentView>,
  output: Output,
  now: Date,
): string {
  if (agents.length === 0) return 'No agents.'
  const rows = agents.map((agent) => [
    agent.agent_id,
    output.colors[STATE_COLORS[agent.status]](agent.status),
    ago(agent.spawned_at, now),
    agent.pid === null ? '' : String(agent.pid),
    agent.session_id,
    visible(agent.pod_id ?? ''),
  ])
  const more = next_cursor === null ? '' : `\n\nMore with --cursor ${next_cursor}`
  return `${table(HEADS, rows, output)}${more}`
}

/** `agents show` */
export function agentText(agent: AgentView, { colors }: Output): string {
  const exit = agent.exit_signal ?? (agent.exit_code === null ? null : String(agent.exit_code))
  const facts: [string, string | null][] = [
    ['agent', agent.agent_id],
    ['agent type', agent.agent_type],
    ['session', agent.session_id],
    ['task', agent.task_id],
    ['pod', agent.pod_id],
    ['pid', agent.pid === null ? null : String(agent.pid)],
    ['held by', agent.tier],
    ['restarts', String(agent.retry_count)],
    ['spawned', agent.spawned_at],
    ['started', agent.started_at],
    ['ended', agent.completed_at],
    ['exit', exit],
    ['why', agent.error_message],
    ['worktree', agent.worktree_path],
    ['command', agent.command],
    ['record', agent.tail_unknown ? 'its pod never came back: lines of it may be missing' : null],
  ]
  const line = (name: string, value: string): string => `${colors.dim(name.padEnd(11))} ${value}`
  return [
    line('status', colors[STATE_COLORS[agent.status]](agent.status)),
    ...facts.flatMap(([name, value]) => (value === null ? [] : [line(name, visible(value))])),
  ].join('\n')
}
