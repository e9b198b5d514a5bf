/** A task as lists and pages show it: a row of `orchestrator_task`, with its dependencies. */
import { z } from 'zod'
import { durabilitySchema } from './answer.ts'
import { redactedSchema } from './redacted.ts'
import { templateVarsSchema } from './request.ts'
import { amount, listOf, time } from './schema.ts'
import { TASK_STATES } from './state.ts'

export const taskViewSchema = z
  .object({
    task_id: z.string(),
    agent_type: z.string(),
    prompt: z.string().describe('In lists cut where it is long.'),
    status: z.enum(TASK_STATES),
    priority: z.int(),
    priority_number: z.int().nullable(),
    assigned_agent: z.string().nullable().describe('The agent that runs or ran it.'),
    workspace_dir: z.string().nullable(),
    worktree: z
      .boolean()
      .nullable()
      .describe(
        'Its session works in a git worktree of its own, or does not; null: as the agent type has it.',
      ),
    created_at: time,
    spawned_at: time.nullable(),
    started_at: time.nullable(),
    completed_at: time.nullable(),
    error_message: z.string().nullable(),
    run: amount.describe(
      '0 for the first run; each retry counts one, and so does each time it got more to wait for.',
    ),
    session_id: z.string().nullable().describe('The session of the current run.'),
    created_by: z
      .string()
      .nullable()
      .describe('The session whose agent added it: the parent of its sessions.'),
    depends_on: listOf(z.string()),
    waiting_for: listOf(z.string()).describe('Those of depends_on that are not completed.'),
    template: z.string().nullable().describe('That its prompt was made of; null where the prompt was given.'),
    vars: templateVarsSchema.readonly().nullable().describe('What the template was rendered with.'),
    redacted: redactedSchema
      .nullable()
      .describe('Prompt or variables are shown without secrets that they have; null: as they were given.'),
  })
  .meta({ id: 'Task' })
export type TaskView = Readonly<z.infer<typeof taskViewSchema>>

/** `GET /tasks/:id` */
export const taskDocumentSchema = z.object({
  success: z.literal(true),
  task: taskViewSchema,
  dependents: listOf(z.string()).describe('Tasks that wait for this one.'),
})

/** `POST /tasks` */
export const addedTasksSchema = z
  .object({
    success: z.literal(true),
    durability: durabilitySchema,
    added: amount.describe('How many were new; a task that was there already, just so, is left as it is.'),
    tasks: listOf(taskViewSchema).describe(
      'In the order of the request; those that the ledger does not have yet are missing.',
    ),
  })
  .meta({ id: 'AddedTasks' })
export type AddedTasks = Readonly<z.infer<typeof addedTasksSchema>>
