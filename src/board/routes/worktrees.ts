/** `/api/v1/worktrees`: what sessions have left in worktrees. */
import { z } from 'zod'
import { recorded } from '../../core/documents.ts'
import {
  cleanWorktreesBodySchema,
  worktreeDiffSchema,
  worktreeMergeSchema,
  worktreesCleanedSchema,
  worktreesDocumentSchema,
} from '../../core/worktree-view.ts'
import { actorOf } from '../principal.ts'
import type { WorktreeBoard } from '../worktrees.ts'
import type { BoardApp } from '../zod-routes.ts'

export interface WorktreeRoutesParts {
  readonly worktrees: WorktreeBoard
}

const tags = ['Worktrees']
const params = z.object({ id: z.string().describe('Of a session, or of a task.') })

/** Declares them. */
export function worktreeRoutes(app: BoardApp, { worktrees }: WorktreeRoutesParts): void {
  app.get(
    '/api/v1/worktrees',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Worktrees that are there: whose, where, and what is in them',
        response: { 200: recorded(worktreesDocumentSchema) },
      },
    },
    async () => worktrees.list(),
  )

  app.get(
    '/api/v1/worktrees/:id/diff',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'What a worktree has changed',
        params,
        response: { 200: worktreeDiffSchema },
      },
    },
    async (request) => worktrees.diff(request.params.id),
  )

  app.post(
    '/api/v1/worktrees/:id/merge',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary: 'Merge a worktree into the branch that it began from; a conflict changes nothing',
        params,
        body: z.strictObject({}),
        response: { 200: worktreeMergeSchema },
      },
    },
    async (request) => worktrees.merge(request.params.id, actorOf(request)),
  )

  app.post(
    '/api/v1/worktrees/clean',
    {
      config: { scope: 'control' },
      schema: {
        tags,
        summary:
          'Remove worktrees of ended sessions without work in them; or one, with force whatever is in it',
        body: cleanWorktreesBodySchema,
        response: { 200: worktreesCleanedSchema },
      },
    },
    async (request) => worktrees.clean(request.body, actorOf(request)),
  )
}
