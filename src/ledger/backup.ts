/**
 * A copy of the ledger while it is being written: `VACUUM INTO` reads one commit of it, so it takes no lock that the
 * recorder waits for, however long it lasts, and what it makes is one file without a journal.
 *
 * The copy gets its name only when it is complete, checked and on the disk. Dying before that leaves a file
 * `<name>.part`, which nothing reads; the next backup of that name replaces it, and housekeeping removes those of the
 * default names.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DroverError } from '../core/errors.ts'
import { backupName } from './backups.ts'
import { checkFile } from './check.ts'
import { damagedError, openDatabaseReadOnly, ledgerError } from './database.ts'
import { readFileFacts, type FileFacts } from './file-facts.ts'

/** What a backup is. */
export interface Backup extends FileFacts {
  readonly file: string
  readonly durationMs: number
}

export interface BackupOptions {
  /** @default `<data_dir>/backups/orchestrator-<time>.db` */
  readonly file?: string | undefined
  /** Replaces a file that is there. @default false */
  readonly force?: boolean
}

/**
 * Copies the ledger at `path`, and checks the copy.
 *
 * @throws DroverError `invalid_request` for a name that is taken or in no directory; `ledger_unavailable` for a ledger that cannot be
 *   read, a copy that does not fit on the disk, or one that is damaged, which then is not kept
 */
export function backup(path: string, options: BackupOptions = {}): Backup {
  const began = performance.now()
  const source = resolve(path)
  const file = resolve(options.file ?? backupName(source, new Date()))
  refuseTaken(source, file, options.force === true)
  if (options.file === undefined) mkdirSync(dirname(file), { recursive: true })
  else requireDirectory(file)
  copyTo(source, `${file}.part`, 'The backup')
  renameSync(`${file}.part`, file)
  syncDirectory(dirname(file))
  return { file, ...readFileFacts(file), durationMs: Math.round(performance.now() - began) }
}

/**
 * One checked, synced file with what the ledger at `source` holds, its journal included. Nothing is left where that
 * fails. `what` begins the sentence of a refusal: "The backup".
 */
export function copyTo(source: string, part: string, what: string): void {
  rmSync(part, { force: true })
  try {
    const db = openDatabaseReadOnly(source)
    try {
      db.prepare('VACUUM INTO ?').run(part)
    } finally {
      db.close()
    }
    // SQLite does not sync what VACUUM INTO writes.
    syncFile(part)
    const [damage] = checkFile(part).damage
    if (damage !== undefined) throw damagedError(source, damage)
  } catch (error) {
    rmSync(part, { force: true })
    throw refused(source, part, what, error)
  }
}

function refused(source: string, part: string, what: string, error: unknown): Error {
  const known = ledgerError(source, error)
  if (!(error instanceof Error) || !/^(SQLITE_FULL|ENOSPC)/.test(String(Reflect.get(error, 'code'))))
    return known
  return new DroverError(
    'ledger_unavailable',
    `${what} ${part} does not fit on its disk. Free as much space as ${source} takes, or name a file on another disk.`,
    { file: part, reason: 'disk_full' },
    { cause: error },
  )
}

function refuseTaken(source: string, file: string, force: boolean): void {
  const found = lstatSync(file, { throwIfNoEntry: false })
  const isLedger = file === source || [`${source}-wal`, `${source}-shm`, `${source}.lock`].includes(file)
  if (!isLedger && (found === undefined || (force && found.isFile()))) return
  const reason = isLedger
    ? 'is the ledger itself'
    : found?.isFile() === true
      ? 'is there already (--force replaces it)'
      : 'is no regular file'
  throw new DroverError('invalid_request', `${file} ${reason}. Name another file for the backup.`, { file })
}

/** Made by us it would hide that a disk is not mounted. */
function requireDirectory(file: string): void {
  if (statSync(dirname(file), { throwIfNoEntry: false })?.isDirectory() === true) return
  throw new DroverError(
    'invalid_request',
    `${dirname(file)} is no directory. Make it (or mount its disk), or name another file for the backup.`,
    { file },
  )
}

function syncFile(file: string): void {
  const fd = openSync(file, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** So that a rename survives a power cut. */
export function syncDirectory(dir: string): void {
  if (!existsSync(dir)) return
  const fd = openSync(dir, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
