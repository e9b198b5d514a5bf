/** All that is in a checkout, committed or not, as one tree: without touching the checkout, its index or its branch. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Git } from './git.ts'

/**
 * Does `work` with the tree of everything in the checkout that git does not ignore.
 *
 * @param keep the tree stays in the repository, for a commit to be made of it; else it is gone afterwards
 */
export async function withSnapshot<T>(
  git: Git,
  { commonDir, path, keep }: { readonly commonDir: string; readonly path: string; readonly keep: boolean },
  work: (tree: string, git: Git) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'drover-snapshot-'))
  const apart = keep
    ? {}
    : {
        GIT_OBJECT_DIRECTORY: join(dir, 'objects'),
        GIT_ALTERNATE_OBJECT_DIRECTORIES: join(commonDir, 'objects'),
      }
  const apartGit: Git = (at, args, allow, env) =>
    git(at, args, allow, { GIT_INDEX_FILE: join(dir, 'index'), ...apart, ...env })
  try {
    await mkdir(join(dir, 'objects'))
    await apartGit(path, ['read-tree', 'HEAD'])
    await apartGit(path, ['add', '--all', '--', '.'])
    const tree = await apartGit(path, ['write-tree'])
    return await work(tree.stdout.trim(), apartGit)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
