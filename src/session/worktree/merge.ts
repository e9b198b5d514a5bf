/**
 * Merges a worktree into the branch that it began from. Nothing of the repository has changed until it is known that
 * it can be done: the merge is worked out apart from every checkout. A conflict is told, and resolved by nobody.
 *
 * Then the worktree's branch moves to what was not committed yet, and the base branch to the merge: by itself where no
 * checkout is on it, else after the files of that checkout, which git refuses where one would be overwritten.
 * Dying in between leaves the work committed on its branch, and the files of that checkout staged at most; a repeat does
 * the rest.
 */
import { DroverError } from '../../core/errors.ts'
import { keep, uncommittedIn, withCheckoutGit } from './checkout-git.ts'
import { isThere, tipOf } from './checkout.ts'
import type { Git } from './git.ts'
import { refOf, type WorktreeRecord } from './record.ts'
import { withSnapshot } from './snapshot.ts'

export interface Merged {
  /** Where the base branch is now. */
  readonly commit: string
  /** False where the base branch had all of it already. */
  readonly merged: boolean
  /** Files whose changes were committed for it. */
  readonly committedFiles: number
}

/** Where the user has not said who they are. */
const NOBODY = {
  GIT_AUTHOR_NAME: 'Drover',
  GIT_AUTHOR_EMAIL: 'drover@localhost',
  GIT_COMMITTER_NAME: 'Drover',
  GIT_COMMITTER_EMAIL: 'drover@localhost',
}

/**
 * Under the lock of the worktree, whose session has ended.
 *
 * @throws DroverError `merge_conflict` with `files`; `worktree_refused` with the reason; nothing has changed then
 */
export async function mergeWorktree(git: Git, commonDir: string, record: WorktreeRecord): Promise<Merged> {
  const { branch, base_branch: base } = record
  const tip = await tipOf(git, commonDir, branch)
  if (tip === null) throw refused(record, `Its branch ${branch} is gone.`)
  const target = await tipOf(git, commonDir, base)
  if (target === null) throw refused(record, `The branch ${base}, which it began from, is gone.`)
  const files = await uncommittedOf(git, commonDir, record)
  const checkout = await checkoutOn(git, commonDir, base)
  const changed = checkout === null ? [] : await changedIn(git, commonDir, record, checkout)
  const identity = await identityIn(git, commonDir)

  const work = files.length === 0 ? tip : await commitAll(git, commonDir, record, tip, identity)
  if (await isAncestor(git, commonDir, work, target)) {
    return { commit: target, merged: false, committedFiles: 0 }
  }
  const commit = (await isAncestor(git, commonDir, target, work))
    ? work
    : await mergeCommit(git, commonDir, record, { target, work, identity })
  const isForwarded =
    checkout !== null && changed.length > 0 && (await hasFilesOf(git, commonDir, checkout, commit))
  if (changed.length > 0 && !isForwarded) {
    throw refused(
      record,
      `The checkout ${checkout} is on ${base} and has uncommitted changes. Commit or stash them first.`,
    )
  }
  if (work !== tip) {
    await git(commonDir, ['update-ref', '-m', 'drover: what the session left', refOf(branch), work, tip])
    // Its index knows of the commit, too.
    await withCheckoutGit(git, { commonDir, path: record.path }, (own) => own(['read-tree', work]))
  }
  if (checkout !== null && !isForwarded) {
    await forwardFiles(git, commonDir, record, { checkout, from: target, to: commit })
  }
  // In the checkout, whose own log of HEAD then has it.
  const move = ['-m', `drover: merge ${branch}`, refOf(base), commit, target]
  await git(checkout ?? commonDir, ['update-ref', ...move]).catch(async (error: unknown) => {
    if (checkout !== null) await forwardFiles(git, commonDir, record, { checkout, from: commit, to: target })
    throw error
  })
  return { commit, merged: true, committedFiles: files.length }
}

/** What is not committed, of a checkout that is on its branch. */
async function uncommittedOf(
  git: Git,
  commonDir: string,
  record: WorktreeRecord,
): Promise<readonly string[]> {
  if (!(await isThere(record.path))) return []
  const head = await git(record.path, ['symbolic-ref', '--quiet', 'HEAD'], [1])
  if (head.stdout.trim() !== refOf(record.branch)) {
    throw refused(
      record,
      `Its checkout ${record.path} is not on its branch ${record.branch}; check that out first.`,
    )
  }
  return await withCheckoutGit(git, { commonDir, path: record.path }, (checkout) => uncommittedIn(checkout))
}

