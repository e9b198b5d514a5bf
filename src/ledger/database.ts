/** One SQLite file: opened with the settings that the ledger's promises need, its errors as sentences. */
import { accessSync, closeSync, constants, existsSync, openSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { DroverError, isDroverError, messageOf } from '../core/errors.ts'
import { restoreHint } from './backups.ts'

export type Db = Database.Database

/** How long opening waits for another connection's lock. */
const BUSY_TIMEOUT_MS = 5000
/**
 * How long it is waited for later. The wait blocks the whole process and its HTTP answers with it; the recorder repeats
 * by itself, and readers meet a lock only where somebody mends the journal: so it is short.
 */
const BRIEF_BUSY_TIMEOUT_MS = 200
/** The write-ahead log is cut back to this after a checkpoint, so that one long reader leaves no giant file. */
const WAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024

/** The writer's connection. `synchronous=FULL`: what was committed survives a power cut. */
export function openDatabase(path: string): Db {
  refuseIrregular(path)
  // SQLite opens what it may not write read-only, and says so at the first write.
  if (existsSync(path)) accessSync(path, constants.W_OK)
  else makePrivate(path)
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    refuseForeign(db)
    enterWal(db)
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.pragma(`journal_size_limit = ${WAL_SIZE_LIMIT_BYTES}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * What agents said is for Drover's user alone; SQLite gives the journal the rights of the file. Whoever wants others to
 * read it changes them, and they stay.
 */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite says so in a moment, in its words.
  }
}

/** After opening: from now on a lock is waited for by repeating, not by blocking. */
export function waitBriefly(db: Db): void {
  db.pragma(`busy_timeout = ${BRIEF_BUSY_TIMEOUT_MS}`)
}

/** A reader's connection: cannot write, and never waits for the writer. */
export function openDatabaseReadOnly(path: string): Db {
  refuseIrregular(path)
  return new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
}

/** Another program's file (tables, but none of ours) is not touched, not even its journal mode. */
function refuseForeign(db: Db): void {
  const tables = db.prepare(`SELECT count(*) FROM sqlite_schema WHERE type = 'table'`).pluck().get()
  const ours = db.prepare(`SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migration'`).pluck().get()
  if (tables === 0 || ours === 1) return
  throw new DroverError(
    'ledger_unavailable',
    `${db.name} is a database of another program. Move it away, or set DROVER_DATA_DIR to another directory.`,
    { file: db.name },
  )
}

/**
 * SQLite does not wait for its lock here when two processes open a fresh file at once, so we do. Whoever is late
 * finds the mode already set.
 */
function enterWal(db: Db): void {
  const deadline = Date.now() + BUSY_TIMEOUT_MS
  for (;;) {
    try {
      db.pragma('journal_mode = WAL')
      return
    } catch (error) {
      if (!isBusy(error) || Date.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

/** SQLite would block on a FIFO and say little of a directory. */
function refuseIrregular(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || found.isFile()) return
  throw new DroverError(
    'ledger_unavailable',
    `The ledger ${path} is ${found.isDirectory() ? 'a directory' : 'no regular file'}. ` +
      'Move it away, or set DROVER_DATA_DIR to another directory.',
    { file: path },
  )
}

export function isBusy(error: unknown): boolean {
  return sqliteCode(error).startsWith('SQLITE_BUSY')
}

/** SQLite's own error code, also the extended one (`SQLITE_IOERR_WRITE`); empty for other errors. */
export function sqliteCode(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : ''
}

/** `EACCES` and its like; empty for other errors. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Stable names of what can be wrong with the file; `docs/ledger.md` says what to do about each. */
export type LedgerAlarmName =
  | 'ledger_locked'
  | 'ledger_disk_full'
  | 'ledger_damaged'
  | 'ledger_replaced'
  | 'ledger_unwritable'
  | 'ledger_failed'

/** Any error about the file at `path`, as `ledger_unavailable` with what to do; Drover's own pass through. */
export function ledgerError(path: string, error: unknown): Error {
  if (isDroverError(error)) return error
  const code = sqliteCode(error) || systemCode(error)
  const alarm = alarmFor(code)
  if (alarm === 'ledger_damaged') return damagedError(path, messageOf(error), error)
  return new DroverError(
    'ledger_unavailable',
    `The ledger ${path} ${adviceFor(alarm, code, messageOf(error))}`,
    { file: path, reason: code || null, ...(alarm === null ? {} : { alarm }) },
    { cause: error },
  )
}

/** What `work` answers; what SQLite or the system says of the file at `path` becomes `ledger_unavailable`. */
export function aboutFile<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw sqliteCode(error) || systemCode(error) ? ledgerError(path, error) : error
  }
}

/** A file that SQLite or a check found to be damaged. */
export function damagedError(path: string, problem: string, cause?: unknown): DroverError {
  return new DroverError(
    'ledger_unavailable',
    `The ledger ${path} is damaged or no SQLite file (${problem}). It was left as it is. ` +
      `Stop Drover, put a backup in its place with "${restoreHint(path)}", and start again.`,
    { file: path, alarm: 'ledger_damaged' satisfies LedgerAlarmName, problem },
    { cause },
  )
}

/** null: the error is about what was asked, not about the file. */
function alarmFor(code: string): LedgerAlarmName | null {
  if (/^SQLITE_(NOTADB|CORRUPT|IOERR_SHORT_READ|IOERR_CORRUPTFS)/.test(code)) return 'ledger_damaged'
  if (/^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(code)) return 'ledger_locked'
  if (code.startsWith('SQLITE_FULL') || code === 'ENOSPC') return 'ledger_disk_full'
  if (/^SQLITE_(CANTOPEN|PERM|READONLY|AUTH)|^E(ACCES|PERM|ROFS|NOTDIR|EXIST|NOENT)$/.test(code))
    return 'ledger_unwritable'
  return /^SQLITE_(IOERR|NOMEM|INTERNAL)/.test(code) ? 'ledger_failed' : null
}

function adviceFor(alarm: LedgerAlarmName | null, code: string, message: string): string {
  if (alarm === 'ledger_locked') return 'is locked by another process. End the program that holds it.'
  if (alarm === 'ledger_disk_full') return 'cannot grow: the disk is full. Free space; nothing was lost.'
  if (alarm === 'ledger_unwritable') {
    return (
      `cannot be opened (${message}). Give this user read and write access to the file and its directory, ` +
      'or set DROVER_DATA_DIR to another directory.'
    )
  }
  return `does not answer (${code ? `${code}: ` : ''}${message}).`
}

/** The same functions, with SQLite's errors as `ledger_unavailable`; none answers where `requireSound` throws. */
export function answering<Api extends object>(
  path: string,
  api: Api,
  requireSound: () => void = () => {},
): Api {
  const wrapped = Object.entries(api).map(([name, method]: [string, (...args: unknown[]) => unknown]) => [
    name,
    (...args: unknown[]): unknown => {
      requireSound()
      try {
        return method(...args)
      } catch (error) {
        throw sqliteCode(error) ? ledgerError(path, error) : error
      }
    },
  ])
  return Object.assign({}, api, Object.fromEntries(wrapped))
}
