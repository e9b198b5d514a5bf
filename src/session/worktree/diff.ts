/** What a worktree has changed. */
import { withCheckoutGit } from './checkout-git.ts'
import { isThere, tipOf } from './checkout.ts'
import type { Git, GitAnswer } from './git.ts'
import { refOf, type WorktreeRecord } from './record.ts'
import { withSnapshot } from './snapshot.ts'

/** The diff against the commit that it began from, with what is not committed and with new files. Changes nothing. */
export async function diffOf(
  git: Git,
  commonDir: string,
  record: Pick<WorktreeRecord, 'path' | 'branch' | 'base_commit'>,
): Promise<GitAnswer> {
  const { path, branch, base_commit: base } = record
  const between = (end: string) =>
    ['diff', '--no-color', '--binary', '--ignore-submodules=dirty', base, end, '--'] as const
  if (await isThere(path)) {
    return await withSnapshot(git, { commonDir, path, isKept: false }, (tree, checkout) =>
      checkout(between(tree)),
    )
  }
  const tip = (await tipOf(git, commonDir, branch)) ?? refOf(branch)
  return await withCheckoutGit(git, { commonDir, path: null }, (objects) => objects(between(tip)))
}
