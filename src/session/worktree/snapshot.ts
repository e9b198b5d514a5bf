/** All that is in a checkout, committed or not, as one tree: without touching the checkout, its index or its branch. */
import { copyFile, lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError } from '../../core/errors.ts'
import { keep, withCheckoutGit, type CheckoutGit } from './checkout-git.ts'
import type { Git } from './git.ts'

/**
 * Does `work` with the tree of everything in the checkout that git does not ignore, as `git add --all` takes it. That
 * command looks into submodules; here they count with the commit that they are on.
 *
 * @param isKept the tree stays in the repository, for a commit to be made of it; else it is gone afterwards
 */
export async function withSnapshot<T>(
  git: Git,
  at: { readonly commonDir: string; readonly path: string; readonly isKept: boolean },
  work: (tree: string, checkout: CheckoutGit) => Promise<T>,
): Promise<T> {
  return await withCheckoutGit(git, at, async (checkout) => {
    const index = join(checkout.dir, 'index')
    const env = { GIT_INDEX_FILE: index, ...(at.isKept ? keep(at.commonDir) : {}) }
    const listed = async (args: readonly ['diff-files' | 'ls-files', ...string[]]): Promise<string> => {
      const { stdout, isCut } = await checkout(args, { env })
      if (isCut)
        throw new DroverError('invalid_request', `${at.path} has more changed files than can be listed.`)
      return stdout
    }
    const update = async (how: readonly string[], input: string): Promise<void> => {
      if (input !== '') await checkout(['update-index', ...how, '-z', '--stdin'], { env, input })
    }
    const hasIndex = await copyIndex(join(checkout.gitDir, 'index'), index).catch(() => false)
    if (!hasIndex && checkout.head !== null) await checkout(['read-tree', checkout.head], { env })
    const flags = ['--name-status', '--no-renames', '--ignore-submodules=dirty', '-z']
    const changed = byStatus(await listed(['diff-files', ...flags]))
    const others = await listed(['ls-files', '--others', '--exclude-standard', '-z'])
    // First what is gone: something else may be where it or its directory was, a link that git would not go through.
    await update(['--force-remove'], changed.removed)
    // Another repository is listed as a directory.
    const present = changed.present + others.replaceAll('/\0', '\0')
    await update(['--add', '--remove', '--replace', '--ignore-skip-worktree-entries'], present)
    const tree = await checkout(['write-tree'], { env })
    return await work(tree.stdout.trim(), checkout)
  })
}

/** False for what is no file: an agent can put anything there, and a pipe would be waited for. */
async function copyIndex(from: string, to: string): Promise<boolean> {
  if (!(await lstat(from)).isFile()) return false
  await copyFile(from, to)
  return true
}

/** Of `--name-status -z`: names, each with its end. What became of another type is removed, and is there. */
function byStatus(listed: string): { readonly removed: string; readonly present: string } {
  const parts = listed.split('\0')
  const names = { removed: '', present: '' }
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [status, name] = [parts[at], `${parts[at + 1]}\0`]
    if (status === 'D' || status === 'T') names.removed += name
    if (status !== 'D') names.present += name
  }
  return names
}
