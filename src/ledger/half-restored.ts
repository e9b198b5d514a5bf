/** The mark of a restore that was interrupted: the checked copy, not yet in the ledger's place. */
import { lstatSync } from 'node:fs'
import { DroverError } from '../core/errors.ts'

/** The file that stands beside the ledger at `path` while a restore is not finished. */
export function restoringPathOf(path: string): string {
  return `${path}.restoring`
}

/** @throws DroverError `ledger_unavailable` where files may have been moved aside already */
export function refuseHalfRestored(path: string): void {
  const mark = restoringPathOf(path)
  if (lstatSync(mark, { throwIfNoEntry: false }) === undefined) return
  throw new DroverError(
    'ledger_unavailable',
    `A restore of the ledger ${path} was interrupted. Run it again ("drover ledger restore ${mark}" uses the copy ` +
      `that was made), or delete ${mark} if the files that are there shall stay.`,
    { file: path, reason: 'half_restored' },
  )
}
