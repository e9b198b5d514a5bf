/**
 * Where backups lie and what they are called: `<data_dir>/backups/orchestrator-20261121T021500Z.db`; the second one of
 * the same second ends in `Z-2.db`.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const PATTERN = /^orchestrator-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z(?:-(\d+))?\.db$/
/** What is being written, with the name that it is to get. */
const PART = /^(.+)\.[0-9a-f]{8}\.part$/

/** A backup of the default name. */
export interface FoundBackup {
  readonly file: string
  /** When it was begun. */
  readonly at: Date
  /** The how many-th of that second. */
  readonly nth: number
}

/** The directory of the backups of the ledger at `path`; it may not be there. */
export function backupsDir(path: string): string {
  return join(dirname(path), 'backups')
}

/** Newest first. A directory that cannot be read has none. */
export function listBackups(path: string): readonly FoundBackup[] {
  return namesIn(backupsDir(path))
    .flatMap((name) => {
      const [, ...parts] = PATTERN.exec(name) ?? []
      if (parts.length === 0) return []
      const [year = '', month = '', day = '', hour = '', minute = '', second = '', nth = '1'] = parts
      const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
      return [{ file: join(backupsDir(path), name), at, nth: Number(nth) }]
    })
    .toSorted((a, b) => b.at.getTime() - a.at.getTime() || b.nth - a.nth)
}

/** What a backup is written to before it gets its name: nobody else writes there. */
export function partOf(file: string): string {
  return `${file}.${randomBytes(4).toString('hex')}.part`
}

/** Longer than a copy that goes on leaves its file alone. */
const ABANDONED_MS = 3_600_000

/**
 * Removes what backups beside `file` left when they were killed, those of its name or of a default one: each may be as
 * large as the ledger. A copy that is being written stays.
 */
export function removeAbandonedParts(file: string, now: Date): void {
  const dir = dirname(file)
  for (const name of namesIn(dir)) {
    const [, of = ''] = PART.exec(name) ?? []
    if (of !== basename(file) && !PATTERN.test(of)) continue
    const part = join(dir, name)
    const written = statSync(part, { throwIfNoEntry: false })?.mtimeMs ?? now.getTime()
    if (now.getTime() - written > ABANDONED_MS) rmSync(part, { force: true })
  }
}

/** The name of a backup that begins now, the `nth` of this second. */
export function backupName(path: string, now: Date, nth = 1): string {
  return join(backupsDir(path), `orchestrator-${stampOf(now)}${nth === 1 ? '' : `-${nth}`}.db`)
}

/** `20261121T021500Z`: sorts by time, and is a name on every file system. */
export function stampOf(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

/** The command that brings the newest backup back, for messages. */
export function restoreHint(path: string): string {
  return `drover ledger restore ${listBackups(path)[0]?.file ?? '<backup>'}`
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}