/** A commit of everything in the checkout, on top of its branch, which does not move yet. */
async function commitAll(
  git: Git,
  commonDir: string,
  { path, session_id, agent_type }: WorktreeRecord,
  tip: string,
  identity: Readonly<Record<string, string>>,
): Promise<string> {
  const message = `Work of ${agent_type}, session ${session_id}`
  return await withSnapshot(git, { commonDir, path, isKept: true }, async (tree) => {
    const made = await git(commonDir, ['commit-tree', tree, '-p', tip, '-m', message], [], identity)
    return made.stdout.trim()
  })
}

interface Sides {
  readonly target: string
  readonly work: string
  readonly identity: Readonly<Record<string, string>>
}

async function mergeCommit(
  git: Git,
  commonDir: string,
  record: WorktreeRecord,
  sides: Sides,
): Promise<string> {
  const { target, work, identity } = sides
  const flags = ['--write-tree', '--no-messages', '--name-only', '-z']
  const tried = await withCheckoutGit(git, { commonDir, path: null }, (objects) =>
    objects(['merge-tree', ...flags, target, work], { allow: [1], env: keep(commonDir) }),
  )
  const [tree = '', ...files] = tried.stdout.split('\0').filter((part) => part !== '')
  if (tried.code !== 0) throw conflict(record, [...new Set(files)])
  const message = `Merge branch '${record.branch}' into ${record.base_branch}`
  const made = await git(
    commonDir,
    ['commit-tree', tree, '-p', target, '-p', work, '-m', message],
    [],
    identity,
  )
  return made.stdout.trim()
}

async function isAncestor(git: Git, dir: string, older: string, newer: string): Promise<boolean> {
  return (await git(dir, ['merge-base', '--is-ancestor', older, newer], [1])).code === 0
}

/** The checkout that is on a branch, or null. Git allows one. */
async function checkoutOn(git: Git, commonDir: string, branch: string): Promise<string | null> {
  const listed = await git(commonDir, ['worktree', 'list', '--porcelain', '-z'])
  for (const entry of listed.stdout.split('\0\0')) {
    const lines = entry.split('\0')
    if (!lines.includes(`branch ${refOf(branch)}`)) continue
    return lines.find((line) => line.startsWith('worktree '))?.slice('worktree '.length) ?? null
  }
  return null
}

/** What git knows and is not committed. */
async function changedIn(
  git: Git,
  commonDir: string,
  record: WorktreeRecord,
  checkout: string,
): Promise<readonly string[]> {
  if (!(await isThere(checkout))) {
    throw refused(
      record,
      `The checkout ${checkout} is on ${record.base_branch} and is not there. Run git worktree prune.`,
    )
  }
  return await withCheckoutGit(git, { commonDir, path: checkout }, (look) => uncommittedIn(look, 'tracked'))
}

/** Does all that is not committed amount to this commit? So whoever died before the branch was moved leaves it. */
async function hasFilesOf(git: Git, commonDir: string, checkout: string, commit: string): Promise<boolean> {
  const wanted = await git(commonDir, ['rev-parse', `${commit}^{tree}`])
  return await withCheckoutGit(git, { commonDir, path: checkout }, async (look) => {
    const files = await look(['diff', '--quiet', '--ignore-submodules=dirty'], { allow: [1] })
    if (files.code !== 0) return false
    const index = await look(['write-tree'], { allow: [128] })
    return index.stdout === wanted.stdout
  })
}

/** Files and index of a checkout, from one commit to another. Git refuses where a file would be overwritten. */
async function forwardFiles(
  git: Git,
  commonDir: string,
  record: WorktreeRecord,
  way: { readonly checkout: string; readonly from: string; readonly to: string },
): Promise<void> {
  const { checkout, from, to } = way
  await withCheckoutGit(git, { commonDir, path: checkout }, (files) =>
    files(['read-tree', '-m', '-u', from, to]),
  ).catch((error: unknown) => {
    throw refused(record, `The checkout ${checkout} cannot take it: ${reasonOf(error)}`)
  })
}

async function identityIn(git: Git, dir: string): Promise<Readonly<Record<string, string>>> {
  const known = await git(dir, ['var', 'GIT_COMMITTER_IDENT'], [128])
  return known.code === 0 ? {} : NOBODY
}

function conflict(
  { branch, base_branch, path, session_id }: WorktreeRecord,
  files: readonly string[],
): DroverError {
  return new DroverError(
    'merge_conflict',
    `${branch} cannot be merged into ${base_branch} by itself: ${files.join(', ')} ${files.length === 1 ? 'was' : 'were'} changed on both sides. ` +
      `Nothing has changed. Merge ${base_branch} in ${path} and resolve it there, or merge by hand.`,
    { session_id, branch, base_branch, files },
  )
}

function refused({ branch, session_id }: WorktreeRecord, reason: string): DroverError {
  return new DroverError('worktree_refused', `${branch} was not merged. ${reason}`, { branch, session_id })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
