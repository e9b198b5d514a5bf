/** What `drover monitor` and `GET /api/v1/monitor` answer: how every running agent is. */
import { z } from 'zod'
import { recorded } from './documents.ts'
import { HEALTH_STATES } from './health.ts'
import { amount, listOf, time } from './schema.ts'
import { AGENT_STATES } from './state.ts'

/** One agent. What only a running one has is null for one that has ended. */
export const monitoredAgentSchema = z
  .object({
    agent_id: z.string(),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    session_id: z.string(),
    status: z.enum(AGENT_STATES),
    pid: z.int().nullable(),
    pod_id: z.string().nullable(),
    process_alive: z.boolean(),
    cpu_percent: z
      .number()
      .nullable()
      .describe('Of one core, of the whole process tree, between the last two looks of its guard.'),
    memory_mb: z.number().nullable().describe('Of the whole process tree.'),
    seconds_since_heartbeat: z.number().nullable(),
    uptime_seconds: z.number().describe('Since its process started; of one that has ended, how long it ran.'),
    health_status: z.enum(HEALTH_STATES),
    doing: z
      .string()
      .nullable()
      .describe('What its last line says that it does. Text of the agent: untrusted.'),
    num_turns: amount.describe('Of its session, as far as results say.'),
    cost_usd: z
      .number()
      .describe('Of its session so far: what results say, and an estimate of what came after the last one.'),
    cost_estimated: z.boolean().describe('A part of it is an estimate.'),
  })
  .meta({ id: 'MonitoredAgent' })
export type MonitoredAgent = Readonly<z.infer<typeof monitoredAgentSchema>>

export const monitorAnswerSchema = recorded(
  z.object({
    success: z.literal(true),
    agents_checked: amount,
    agents_healthy: amount,
    agents_stalled: amount,
    agents_dead: amount,
    agents: listOf(monitoredAgentSchema),
    timestamp: time,
  }),
).meta({ id: 'Monitor' })
/** `GET /api/v1/monitor` */
export type MonitorAnswer = Readonly<z.infer<typeof monitorAnswerSchema>>

/** Agents that somebody should look at. */
export function needsAttention({ agents_stalled, agents_dead }: MonitorAnswer): boolean {
  return agents_stalled + agents_dead > 0
}

/** The answer of `GET /monitor` about these agents. */
export function monitorAnswer(agents: readonly MonitoredAgent[], at: Date): MonitorAnswer {
  const of = (health: MonitoredAgent['health_status']): number =>
    agents.filter((agent) => agent.health_status === health).length
  return {
    success: true,
    agents_checked: agents.length,
    agents_healthy: of('healthy'),
    agents_stalled: of('stalled'),
    agents_dead: of('dead'),
    agents,
    timestamp: at.toISOString(),
  }
}
