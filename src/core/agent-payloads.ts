/** What is said of agents: payloads of Drover's own events, as schemas. */
import { z } from 'zod'
import { actorSchema } from './event-schema.ts'
import { listOf, time } from './schema.ts'
import { AGENT_STATES, FAILURE_REASONS } from './state.ts'

/** `drover.agent.interrupted`: the agent has confirmed it. */
export const agentInterruptedSchema = z
  .object({
    request_id: z.string(),
  })
  .meta({ id: 'AgentInterrupted' })
export type AgentInterrupted = Readonly<z.infer<typeof agentInterruptedSchema>>

/** `drover.agent.spawned`: an agent got its epoch; its process is about to be started. */
export const agentSpawnedSchema = z
  .object({
    pod_id: z.string(),
    command: listOf(z.string()).describe('argv as it is run: never the prompt, never a secret.'),
    cwd: z.string(),
    workspace_id: z
      .string()
      .exactOptional()
      .describe('Of the workspace cwd: the session goes on only where that is found.'),
    host: z.string().exactOptional().describe("The pod's machine."),
    worktree_path: z
      .string()
      .exactOptional()
      .describe('Of a session in a git worktree of its own: the checkout, and its branch.'),
    worktree_branch: z.string().exactOptional(),
    tier: z
      .string()
      .exactOptional()
      .describe('How its guard holds its processes together: a TierName of guard/tier.ts.'),
    model: z.string(),
    retry_count: z.number().describe('Restarts before this agent: 0 for the first.'),
    resumed: z.boolean(),
    prompt: z
      .string()
      .describe(
        "The prompt given to this agent, without secrets: the session's, or for a resume what happened.",
      ),
    prompt_redacted: z
      .literal(true)
      .exactOptional()
      .describe(
        'Only where it is so: Redis had lost the prompt as it was given, and the agent got this one.',
      ),
  })
  .meta({ id: 'AgentSpawned' })
export type AgentSpawned = Readonly<z.infer<typeof agentSpawnedSchema>>

/** `drover.agent.started`: the CLI confirmed its start (`system/init`). */
export const agentStartedSchema = z
  .object({
    pid: z.number(),
    startup_ms: z.number().describe('Milliseconds from process start (started_at) to confirmation.'),
    started_at: time,
    model: z.string().nullable(),
    claude_code_version: z.string().nullable(),
  })
  .meta({ id: 'AgentStarted' })
export type AgentStarted = Readonly<z.infer<typeof agentStartedSchema>>

/** `drover.agent.health`: a change of health, never a beat. */
export const agentHealthSchema = z
  .object({
    health_status: z.enum(['healthy', 'stalled', 'dead', 'completed', 'failed']),
    cpu_percent: z.number().nullable(),
    memory_mb: z.number().nullable(),
    message: z.string().exactOptional().describe('What else there is to say, for people.'),
  })
  .meta({ id: 'AgentHealth' })
export type AgentHealth = Readonly<z.infer<typeof agentHealthSchema>>

/** `drover.agent.stalled`: the agent lives, but does not move; it is ended. */
export const agentStalledSchema = z
  .object({
    reason: z.string(),
  })
  .meta({ id: 'AgentStalled' })
export type AgentStalled = Readonly<z.infer<typeof agentStalledSchema>>

/** `drover.agent.killed`: Drover ended the process, and why. */
export const agentKilledSchema = z
  .object({
    reason: z.string(),
    signal: z.enum(['SIGTERM', 'SIGKILL']),
    processes_killed: z.number(),
    grace_seconds: z
      .number()
      .exactOptional()
      .describe('Given between SIGTERM and SIGKILL; 0: SIGKILL at once.'),
    actor: actorSchema.exactOptional(),
  })
  .meta({ id: 'AgentKilled' })
export type AgentKilled = Readonly<z.infer<typeof agentKilledSchema>>

/** `drover.agent.exited`: the process is gone and its spool is drained. */
export const agentExitedSchema = z
  .object({
    status: z.enum(AGENT_STATES),
    pid: z.number().nullable(),
    exit_code: z.number().nullable(),
    exit_signal: z.string().nullable(),
    failure_reason: z.enum(FAILURE_REASONS).nullable(),
    message: z.string().nullable(),
    stderr_tail: z.string().describe('The last 64 KiB of stderr.'),
  })
  .meta({ id: 'AgentExited' })
export type AgentExited = Readonly<z.infer<typeof agentExitedSchema>>

/** `drover.agent.closed`: the last event of an agent; a cut tail shows against it. */
export const agentClosedSchema = z
  .object({
    lines: z.number(),
    bytes: z.number(),
    sha256: z
      .string()
      .nullable()
      .describe('SHA-256 of the spool; null when the tail is unknown because its pod never came back.'),
    lines_digest: z
      .string()
      .exactOptional()
      .describe('Of the lines as they were published (lines-digest.ts); none where nothing was read.'),
    tail_unknown: z.boolean(),
  })
  .meta({ id: 'AgentClosed' })
export type AgentClosed = Readonly<z.infer<typeof agentClosedSchema>>
