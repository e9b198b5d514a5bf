/** The check before a ledger is opened for writing, where it takes no time that anybody would notice. */
import { statSync } from 'node:fs'
import { checkFile, type FileCheck } from './check.ts'
import { damagedError } from './database.ts'

/** Checked within some tens of milliseconds; whatever is larger is checked beside the running board. */
const SMALL_BYTES = 8 * 1024 * 1024

/**
 * Checks a small file at once, before anything is written into it. null: it is not there yet, or too large to wait
 * for; then `housekeeping.ts` checks it first of all.
 *
 * @throws DroverError `ledger_unavailable` for a damaged file
 */
export function checkAtStart(path: string): FileCheck | null {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || !found.isFile() || found.size === 0 || found.size > SMALL_BYTES) return null
  const checked = checkFile(path)
  const [damage] = checked.damage
  if (damage !== undefined) throw damagedError(path, damage)
  return checked
}
