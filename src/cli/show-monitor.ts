/** How agents are, for people. */
import type { MonitorAnswer, MonitoredAgent } from '../core/monitor.ts'
import { counted, seconds, usd } from './format.ts'
import type { Colors, Output } from './output.ts'
import { visible } from './safe-text.ts'
import { spaced } from './show-pods.ts'
import { textTable } from './table.ts'

/** Green: nothing to do. Yellow and red: somebody should look. */
const HEALTH_COLORS = {
  healthy: 'green',
  stalled: 'yellow',
  dead: 'red',
  completed: 'green',
  failed: 'red',
} as const satisfies Record<MonitoredAgent['health_status'], keyof Colors>

const HEADS = ['agent', 'health', 'cpu', 'memory', 'beat', 'up', 'cost', 'doing']

/** `drover monitor`; `notes`: what is to be said below, of the pods. */
export function monitorText(answer: MonitorAnswer, notes: readonly string[], output: Output): string {
  const rows = answer.agents.map((agent) => rowOf(agent, output.colors))
  const agents =
    rows.length === 0
      ? ['No agent runs.']
      : [headline(answer, output.colors), '', textTable(HEADS, rows, output)]
  return [...agents, ...spaced(notes)].join('\n')
}

function headline(answer: MonitorAnswer, colors: Colors): string {
  const states = (['healthy', 'stalled', 'dead'] as const).flatMap((health) => {
    const count = answer[`agents_${health}`]
    return count === 0 ? [] : [colors[HEALTH_COLORS[health]](`${count} ${health}`)]
  })
  return [counted(answer.agents_checked, 'agent'), ...states].join(', ')
}

function rowOf(agent: MonitoredAgent, colors: Colors): string[] {
  const { health_status: health, cpu_percent, memory_mb, seconds_since_heartbeat: beat, task_id } = agent
  return [
    agent.agent_id,
    colors[HEALTH_COLORS[health]](health),
    cpu_percent === null ? '' : `${Math.round(cpu_percent)} %`,
    memory_mb === null ? '' : `${Math.round(memory_mb)} MB`,
    beat === null ? '' : `${Math.round(beat)} s`,
    seconds(agent.uptime_seconds * 1000),
    `${agent.cost_estimated ? '~' : ''}${usd(agent.cost_usd)}`,
    visible([task_id, agent.doing].filter(Boolean).join(': ')),
  ]
}
