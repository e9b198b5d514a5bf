/** The checkout and the branch of a worktree, as git has them. */
import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { uncommittedIn, withCheckoutGit, type CheckoutGit } from './checkout-git.ts'
import type { Git } from './git.ts'
import { DroverError } from '../../core/errors.ts'
import { placeOfWorktree } from './place.ts'
import { refOf, type WorktreeRecord } from './record.ts'

/** What a worktree has that its base has not. */
export interface Changes {
  /** Paths that are changed, deleted or new and not committed. */
  readonly uncommitted: readonly string[]
  /** Commits that neither its base nor the branch that it began from has: of its branch, or of what the checkout is on. */
  readonly ahead: number
  /** There is a repository in it that it has as a submodule: what is in that one is not looked at. */
  readonly hasRepositories: boolean
}

/** Whether changes or commits would be lost with the worktree. */
export function hasWork({ uncommitted, ahead, hasRepositories }: Changes): boolean {
  return uncommitted.length > 0 || ahead > 0 || hasRepositories
}

/** Bytes of a list of all files of a large repository. */
const LIST_LIMIT = 128 * 1024 * 1024

/** The commit that a branch is at, or null where there is none. */
export async function tipOf(git: Git, dir: string, branch: string): Promise<string | null> {
  const found = await git(dir, ['rev-parse', '--verify', '--quiet', `${refOf(branch)}^{commit}`], [1, 128])
  return found.code === 0 ? found.stdout.trim() : null
}

/** The same of a worktree's branch, where its base, or the branch that it began from, has all of it. */
export async function mergedTipOf(
  git: Git,
  commonDir: string,
  record: WorktreeRecord,
): Promise<string | null> {
  const tip = await tipOf(git, commonDir, record.branch)
  if (tip === null) return null
  return (await countAhead(git, commonDir, await basesOf(git, commonDir, record), [tip])) === 0 ? tip : null
}

/** Whether there is a checkout at this path. Follows no link: an agent may have put one there. */
export async function isThere(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null)
  return found?.isDirectory() ?? false
}

/** What is in it; null where the checkout is not on this machine and the branch is gone too. */
export async function changesOf(
  git: Git,
  commonDir: string,
  record: Pick<WorktreeRecord, 'path' | 'branch' | 'base_branch' | 'base_commit'>,
): Promise<Changes | null> {
  const { path, branch } = record
  const tip = await tipOf(git, commonDir, branch)
  const base = await basesOf(git, commonDir, record)
  if (!(await isThere(path))) {
    if (tip === null) return null
    return { uncommitted: [], ahead: await countAhead(git, commonDir, base, [tip]), hasRepositories: false }
  }
  return await withCheckoutGit(git, { commonDir, path }, async (checkout) => {
    const ends = [checkout.head, tip].filter((commit) => commit !== null)
    return {
      uncommitted: await uncommittedIn(checkout),
      ahead: await countAhead(git, commonDir, base, ends),
      hasRepositories: await hasSubmodules(checkout, path),
    }
  })
}

/** As git looks for them before it removes a worktree. */
async function hasSubmodules(checkout: CheckoutGit, path: string): Promise<boolean> {
  if (await isThere(join(checkout.gitDir, 'modules'))) return true
  const { stdout, isCut } = await checkout(['ls-files', '--stage', '-z'], { limit: LIST_LIMIT })
  if (isCut) return true
  const links = stdout.split('\0').filter((entry) => entry.startsWith('160000 '))
  for (const entry of links) {
    const name = entry.slice(entry.indexOf('\t') + 1)
    if ((await lstat(join(path, name, '.git')).catch(() => null)) !== null) return true
  }
  return false
}

async function basesOf(
  git: Git,
  commonDir: string,
  { base_branch, base_commit }: Pick<WorktreeRecord, 'base_branch' | 'base_commit'>,
): Promise<readonly string[]> {
  const merged = await tipOf(git, commonDir, base_branch)
  return merged === null ? [base_commit] : [base_commit, merged]
}

async function countAhead(
  git: Git,
  dir: string,
  base: readonly string[],
  ends: readonly string[],
): Promise<number> {
  const counted = await git(dir, ['rev-list', '--count', ...ends, '--not', ...base])
  return Number(counted.stdout.trim())
}

/**
 * Makes branch and checkout. Nothing of either must be there, but what an earlier attempt left before anybody worked in
 * it. Its files are written apart from git's own making of it, which would be under the configuration of the new worktree.
 */
export async function addCheckout(git: Git, commonDir: string, record: WorktreeRecord): Promise<void> {
  const { branch, base_commit: base, path } = record
  // Refused where the branch came to be meanwhile: only a branch that is made here is Drover's.
  if ((await tipOf(git, commonDir, branch)) !== base) {
    await git(commonDir, [
      'update-ref',
      '-m',
      'drover: worktree',
      refOf(branch),
      base,
      '0'.repeat(base.length),
    ])
  }
  await git(commonDir, ['worktree', 'add', '--no-checkout', '--quiet', '--', path, branch])
  await withCheckoutGit(git, { commonDir, path }, (checkout) =>
    checkout(['read-tree', '--reset', '-u', base]),
  )
}

/** Takes the branch away, where it is still at `tip`. */
export async function removeBranch(git: Git, commonDir: string, branch: string, tip: string): Promise<void> {
  if ((await tipOf(git, commonDir, branch)) !== tip) return
  await git(commonDir, ['update-ref', '-d', refOf(branch), tip])
}

/** Whether somebody has locked a checkout (`git worktree lock`). */
export async function isLocked(git: Git, commonDir: string, path: string): Promise<boolean> {
  const entry = await registeredAt(git, commonDir, path)
  return entry?.some((line) => line === 'locked' || line.startsWith('locked ')) ?? false
}

/** What git has noted of a checkout at this path, as `git worktree list` shows it; null where it knows of none. */
async function registeredAt(git: Git, commonDir: string, path: string): Promise<readonly string[] | null> {
  const listed = await git(commonDir, ['worktree', 'list', '--porcelain', '-z'])
  const entries = listed.stdout.split('\0\0').map((entry) => entry.split('\0'))
  return entries.find((lines) => lines.includes(`worktree ${path}`)) ?? null
}

/**
 * Takes a checkout away, with all that is in it, and what git has noted of it. What is Drover's own is removed without
 * git's look at it: one that was cut short may be none to git, which then refuses, and git would look into it with the
 * configuration that is there. May be repeated.
 */
export async function clearCheckout(git: Git, commonDir: string, record: WorktreeRecord): Promise<void> {
  if ((await placeOfWorktree(commonDir, record)) !== null) {
    await rm(record.path, { recursive: true, force: true, maxRetries: 3 })
  } else if (await isThere(record.path)) {
    throw new DroverError('invalid_request', `${record.path} is not in a directory that Drover has made.`)
  }
  if ((await registeredAt(git, commonDir, record.path)) === null) return
  // Twice: also where somebody has locked it.
  await git(commonDir, ['worktree', 'remove', '--force', '--force', '--', record.path])
}
