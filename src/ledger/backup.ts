/**
 * A copy of the ledger while it is being written: `VACUUM INTO` reads one commit of it, so it takes no lock that the
 * recorder waits for, however long it lasts, and what it makes is one file without a journal.
 *
 * The copy gets its name only when it is complete, checked and on the disk, and a name that another one has taken
 * meanwhile stays the other one's. Dying before that leaves a file `<name>.<random>.part`, which nothing reads; a later
 * backup beside it, and housekeeping, remove it.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { backupName, partOf, removeAbandonedParts } from './backups.ts'
import { checkFile } from './check.ts'
import { damagedError, ledgerError, openDatabaseReadOnly, systemCode } from './database.ts'
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
 * Copies the ledger at `path`, and checks the copy. Several at once, of one process or of many, each make a file of their
 * own.
 *
 * @throws DroverError `invalid_request` for a name that is taken or in no directory; `ledger_unavailable` for a ledger that cannot be
 *   read, a copy that cannot be written or does not fit on the disk, or one that is damaged, which then is not kept
 */
export function backup(path: string, options: BackupOptions = {}): Backup {
  const began = performance.now()
  const source = resolve(path)
  const now = new Date()
  const { force = false } = options
  const named = options.file === undefined ? null : resolve(options.file)
  if (named === null) makeDirectory(dirname(backupName(source, now)))
  else refuseUnfit(source, named, force)
  removeAbandonedParts(named ?? backupName(source, now), now)
  const part = partOf(named ?? backupName(source, now))
  copyTo(source, part, 'The backup')
  try {
    const facts = readFileFacts(part)
    const file = named === null ? placeUnnamed(part, source, now) : placeNamed(part, named, force)
    syncDirectory(dirname(file))
    return { file, ...facts, durationMs: Math.round(performance.now() - began) }
  } finally {
    rmSync(part, { force: true })
  }
}

/** Under the first free name of this second. */
function placeUnnamed(part: string, source: string, now: Date): string {
  for (let nth = 1; ; nth++) {
    const file = backupName(source, now, nth)
    if (isPlaced(part, file)) return file
  }
}

function placeNamed(part: string, file: string, force: boolean): string {
  if (force) renameSync(part, file)
  else if (!isPlaced(part, file)) throw taken(file, 'is there already (--force replaces it)')
  return file
}

/** Gives it the name unless that is taken: a rename would take the place of whatever has it. */
function isPlaced(part: string, file: string): boolean {
  try {
    linkSync(part, file)
    return true
  } catch (error) {
    if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) return false
    // Not every file system has links.
    if (!/^E(PERM|NOTSUP|OPNOTSUPP|NOSYS|INVAL)$/.test(systemCode(error))) throw error
    renameSync(part, file)
    return true
  }
}

/**
 * One checked, synced file with what the ledger at `source` holds, its journal included. Nothing is left where that
 * fails. `what` begins the sentence of a refusal: "The backup".
 *
 * @throws DroverError `ledger_unavailable`; also where there is a file `part` already
 */
export function copyTo(source: string, part: string, what: string): void {
  reserve(source, part, what)
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

/**
 * An empty file, for no more users than the source. `VACUUM INTO` takes it: so what cannot be written is told from what
 * cannot be read.
 */
function reserve(source: string, part: string, what: string): void {
  const from = seen(() => statSync(source, { throwIfNoEntry: false }))
  const rights = typeof from === 'object' ? from.mode & 0o777 : 0
  try {
    closeSync(openSync(part, 'wx', rights | 0o600))
  } catch (error) {
    throw new DroverError(
      'ledger_unavailable',
      `${what} ${part} cannot be written (${messageOf(error)}). Give this user write access to its directory, or name ` +
        'a file elsewhere.',
      { file: part, reason: systemCode(error) || null },
      { cause: error },
    )
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

function refuseUnfit(source: string, file: string, force: boolean): void {
  requireDirectory(file)
  const found = seen(() => lstatSync(file, { throwIfNoEntry: false }))
  if (file === source || [`${source}-wal`, `${source}-shm`, `${source}.lock`].includes(file))
    throw taken(file, 'is the ledger itself')
  if (found === undefined || found === 'hidden') return
  if (!found.isFile()) throw taken(file, 'is no regular file')
  if (!force) throw taken(file, 'is there already (--force replaces it)')
}

/** What this user may not even look at it may not write either: `reserve` says so. */
function seen(look: () => Stats | undefined): Stats | undefined | 'hidden' {
  try {
    return look()
  } catch {
    return 'hidden'
  }
}

function taken(file: string, why: string): DroverError {
  return new DroverError('invalid_request', `${file} ${why}. Name another file for the backup.`, { file })
}

/** Made by us it would hide that a disk is not mounted. */
function requireDirectory(file: string): void {
  const found = seen(() => statSync(dirname(file), { throwIfNoEntry: false }))
  if (found === 'hidden' || found?.isDirectory() === true) return
  throw new DroverError(
    'invalid_request',
    `${dirname(file)} is no directory. Make it (or mount its disk), or name another file for the backup.`,
    { file },
  )
}

function makeDirectory(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true })
  } catch (error) {
    throw new DroverError(
      'ledger_unavailable',
      `The directory of backups ${dir} cannot be made (${messageOf(error)}). Give this user write access beside the ` +
        'ledger, or name a file for the backup.',
      { file: dir, reason: systemCode(error) || null },
      { cause: error },
    )
  }
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
