/** What a worktree has changed. */
import { isThere } from './checkout.ts'
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
  const args = ['diff', '--no-ext-diff', '--no-textconv', '--no-color', '--binary', base]
  if (!(await isThere(path))) return await git(commonDir, [...args, refOf(branch), '--'])
  return await withSnapshot(git, { commonDir, path, keep: false }, (tree, apart) =>
    apart(path, [...args, tree, '--']),
  )
}
