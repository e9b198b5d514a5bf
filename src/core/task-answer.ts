/** What is answered to somebody who changes a task or looks at how tasks wait for one another. */
import { z } from 'zod'
import { durabilitySchema } from './answer.ts'
import { amount, listOf, time } from './schema.ts'
import { TASK_STATES } from './state.ts'

const ids = listOf(z.string())
const changed = {
  success: z.literal(true),
  task_id: z.string(),
  status: z.enum(TASK_STATES),
  durability: durabilitySchema,
  dependents: ids.describe('Tasks that name this one in their depends_on.'),
  message: z.string(),
}

/** `POST /tasks/:id/cancel` */
export const cancelTaskAnswerSchema = z
  .object({
    ...changed,
    action: z.literal('cancel'),
    session_id: z.string().nullable().describe('The session that was ended; null where the task had none.'),
    agent_id: z.string().nullable(),
    cancelled_at: time.nullable().describe('null while the ledger is behind.'),
  })
  .meta({ id: 'CancelledTask' })
export type CancelTaskAnswer = Readonly<z.infer<typeof cancelTaskAnswerSchema>>

/** `POST /tasks/:id/retry` */
export const retryTaskAnswerSchema = z
  .object({
    ...changed,
    action: z.literal('retry'),
    run: amount.describe('As in the task; 1 for the first retry.'),
    waiting_for: ids.describe('Those of its dependencies that are not completed.'),
  })
  .meta({ id: 'RetriedTask' })
export type RetryTaskAnswer = Readonly<z.infer<typeof retryTaskAnswerSchema>>

/** `POST /tasks/:id/dependencies` */
export const dependenciesAnswerSchema = z
  .object({
    ...changed,
    action: z.literal('depend'),
    added: ids.describe('Those that are new.'),
    depends_on: ids,
    waiting_for: ids,
  })
  .meta({ id: 'TaskDependencies' })
export type DependenciesAnswer = Readonly<z.infer<typeof dependenciesAnswerSchema>>

const graphNodeSchema = z.object({
  task_id: z.string(),
  agent_type: z.string(),
  status: z.enum(TASK_STATES),
  priority_number: z.int().nullable(),
  level: amount.describe(
    '0 where nothing in the graph comes before it, else one more than the highest before it.',
  ),
})

/** `GET /task-graph` */
export const taskGraphSchema = z
  .object({
    success: z.literal(true),
    nodes: listOf(graphNodeSchema).describe('By level, then by age.'),
    edges: listOf(z.object({ from: z.string(), to: z.string() })).describe(
      '`to` waits for `from`; both are among the nodes.',
    ),
    omitted: amount.describe('Tasks that there are beside these, where there are too many: the oldest.'),
  })
  .meta({ id: 'TaskGraph' })
export type TaskGraph = Readonly<z.infer<typeof taskGraphSchema>>
