/** What Drover answers (CONTRACT §3), as schemas and types; shared by producer, board, client and command line. */
import { z } from 'zod'
import { usageSchema } from './event-schema.ts'
import { ERROR_CODES } from './errors.ts'
import { amount, listOf, time } from './schema.ts'
import { END_STATES, FAILURE_REASONS, SESSION_STATES } from './state.ts'

export const DURABILITIES = ['ledger', 'redis'] as const
/** Of an answer that was accepted: recorded for good, or on the durable stream alone. */
export const durabilitySchema = z
  .enum(DURABILITIES)
  .describe('ledger: recorded for good. redis: on the durable stream, not yet seen in the ledger.')

/** `wait: "accepted"` */
export const acceptedAnswerSchema = z
  .object({
    success: z.literal(true),
    session_id: z.uuid(),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    status: z.enum(SESSION_STATES),
    durability: durabilitySchema,
    queue_position: amount.describe(
      '1 = next of its type; 0 = not waiting in the queue (it runs, or waits for tasks).',
    ),
    waiting_for: listOf(z.string()).describe('Tasks that are not completed yet.'),
    created_at: time,
    timeout_seconds: z.number(),
    repeated: z.boolean().describe('The same key or task had been accepted before.'),
  })
  .meta({ id: 'AcceptedAnswer' })
export type AcceptedAnswer = Readonly<z.infer<typeof acceptedAnswerSchema>>

/** `wait: "started"` */
export const startedAnswerSchema = z
  .object({
    success: z.literal(true),
    agent_id: z.string(),
    session_id: z.uuid(),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    status: z.enum(SESSION_STATES),
    pid: z.int().nullable(),
    created_at: time,
    started_at: time,
    expected_completion: time,
    timeout_seconds: z.number(),
  })
  .meta({ id: 'StartedAnswer' })
export type StartedAnswer = Readonly<z.infer<typeof startedAnswerSchema>>

/** `wait: "completed"`, for success and failure alike. */
export const completedAnswerSchema = z
  .object({
    success: z.boolean(),
    agent_id: z.string().nullable(),
    session_id: z.uuid(),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    status: z.enum(END_STATES),
    pid: z.int().nullable(),
    created_at: time,
    started_at: time.nullable(),
    expected_completion: time.nullable(),
    timeout_seconds: z.number(),
    completed_at: time,
    output: z.string().nullable().describe("The agent's final text. Untrusted."),
    cost: z
      .number()
      .describe(
        'USD. Without the ledger (createProducer) that of results alone: what a killed agent used is not in it.',
      ),
    cost_estimated: z
      .boolean()
      .exactOptional()
      .describe(
        "A part of cost and usage is an estimate, for an agent that ended without a result. Only of the ledger's answers.",
      ),
    usage: usageSchema,
    num_turns: amount,
    duration_ms: z.number(),
    restarts: amount,
    permission_denials: listOf(z.unknown()),
    error: z.literal('session_failed').exactOptional().describe('Only where success is false.'),
    failure_reason: z.enum(FAILURE_REASONS).exactOptional(),
    message: z.string().exactOptional(),
  })
  .meta({ id: 'CompletedAnswer' })
export type CompletedAnswer = Readonly<z.infer<typeof completedAnswerSchema>>

/** What `POST /sessions` answers, as it was waited for. */
export const spawnAnswerSchema = z
  .union([acceptedAnswerSchema, startedAnswerSchema, completedAnswerSchema])
  .meta({ id: 'SpawnAnswer' })
export type SpawnAnswer = AcceptedAnswer | StartedAnswer | CompletedAnswer

/** `POST /sessions/:id/kill` */
export const killAnswerSchema = z
  .object({
    success: z.literal(true),
    agent_id: z.string().nullable().describe('null: no agent of the session ever ran.'),
    session_id: z.uuid(),
    action: z.enum(['graceful_kill', 'force_kill']),
    pid: z.int().nullable().describe('null where no process lived; kill_signal likewise.'),
    kill_signal: z
      .enum(['SIGTERM', 'SIGKILL'])
      .nullable()
      .describe('What ended it: SIGKILL also where the grace was not enough.'),
    task_id: z.string().nullable(),
    killed_at: time,
    grace_period_seconds: z.number(),
    killed_gracefully: z.boolean().describe('It was gone before the grace was over, or there was none.'),
    processes_killed: amount,
  })
  .meta({ id: 'KillAnswer' })
export type KillAnswer = Readonly<z.infer<typeof killAnswerSchema>>

/** One of several that could not be done, and why. */
export const notDoneSchema = z
  .object({
    session_id: z.uuid(),
    agent_id: z.string().nullable(),
    agent_type: z.string(),
    error: z.enum(ERROR_CODES),
    message: z.string(),
  })
  .meta({ id: 'NotDone' })
export type NotDone = Readonly<z.infer<typeof notDoneSchema>>

/** `POST /agents/kill-stalled` */
export const killStalledAnswerSchema = z
  .object({
    success: z.boolean().describe('False where one of them could not be killed.'),
    action: z.literal('kill_stalled'),
    agents_killed: amount,
    killed_agents: listOf(killAnswerSchema),
    not_killed: listOf(notDoneSchema),
    timestamp: time,
  })
  .meta({ id: 'KillStalledAnswer' })
export type KillStalledAnswer = Readonly<z.infer<typeof killStalledAnswerSchema>>

/** `POST /sessions/:id/restart` */
export const restartAnswerSchema = z
  .object({
    success: z.literal(true),
    action: z.literal('restart'),
    old_agent_id: z
      .string()
      .nullable()
      .describe('The agent that the next one goes on from; null where none ever ran.'),
    session_id: z.uuid().describe('The session that goes on: a new one where the old one had ended.'),
    restart_of: z.uuid().nullable().describe('The ended session; null where the session itself goes on.'),
    task_id: z.string().nullable(),
    retry_count: amount.describe(
      'Restarts that count so far: a restart by hand begins anew; of an ended session, those that led to this one.',
    ),
    backoff_seconds: z.number(),
    max_retries: amount,
    message: z.string(),
    new_agent_id: z.string().exactOptional().describe('Once it is known.'),
  })
  .meta({ id: 'RestartAnswer' })
export type RestartAnswer = Readonly<z.infer<typeof restartAnswerSchema>>

/** `POST /sessions/restart-failed` */
export const restartFailedAnswerSchema = z
  .object({
    success: z.literal(true),
    action: z.literal('restart_all_failed'),
    agents_restarted: amount,
    restarted: listOf(restartAnswerSchema),
    skipped: listOf(notDoneSchema).describe(
      'Failed sessions that are left as they are: non_retryable_error, max_retries_exceeded …',
    ),
    timestamp: time,
  })
  .meta({ id: 'RestartFailedAnswer' })
export type RestartFailedAnswer = Readonly<z.infer<typeof restartFailedAnswerSchema>>
