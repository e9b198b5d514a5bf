/** Worktrees of sessions as lists show them, and what is done with them. */
import { z } from 'zod'
import { recorded } from './documents.ts'
import { amount, listOf, time } from './schema.ts'
import { SESSION_STATES } from './state.ts'

/**
 * `active`: its session has not ended. `kept`: it has, and there is work in it. `elsewhere`: it is on another machine
 * than the board, which does not see what is in it, nor whether it is still there.
 */
export const WORKTREE_STATES = ['active', 'kept', 'elsewhere'] as const

export const worktreeViewSchema = z
  .object({
    session_id: z
      .string()
      .describe('Whose work it is: of several runs of a task or restarts by hand, the last.'),
    agent_type: z.string(),
    task_id: z.string().nullable(),
    session_status: z.enum(SESSION_STATES).nullable(),
    state: z.enum(WORKTREE_STATES),
    branch: z.string(),
    base_branch: z.string().nullable().describe('The branch that it began from; null of one elsewhere.'),
    base_commit: z.string().nullable(),
    path: z.string(),
    workspace_dir: z.string().nullable().describe('The directory that the session was given.'),
    pod_id: z.string().nullable(),
    host: z.string().nullable().describe('The machine that has it.'),
    changed: amount.nullable().describe('Files with changes that are not committed; null of one elsewhere.'),
    changed_files: listOf(z.string()).describe('The first 100 of them.'),
    ahead: amount.nullable().describe('Commits that its base has not; null of one elsewhere.'),
    created_at: time,
  })
  .meta({ id: 'Worktree' })
export type WorktreeView = Readonly<z.infer<typeof worktreeViewSchema>>

/** `GET /worktrees` */
export const worktreesDocumentSchema = z.object({
  success: z.literal(true),
  worktrees: listOf(worktreeViewSchema),
})
export type WorktreesDocument = Readonly<z.infer<typeof worktreesDocumentSchema>>

/** `GET /worktrees/:id/diff` */
export const worktreeDiffSchema = recorded(
  z.object({
    success: z.literal(true),
    worktree: worktreeViewSchema,
    diff: z.string().describe('Against the commit that it began from, new files included. Untrusted.'),
    cut: z.boolean().describe('It was longer than 16 MB: the rest is missing.'),
  }),
).meta({ id: 'WorktreeDiff' })
export type WorktreeDiff = Readonly<z.infer<typeof worktreeDiffSchema>>

/** `POST /worktrees/:id/merge` */
export const worktreeMergeSchema = z
  .object({
    success: z.literal(true),
    action: z.literal('merge_worktree'),
    session_id: z.string(),
    task_id: z.string().nullable(),
    branch: z.string(),
    base_branch: z.string(),
    commit: z.string().describe('Where the base branch is now.'),
    merged: z.boolean().describe('False where it had all of it already.'),
    committed_files: amount.describe('Files whose changes were committed for it.'),
    message: z.string(),
  })
  .meta({ id: 'WorktreeMerge' })
export type WorktreeMerge = Readonly<z.infer<typeof worktreeMergeSchema>>

/** The body of `POST /worktrees/clean`. */
export const cleanWorktreesBodySchema = z.strictObject({
  id: z.string().nullish().describe('Only this one: the id of its session or its task.'),
  force: z.boolean().nullish().describe('With an id: also where there is work in it, which is lost.'),
})
export type CleanWorktreesBody = z.infer<typeof cleanWorktreesBodySchema>

/** `POST /worktrees/clean` */
export const worktreesCleanedSchema = z
  .object({
    success: z.literal(true),
    action: z.literal('clean_worktrees'),
    removed: listOf(worktreeViewSchema),
    kept: listOf(worktreeViewSchema).describe('Ended, with work in them.'),
  })
  .meta({ id: 'WorktreesCleaned' })
export type WorktreesCleaned = Readonly<z.infer<typeof worktreesCleanedSchema>>
