/** The check before a file is written anew as a whole: what is damaged would be lost in the copy, and not be seen again. */
import { checkFile } from './check.ts'
import { damagedError } from './database.ts'

/** @throws DroverError `ledger_unavailable` for a file that is damaged or cannot be opened */
export function refuseDamaged(path: string): void {
  const [damage] = checkFile(path).damage
  if (damage !== undefined) throw damagedError(path, damage)
}
