/** How agents are, for people. */
import type { MonitorAnswer, MonitoredAgent } from '../core/monitor.ts'
import { counted, seconds, usd } from './format.ts'
import type { Colors, Output } from './output.ts'
import { visible } from './safe-text.ts'
import { table } from './table.ts'

/** Green: nothing to do. Yellow and red: somebody should look. */
const HEALTH_COLORS = {
  healthy: 'green',
  stalled: 'yellow',
  dead: 'red',
  completed: 'green',
  failed: 'red',
} as const satisfies Record<MonitoredAgent['health_status'], keyof Colors>

const HEADS = ['agent', 'health', 'cpu', 'memory', 'beat', 'up', 'cost', 'doing']

/** `drover monitor` */
export function monitorText(answer: MonitorAnswer, { colors, width }: Output): string {
  if (answer.agents.length === 0) return 'No agent runs.'
  const rows = answer.agents.map((agent) => rowOf(agent, colors))
  return `${headline(answer, colors)}\n\n${table(HEADS, rows, width)}`
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
