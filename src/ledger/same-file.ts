/**
 * Is the file that SQLite writes into still the one at its path? A file that was moved, deleted or replaced while it
 * is open goes on taking commits that nobody will find again.
 */
import { lstatSync, realpathSync, statSync, type Stats } from 'node:fs'
import { DroverError } from '../core/errors.ts'

/** Two looks into the directory, some microseconds. Throws `ledger_unavailable` where it is another file by now. */
export type RequireSameFile = () => void

/** Remembers which file it is. Call it right after opening. */
export function watchSameFile(path: string): RequireSameFile {
  const real = realpathSync(path)
  const opened = statSync(real)
  return () => {
    const there = statSync(path, { throwIfNoEntry: false })
    const itself = lstatSync(real, { throwIfNoEntry: false })
    if (isSame(there, opened) && isSame(itself, opened)) return
    throw new DroverError(
      'ledger_unavailable',
      `The ledger ${path} was ${fateOf(itself)} while it was in use. Put the file back, or stop what records, ` +
        'put the right file there and start again.',
      { file: path, alarm: 'ledger_replaced' },
    )
  }
}

function isSame(found: Stats | undefined, opened: Stats): boolean {
  return found !== undefined && found.isFile() && found.ino === opened.ino && found.dev === opened.dev
}

function fateOf(found: Stats | undefined): string {
  if (found === undefined) return 'moved or deleted'
  if (found.isFile()) return 'replaced by another file'
  if (found.isDirectory()) return 'replaced by a directory'
  return found.isSymbolicLink() ? 'replaced by a link' : 'replaced by what is no regular file'
}
