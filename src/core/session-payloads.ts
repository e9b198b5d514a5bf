/** What is said of sessions: payloads of Drover's own events, as schemas. */
import { z } from 'zod'
import { actorSchema, usageSchema } from './event-schema.ts'
import { redactedSchema } from './redacted.ts'
import { spawnRequestSchema } from './request.ts'
import { listOf, time } from './schema.ts'
import { END_STATES, FAILURE_REASONS } from './state.ts'

/** `drover.session.accepted`: the whole request, so that the session can be made again from the ledger. */
export const sessionAcceptedSchema = z
  .object({
    request: spawnRequestSchema,
    digest: z
      .string()
      .describe('Digest of the request; a repeat of the idempotency key with another one is a conflict.'),
    idempotency_key: z.string().nullable(),
    created_by: z.string().nullable(),
    restart_of: z.string().nullable(),
    actor: actorSchema,
    awaited: z.boolean().exactOptional().describe('Whoever asked waits for its start or its end.'),
    timeout_seconds: z
      .number()
      .exactOptional()
      .describe("The session's whole life: the request's, else the agent type's at that moment."),
    redacted: redactedSchema
      .exactOptional()
      .describe('The request is recorded without secrets that it has; the agent gets it with them.'),
  })
  .meta({ id: 'SessionAccepted' })
export type SessionAccepted = Readonly<z.infer<typeof sessionAcceptedSchema>>

/** `drover.session.claimed`: a pod took the job. */
export const sessionClaimedSchema = z
  .object({
    pod_id: z.string(),
    waiting_workspace: z
      .object({
        workspace_id: z.string().nullable().describe('null: it has not begun anywhere.'),
        last_pod_id: z.string().nullable().describe('The pod of its last agent.'),
        message: z.string(),
      })
      .exactOptional()
      .describe('It cannot run on that pod: its workspace is not there. It waits for a pod that has it.'),
  })
  .meta({ id: 'SessionClaimed' })
export type SessionClaimed = Readonly<z.infer<typeof sessionClaimedSchema>>

/** `drover.session.restarting`: an agent ended, the next one starts at `not_before`. */
export const sessionRestartingSchema = z
  .object({
    reason: z
      .enum([...FAILURE_REASONS, 'message'])
      .describe('message: nothing had failed; a message came when the agent had ended.'),
    message: z.string(),
    restarts: z.number().describe('Restarts so far, this one included.'),
    backoff_ms: z.number(),
    not_before: time,
    actor: actorSchema.exactOptional().describe('Somebody asked for it: the counters begin again.'),
  })
  .meta({ id: 'SessionRestarting' })
export type SessionRestarting = Readonly<z.infer<typeof sessionRestartingSchema>>

/** `drover.session.paused_limit`: a usage limit was reached; it goes on after its reset. */
export const sessionPausedSchema = z
  .object({
    until: time,
    message: z.string(),
    paused_ms: z.number().describe('All pauses so far: its timeout does not count them.'),
  })
  .meta({ id: 'SessionPaused' })

/** `drover.session.cancel_requested`: somebody wants the session to end. */
export const sessionCancelRequestedSchema = z
  .object({
    actor: actorSchema,
    reason: z.string(),
    grace_seconds: z.number().nullable().describe('null: as the pod is configured.'),
    force: z.boolean(),
  })
  .meta({ id: 'SessionCancelRequested' })
export type SessionCancelRequested = Readonly<z.infer<typeof sessionCancelRequestedSchema>>

/** `drover.session.waiting_input`: a person is waited for, until then. */
export const sessionWaitingInputSchema = z
  .object({
    reason: z
      .enum(['permission', 'interrupted'])
      .describe(
        'permission: the agent asks for a tool call. interrupted: its turn was stopped, and a message is to follow.',
      ),
    until: time.describe('Then the answer is a denial; or the session ends.'),
    request_id: z.string().exactOptional().describe('The question; only of permission.'),
    tool_name: z.string().exactOptional(),
    tool_use_id: z.string().nullable().exactOptional(),
    input: z
      .unknown()
      .exactOptional()
      .describe('As the agent printed it, without secrets; {cut: …} where it is long.'),
    description: z.string().nullable().exactOptional(),
  })
  .meta({ id: 'SessionWaitingInput' })
export type SessionWaitingInput = Readonly<z.infer<typeof sessionWaitingInputSchema>>

/** `drover.session.resumed`: nobody is waited for any more. */
export const sessionResumedSchema = z
  .object({
    waited_ms: z
      .number()
      .describe(
        'All that the session has waited for people so far: its timeout does not count it. In milliseconds.',
      ),
  })
  .meta({ id: 'SessionResumed' })
export type SessionResumed = Readonly<z.infer<typeof sessionResumedSchema>>

/** `drover.session.interrupt_requested`: somebody wants the running turn to stop. */
export const sessionInterruptRequestedSchema = z
  .object({
    request_id: z.string(),
    actor: actorSchema,
  })
  .meta({ id: 'SessionInterruptRequested' })
export type SessionInterruptRequested = Readonly<z.infer<typeof sessionInterruptRequestedSchema>>

/** `drover.session.ended`: the completed answer of CONTRACT §3, in ledger units. */
export const sessionEndedSchema = z
  .object({
    status: z.enum(END_STATES),
    failure_reason: z.enum(FAILURE_REASONS).nullable(),
    message: z.string().nullable(),
    output: z.string().nullable().describe("The agent's final text, cut at OUTPUT_LIMIT characters."),
    cost_micros: z
      .number()
      .describe(
        'What the results of its agents cost. An estimate for an agent that ended without one is made in the ledger only.',
      ),
    usage: usageSchema.describe('Of its results, too.'),
    num_turns: z.number(),
    duration_ms: z.number().describe("From the first agent's start to the end."),
    restarts: z.number(),
    permission_denials: listOf(z.unknown()),
    actor: actorSchema.exactOptional(),
  })
  .meta({ id: 'SessionEnded' })
export type SessionEnded = Readonly<z.infer<typeof sessionEndedSchema>>
