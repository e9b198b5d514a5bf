/** Where a session's agents work: in the directory that was asked for, or in a worktree of its repository. */
import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError } from '../core/errors.ts'
import type { SessionRecord } from '../queue/session-store.ts'
import type { Worktrees } from '../session/worktree/worktrees.ts'
import { isInside } from '../session/workspace.ts'
import { ownerOf, type Preflight } from './preflight.ts'

export interface Workplace {
  readonly cwd: string
  readonly workspaceId: string
  readonly worktree: { readonly path: string; readonly branch: string } | null
}

/**
 * Makes the session's worktree where it needs one and has none. Only with the session's lease.
 *
 * @throws DroverError `invalid_request` with a sentence: no worktree can be made here
 */
export async function openWorkplace(
  worktrees: Worktrees,
  record: SessionRecord,
  { dir, workspaceId, repository }: Extract<Preflight, { readonly ok: true }>,
): Promise<Workplace> {
  if (repository === null) return { cwd: dir, workspaceId: workspaceId ?? '', worktree: null }
  const { path, branch, workspace_id } = await worktrees.open(repository, ownerOf(record))
  const cwd = join(path, repository.prefix)
  // A directory that no commit has yet, or that an agent has put a link in the place of.
  const real = await mkdir(cwd, { recursive: true })
    .then(() => realpath(cwd))
    .catch(() => null)
  if (real === null || !isInside(real, await realpath(path))) {
    throw new DroverError(
      'invalid_request',
      `The directory ${repository.prefix} of the worktree ${path} is none, or leads out of it.`,
    )
  }
  return { cwd: real, workspaceId: workspace_id, worktree: { path, branch } }
}
