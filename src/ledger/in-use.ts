/**
 * Who has the ledger: a lock beside the file (`orchestrator.db.lock`), shared by those who write into it, alone for
 * whoever puts another file in its place or makes its projections anew.
 *
 * It is SQLite's own lock on an empty database of its own, so the system takes it back when its holder dies, however
 * that happens, and it does not depend on the state of the ledger, which may be damaged. Like the ledger itself it
 * works between processes of one machine.
 */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { DroverError, isDroverError } from '../core/errors.ts'
import { aboutFile, isBusy } from './database.ts'

/** A lock that is held until `release`, which is safe to call twice. */
export interface Hold {
  release(): void
}

/** Whoever looks into a hot start holds it for some milliseconds. */
const WAIT_MS = 1000

const IN_USE = 'in_use'

/**
 * For the whole time in which the ledger is open for writing.
 *
 * @throws DroverError `ledger_unavailable` while somebody has it alone, or where the lock cannot be written
 */
export function holdShared(path: string): Hold {
  return hold(path, 'BEGIN; SELECT count(*) FROM sqlite_schema', () => {
    return `The ledger ${path} is being restored or rebuilt. Wait until that is done, then start again.`
  })
}

/** @throws DroverError `ledger_unavailable` while somebody has it open for writing, or where the lock cannot be written */
export function holdAlone(path: string, purpose: string): Hold {
  return hold(path, 'BEGIN EXCLUSIVE', () => {
    return (
      `The ledger ${path} is in use by a running board or recorder. ` +
      `Stop "drover board" or "drover up" of this data directory, then ${purpose} again.`
    )
  })
}

/** Whether somebody has it open for writing now. Makes nothing where there is nothing. */
export function isInUse(path: string): boolean {
  if (!existsSync(lockPathOf(path))) return false
  try {
    hold(path, 'BEGIN EXCLUSIVE', () => '').release()
    return false
  } catch (error) {
    if (isDroverError(error) && error.details['reason'] === IN_USE) return true
    throw error
  }
}

function hold(path: string, begin: string, refusal: () => string): Hold {
  return aboutFile(path, () => holdLock(path, begin, refusal))
}

function holdLock(path: string, begin: string, refusal: () => string): Hold {
  const lock = new Database(lockPathOf(path), { timeout: WAIT_MS })
  try {
    lock.pragma('journal_mode = MEMORY')
    lock.exec(begin)
    return { release: () => void lock.close() }
  } catch (error) {
    lock.close()
    if (isBusy(error)) throw new DroverError('ledger_unavailable', refusal(), { file: path, reason: IN_USE })
    throw error
  }
}

function lockPathOf(path: string): string {
  return `${path}.lock`
}
