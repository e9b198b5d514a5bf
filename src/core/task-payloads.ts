/** What is said of tasks, of places in the roadmap and of worktrees: payloads of Drover's own events, as schemas. */
import { z } from 'zod'
import { actorSchema } from './event-schema.ts'
import { redactedSchema } from './redacted.ts'
import { templateVarsSchema } from './request.ts'
import { listOf } from './schema.ts'
import { END_STATES } from './state.ts'

/** `drover.task.pending`: a task was added, or is to run again, or got more to wait for: `run` counts on then. */
export const taskPendingSchema = z
  .object({
    task_id: z.string(),
    agent_type: z.string(),
    prompt: z.string(),
    priority: z.number(),
    priority_number: z.number().nullable(),
    workspace_dir: z.string(),
    worktree: z
      .boolean()
      .nullable()
      .exactOptional()
      .describe(
        'Its session works in a git worktree, or does not; where it is missing or null the agent type decides.',
      ),
    depends_on: listOf(z.string()),
    template: z
      .string()
      .exactOptional()
      .describe("Of a template's prompt: its name, and what it was rendered with."),
    vars: templateVarsSchema.exactOptional(),
    redacted: redactedSchema.exactOptional(),
    created_by: z
      .string()
      .exactOptional()
      .describe('The session whose agent added it: the parent of its sessions.'),
    run: z.number().describe('The session of each run has an id of its own.'),
    added_dependencies: listOf(z.string())
      .exactOptional()
      .describe(
        'Those of depends_on that are new, where that is why there is another run: the run before never began.',
      ),
    actor: actorSchema,
  })
  .meta({ id: 'TaskPending' })
export type TaskPending = Readonly<z.infer<typeof taskPendingSchema>>

/** `drover.task.spawned`: the task's session was accepted. */
export const taskSpawnedSchema = z
  .object({
    task_id: z.string(),
    session_id: z.string(),
  })
  .meta({ id: 'TaskSpawned' })
export type TaskSpawned = Readonly<z.infer<typeof taskSpawnedSchema>>

/** `drover.task.blocked`: a task that it depends on has failed or was cancelled. */
export const taskBlockedSchema = z
  .object({
    task_id: z.string(),
    blocked_by: listOf(z.string()),
  })
  .meta({ id: 'TaskBlocked' })
export type TaskBlocked = Readonly<z.infer<typeof taskBlockedSchema>>

/** `drover.task.ended`: with its session, or before it had one. */
export const taskEndedSchema = z
  .object({
    task_id: z.string(),
    status: z.enum(END_STATES),
    error_message: z.string().nullable(),
    run: z.number().exactOptional().describe('Only that run, where no session says which it is.'),
    actor: actorSchema.exactOptional(),
  })
  .meta({ id: 'TaskEnded' })
export type TaskEnded = Readonly<z.infer<typeof taskEndedSchema>>

/** `drover.roadmap.priority`: what a place in the roadmap is called. */
export const roadmapPrioritySchema = z
  .object({
    task_id: z.string().describe("Its place among the events of tasks: #31, which is no task's id."),
    priority_number: z.number(),
    title: z.string(),
    status: z.string().nullable().describe('null: planned, or as its tasks say.'),
    actor: actorSchema,
  })
  .meta({ id: 'RoadmapPriority' })
export type RoadmapPriority = Readonly<z.infer<typeof roadmapPrioritySchema>>

/** `drover.worktree.merged`, `drover.worktree.removed`: somebody asked for it. What a session's end removes is no event. */
export const worktreeChangedSchema = z
  .object({
    session_id: z.string().describe('Whose worktree it was.'),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    branch: z.string(),
    base_branch: z.string(),
    commit: z.string().exactOptional().describe('Of a merge: where the base branch is now.'),
    force: z.boolean().exactOptional().describe('Of a removal: also what was in it.'),
    reason: z.string().describe('In words, for actions.'),
    actor: actorSchema,
  })
  .meta({ id: 'WorktreeChanged' })
export type WorktreeChanged = Readonly<z.infer<typeof worktreeChangedSchema>>
