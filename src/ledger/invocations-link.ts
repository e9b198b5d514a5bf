/** The second name of the ledger's file, for the queries of the source documents. */
import { lstatSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export const INVOCATIONS_LINK = 'claude_invocations.db'

/**
 * Makes `claude_invocations.db` beside the ledger a relative link to it. A link that points elsewhere is replaced;
 * a real file of that name is somebody's data and stays. SQLite resolves links, so both names share one journal.
 *
 * @returns false when a real file is in the way
 */
export function linkInvocations(ledgerPath: string): boolean {
  const link = join(dirname(ledgerPath), INVOCATIONS_LINK)
  const target = basename(ledgerPath)
  if (target === INVOCATIONS_LINK) return true
  const found = lstatSync(link, { throwIfNoEntry: false })
  if (found !== undefined && !found.isSymbolicLink()) return false
  if (found !== undefined && readlinkSync(link) === target) return true
  // By way of a name of our own: a process that does the same at once cannot fail, and nobody sees it missing.
  const temporary = `${link}.${process.pid}`
  rmSync(temporary, { force: true })
  symlinkSync(target, temporary)
  renameSync(temporary, link)
  return true
}
