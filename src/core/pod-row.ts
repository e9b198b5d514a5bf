/** A pod, as it says of itself. */
import { z } from 'zod'
import { amount, listOf, time } from './schema.ts'

/**
 * `ready`: claims. All others claim nothing: `starting`, `draining` (told to stop), `no_room` (CPU, memory, disk, sessions),
 * `no_guard` (its guard died, another one is being started), `waiting_redis` (Redis is away or refuses).
 */
export const POD_STATES = ['starting', 'ready', 'draining', 'no_room', 'no_guard', 'waiting_redis'] as const
export type PodState = (typeof POD_STATES)[number]

/** A pod as `GET /api/v1/pods` shows it. Times are UTC; `beat_at` is by Redis' clock. */
export const podRowSchema = z
  .object({
    pod_id: z.string(),
    state: z.enum(POD_STATES),
    why: z.string().nullable().describe('Why it claims nothing; null where it does.'),
    host: z.string(),
    pid: z.int(),
    version: z.string(),
    agent_types: listOf(z.string()),
    tier: z
      .string()
      .nullable()
      .describe('How its guard keeps agents from leaving processes behind; null while it is not known.'),
    max_sessions: z.int().nullable().describe('Sessions at once; null: no limit.'),
    running: amount.describe('Sessions claimed at this moment.'),
    free_cpu_percent: z
      .number()
      .nullable()
      .describe(
        'Over the last seconds, within its cgroup; null where it does not look (all checks are off).',
      ),
    free_memory_mb: z.number().nullable().describe('Likewise, at its last look.'),
    started_at: time,
    beat_at: time,
  })
  .meta({ id: 'Pod' })
export type PodRow = Readonly<z.infer<typeof podRowSchema>>
