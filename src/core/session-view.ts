/** A session as lists and pages show it: a row of `agent_sessions`, with what is shown beside it. */
import { z } from 'zod'
import { completedAnswerSchema } from './answer.ts'
import { agentViewSchema } from './agent-view.ts'
import { costSumSchema } from './cost.ts'
import { usageSchema } from './event-schema.ts'
import { templateVarsSchema } from './request.ts'
import { followUpViewShape } from './follow-up-view.ts'
import { amount, listOf, time } from './schema.ts'
import { SESSION_STATES } from './state.ts'

export const sessionViewSchema = z
  .object({
    session_id: z.uuid(),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    task_description: z
      .string()
      .nullable()
      .describe("The prompt, cut where it is long; the whole of it is in the session's first event."),
    workspace_dir: z.string().nullable(),
    created_by: z.string().nullable().describe('The session whose agent asked for it.'),
    restart_of: z.string().nullable(),
    orchestrator_id: z.string().nullable(),
    status: z.enum(SESSION_STATES),
    created_at: time,
    started_at: time.nullable(),
    completed_at: time.nullable(),
    success: z.boolean().nullable(),
    result: z.string().nullable().describe("The agent's final text; in lists cut."),
    error_message: z.string().nullable(),
    failure_reason: z.string().nullable(),
    restarts: amount,
    estimated_cost_usd: z.number().describe('USD. Despite its name exact, unless cost_estimated.'),
    cost_estimated: z
      .boolean()
      .describe('A part of cost and tokens was estimated, because an agent ended without a result.'),
    ...usageSchema.shape,
    num_turns: amount,
    duration_ms: z.number().nullable(),
    incomplete: z
      .boolean()
      .describe(
        'Something of this session is known to be missing: lines, a readable event, or totals that do not agree.',
      ),
    pruned_at: time
      .nullable()
      .describe(
        "When retention took its raw lines away; its results, Drover's own events and the totals stay.",
      ),
    priority: z.int(),
    timeout_seconds: z.number().nullable(),
    agent_id: z.string().nullable().describe('The latest agent of the session, null before the first.'),
    pid: z.int().nullable(),
    pod_id: z.string().nullable(),
    waiting_for: listOf(z.string()).describe('While queued: the tasks it waits for.'),
    template: z.string().nullable().describe('That its prompt was made of; null where the prompt was given.'),
    vars: templateVarsSchema.readonly().nullable().describe('What the template was rendered with.'),
  })
  .meta({ id: 'Session' })
export type SessionView = Readonly<z.infer<typeof sessionViewSchema>>

/** A session beside another one of its tree. */
export const relatedSessionSchema = z
  .object({
    session_id: z.string(),
    agent_type: z.string(),
    status: z.enum(SESSION_STATES),
    created_by: z.string().nullable().describe('The session whose agent asked for it.'),
    restart_of: z.string().nullable(),
    parent_session_id: z
      .string()
      .nullable()
      .describe('restart_of, else created_by: where it stands in the tree.'),
    created_at: time,
    started_at: time.nullable(),
    completed_at: time.nullable(),
    duration_ms: z.number().nullable(),
    estimated_cost_usd: z.number(),
    cost_estimated: z.boolean(),
  })
  .meta({ id: 'RelatedSession' })
export type RelatedSession = Readonly<z.infer<typeof relatedSessionSchema>>

/** What came of a session, and the tree that it is a part of. */
export const sessionTreeSchema = z.object({
  children: listOf(relatedSessionSchema).describe(
    'Sessions that its agents asked for, and restarts of it: oldest first, at most 200.',
  ),
  tree: z
    .object({
      ...costSumSchema.shape,
      root_session_id: z.string().describe('May name a session that is not recorded.'),
      members: listOf(relatedSessionSchema).describe('Oldest first, at most 200.'),
    })
    .readonly()
    .describe('The whole tree, from its root: sessions, tokens and cost of all of it.'),
})
export type SessionTree = Readonly<z.infer<typeof sessionTreeSchema>>

/** What a session used a model for. */
export const modelCostSchema = z
  .object({
    model: z.string(),
    ...usageSchema.shape,
    web_search_requests: amount,
    cost_usd: z.number(),
    estimated: z.boolean().describe('A part of it was estimated.'),
  })
  .meta({ id: 'ModelCost' })
export type ModelCost = Readonly<z.infer<typeof modelCostSchema>>

/** Numbers that are missing: events of the session, or lines of one of its agents. */
export const gapViewSchema = z
  .object({
    agent_id: z.string().nullable().describe('null: seq of the session; else lines of this agent.'),
    first: z.int(),
    last: z.int(),
    reason: z.string().describe('not_on_stream, not_sent or cut_tail: docs/ledger.md'),
    noticed_at: time,
  })
  .meta({ id: 'Gap' })
export type GapView = Readonly<z.infer<typeof gapViewSchema>>

/** `GET /sessions/:id` */
export const sessionDocumentSchema = z.object({
  success: z.literal(true),
  session: sessionViewSchema,
  agents: listOf(agentViewSchema).describe('Its processes, oldest first.'),
  models: listOf(modelCostSchema).describe('What it used, by model.'),
  ...sessionTreeSchema.shape,
  ...followUpViewShape,
  gaps: listOf(gapViewSchema).describe('What is known to be missing of its events and lines.'),
  answer: completedAnswerSchema
    .nullable()
    .describe('What a caller that waited for the end was answered; null before it.'),
})
