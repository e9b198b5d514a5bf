/** An agent (a process of a session) as lists and pages show it: a row of `agent_lifecycle`. */
import { z } from 'zod'
import { amount, time } from './schema.ts'
import { AGENT_STATES } from './state.ts'

export const agentViewSchema = z
  .object({
    agent_id: z.string(),
    agent_type: z.string(),
    status: z.enum(AGENT_STATES),
    session_id: z.string(),
    task_id: z.string().nullable(),
    pid: z.int().nullable(),
    pod_id: z.string().nullable(),
    epoch: z.int(),
    command: z.string().nullable().describe('argv as JSON: never the prompt, never a secret.'),
    tier: z.string().nullable().describe('How its processes were held together.'),
    host: z.string().nullable().describe('The machine that it ran on.'),
    worktree_path: z.string().nullable(),
    worktree_branch: z.string().nullable(),
    retry_count: amount,
    created_at: time,
    spawned_at: time,
    started_at: time.nullable(),
    completed_at: time.nullable(),
    last_heartbeat: time
      .nullable()
      .describe('The last change of health that was recorded; the beats themselves are in Redis.'),
    exit_code: z.int().nullable(),
    exit_signal: z.string().nullable(),
    error_message: z.string().nullable(),
    tail_unknown: z.boolean().describe('Its pod never came back: lines of it may be missing.'),
  })
  .meta({ id: 'Agent' })
export type AgentView = Readonly<z.infer<typeof agentViewSchema>>
