/** The repository that a workspace belongs to, and whether a worktree can be made of it. */
import { realpath } from 'node:fs/promises'
import { DroverError } from '../../core/errors.ts'
import { isInsideRoots } from '../workspace.ts'
import { uncommittedIn, withCheckoutGit } from './checkout-git.ts'
import type { Git } from './git.ts'

export interface Repository {
  /** The checkout's top level, a real path. */
  readonly topLevel: string
  /** Its git directory, which all its worktrees share. */
  readonly commonDir: string
  /** The workspace within the checkout: `''` for its top level, else `sub/dir/`. */
  readonly prefix: string
}

/** What a worktree begins from. */
export interface Base {
  readonly branch: string
  readonly commit: string
}

/**
 * The repository of `dir`. Checkout and git directory must both be inside the roots: a file `.git` can name any
 * repository of this machine, and a worktree writes into it.
 *
 * @throws DroverError `invalid_request` with a sentence
 */
export async function findRepository(git: Git, dir: string, roots: readonly string[]): Promise<Repository> {
  const found = await git(
    dir,
    [
      'rev-parse',
      '--path-format=absolute',
      '--is-bare-repository',
      '--is-inside-work-tree',
      '--git-common-dir',
    ],
    [128],
  )
  if (found.code !== 0) {
    throw refused(
      `${dir} is in no git repository that can be used. Run git init and commit, or leave out the worktree.`,
    )
  }
  const [isBare, isInside, commonDir = ''] = found.stdout.split('\n')
  if (isBare === 'true') {
    throw refused(`${dir} is a bare repository, which has no checkout to begin from. Name a clone of it.`)
  }
  if (isInside !== 'true') throw refused(`${dir} is inside a git directory and not a checkout.`)
  const place = await git(dir, ['rev-parse', '--show-toplevel', '--show-prefix'])
  const [topLevel = '', prefix = ''] = place.stdout.split('\n')
  for (const path of [topLevel, commonDir]) {
    if (await isInsideRoots(await realpath(path), roots)) continue
    throw refused(
      `The repository of ${dir} is at ${path}, outside the allowed roots (${roots.join(', ')}), and a worktree is ` +
        'made of the whole of it. Add it to workspace.roots (DROVER_WORKSPACE_ROOTS).',
    )
  }
  return { topLevel: await realpath(topLevel), commonDir: await realpath(commonDir), prefix }
}

/**
 * The branch and commit that a new worktree begins from: those of the checkout, which must have nothing that is not
 * committed, because it would silently not be in the worktree. Files that git does not know of do not count.
 *
 * @throws DroverError `invalid_request` with a sentence
 */
export async function findBase(git: Git, { topLevel, commonDir }: Repository): Promise<Base> {
  const commit = await git(topLevel, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'], [1, 128])
  if (commit.code !== 0)
    throw refused(`${topLevel} has no commit yet. A worktree begins from one: commit first.`)
  const branch = await git(topLevel, ['symbolic-ref', '--quiet', 'HEAD'], [1])
  if (branch.code !== 0) {
    throw refused(
      `${topLevel} is on no branch (detached HEAD), so what comes of a worktree could be merged nowhere. Check out a branch.`,
    )
  }
  const changed = await withCheckoutGit(git, { commonDir, path: topLevel }, (checkout) =>
    uncommittedIn(checkout, 'tracked'),
  )
  if (changed.length > 0) {
    throw refused(
      `${topLevel} has uncommitted changes (${namesOf(changed)}), which would not be in the worktree. Commit or stash them.`,
    )
  }
  return { branch: branch.stdout.trim().replace(/^refs\/heads\//, ''), commit: commit.stdout.trim() }
}

const NAMED = 5

/** The first of them. */
function namesOf(names: readonly string[]): string {
  const more = names.length - NAMED
  return names.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function refused(message: string): DroverError {
  return new DroverError('invalid_request', message)
}
