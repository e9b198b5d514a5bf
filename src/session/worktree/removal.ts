/**
 * Taking a worktree away. In this order: the record (`removing`), the checkout, the branch, the record, the place; so
 * that what is left by a death or a problem is found again by its record. All of it under the worktree's lock.
 */
import { DroverError, messageOf } from '../../core/errors.ts'
import { changesOf, clearCheckout, hasWork, isLocked, mergedTipOf, removeBranch, tipOf } from './checkout.ts'
import type { Git } from './git.ts'
import { clearPlace, placeOfWorktree } from './place.ts'
import { dropRecord, replaceRecord, type WorktreeRecord } from './record.ts'

/**
 * Removes a worktree without work in it, with its branch and its record. False: there is work in it, or
 * somebody has locked it (`git worktree lock`), so it stays.
 *
 * @throws DroverError `cleanup_failed`: it cannot be removed, wholly or in part; may be repeated
 */
export async function removeClean(git: Git, commonDir: string, record: WorktreeRecord): Promise<boolean> {
  // It was found to be clean before, and may be gone in part; a branch that has come further since is somebody's.
  if (record.state === 'removing') {
    await clearAll(git, commonDir, record, await mergedTipOf(git, commonDir, record))
    return true
  }
  const changes = await changesOf(git, commonDir, record)
  if (changes !== null && hasWork(changes)) return false
  if (await isLocked(git, commonDir, record.path)) return false
  await replaceRecord(commonDir, { ...record, state: 'removing' })
  await removeWhole(git, commonDir, record)
  return true
}

/** Removes a worktree with all that is in it. @throws DroverError `cleanup_failed` as `removeClean` */
export async function removeWhole(git: Git, commonDir: string, record: WorktreeRecord): Promise<void> {
  const tip = await tipOf(git, commonDir, record.branch)
  await clearAll(git, commonDir, record, tip)
}

/** What nobody has worked in goes; a branch that has come further is somebody's. */
export async function unmake(git: Git, commonDir: string, record: WorktreeRecord): Promise<void> {
  await clearAll(git, commonDir, record, record.base_commit)
}

async function clearAll(
  git: Git,
  commonDir: string,
  record: WorktreeRecord,
  tip: string | null,
): Promise<void> {
  try {
    await clearCheckout(git, commonDir, record)
    if (tip !== null) await removeBranch(git, commonDir, record.branch, tip)
    await dropRecord(commonDir, record.key)
    await clearPlaceOf(commonDir, record)
  } catch (error) {
    const { branch, path, session_id } = record
    throw new DroverError(
      'cleanup_failed',
      `The worktree ${path} (${branch}) cannot be removed: ${messageOf(error)}. Take away what is in the way; a pod tries again every minute.`,
      { branch, path, session_id },
    )
  }
}

/** Only what Drover has made for this worktree. */
export async function clearPlaceOf(commonDir: string, record: WorktreeRecord): Promise<void> {
  const place = await placeOfWorktree(commonDir, record)
  if (place !== null) await clearPlace(place)
}
