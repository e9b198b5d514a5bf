/**
 * A backup in the ledger's place.
 *
 *     lock ─▶ copy and check the backup (`.restore-part`) ─▶ `.restoring` ─▶ present files aside ─▶ into its place
 *
 * Nothing is deleted: what was there is moved aside under a name of its own. From the moment that `.restoring` is
 * there until it has become the ledger, starting is refused (`half-restored.ts`), because a journal may lie without
 * its file then. Dying before that leaves the ledger as it was; dying after it, the restore is run again and takes
 * the steps that are left. Its position is inside the backup, so the recorder reads what the stream still holds.
 */
import { accessSync, constants, lstatSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { copyTo, syncDirectory } from './backup.ts'
import { stampOf } from './backups.ts'
import { aboutFile } from './database.ts'
import { readFileFacts, type FileFacts } from './file-facts.ts'
import { restoringPathOf } from './half-restored.ts'
import { holdAlone } from './in-use.ts'
import { newestVersion } from './migrate.ts'

/** What a restore did. */
export interface Restored extends FileFacts {
  readonly ledger: string
  readonly from: string
  /** Where the files went that were there before. */
  readonly aside: readonly string[]
  readonly durationMs: number
}

export interface RestoreParts {
  /** The ledger's path. */
  readonly path: string
  /** The backup. Its own journal, where it has one, counts. */
  readonly from: string
  /** The event stream of the configured namespace. */
  readonly streamKey: string
}

/**
 * Puts the backup in the ledger's place.
 *
 * @throws DroverError `ledger_unavailable` while a recorder uses the ledger, where this user may not write, and for a
 *   backup that is damaged, no ledger, of another namespace or of a newer Drover; nothing was changed then
 */
export function restore({ path, from, streamKey }: RestoreParts): Restored {
  const ledger = resolve(path)
  return aboutFile(ledger, () => putBack(ledger, resolve(from), streamKey))
}

function putBack(ledger: string, source: string, streamKey: string): Restored {
  const began = performance.now()
  mkdirSync(dirname(ledger), { recursive: true })
  const hold = holdAlone(ledger, 'restore')
  try {
    const facts = prepare(ledger, source, streamKey)
    const aside = moveAside(ledger)
    renameSync(restoringPathOf(ledger), ledger)
    syncDirectory(dirname(ledger))
    return { ledger, from: source, ...facts, aside, durationMs: Math.round(performance.now() - began) }
  } finally {
    hold.release()
  }
}

/** The checked copy as `.restoring`, on the disk. */
function prepare(ledger: string, source: string, streamKey: string): FileFacts {
  if (source === ledger) throw refusal(source, 'is the ledger itself. Name a backup.')
  requireReadable(source)
  if (!statSync(source, { throwIfNoEntry: false })?.isFile())
    throw refusal(source, 'is no regular file. Name a backup.')
  const restoring = restoringPathOf(ledger)
  const facts = factsOf(source)
  requireFit(facts, source, streamKey)
  if (source === restoring) return facts
  const part = `${ledger}.restore-part`
  rmSync(part, { force: true })
  copyTo(source, part, 'The copy')
  renameSync(part, restoring)
  syncDirectory(dirname(ledger))
  return facts
}

function requireReadable(source: string): void {
  try {
    accessSync(source, constants.R_OK)
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw refusal(
      source,
      isMissing
        ? 'is not there. Name a file that "drover ledger backup" made.'
        : `cannot be read (${messageOf(error)}). Give this user the right to read it, or name another backup.`,
    )
  }
}

function factsOf(source: string): FileFacts {
  try {
    return readFileFacts(source)
  } catch (error) {
    throw new DroverError(
      'ledger_unavailable',
      `${source} is no ledger, or damaged (${error instanceof Error ? error.message : String(error)}). ` +
        'Nothing was changed; name another backup.',
      { file: source },
      { cause: error },
    )
  }
}

function requireFit(facts: FileFacts, source: string, streamKey: string): void {
  if (facts.schema > newestVersion()) {
    throw refusal(source, `was written by a newer Drover (schema ${facts.schema}). Update Drover first.`)
  }
  if (facts.streamKey !== null && facts.streamKey !== streamKey) {
    throw refusal(
      source,
      `records ${facts.streamKey}, not ${streamKey}. Set DROVER_NAMESPACE, or name another backup.`,
    )
  }
}

function refusal(source: string, sentence: string): DroverError {
  return new DroverError('ledger_unavailable', `${source} ${sentence}`, { file: source })
}

const PARTS = ['', '-wal', '-shm', '-journal']

/** All that belongs to the present ledger, whatever it is, under a name that nothing has. */
function moveAside(ledger: string): string[] {
  const stamp = stampOf(new Date())
  let name = `${ledger}.replaced-${stamp}`
  for (let count = 2; PARTS.some((part) => isThere(name + part)); count++) {
    name = `${ledger}.replaced-${stamp}-${count}`
  }
  return PARTS.filter((part) => isThere(ledger + part)).map((part) => {
    renameSync(ledger + part, name + part)
    return name + part
  })
}

/** Also a link that leads nowhere. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
