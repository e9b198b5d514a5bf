/** Where backups lie and what they are called: `<data_dir>/backups/orchestrator-20261121T021500Z.db`. */
import { readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const PATTERN = /^orchestrator-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z\.db$/

/** A backup of the default name. */
export interface FoundBackup {
  readonly file: string
  /** When it was begun. */
  readonly at: Date
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
      const [year = '', month = '', day = '', hour = '', minute = '', second = ''] = parts
      const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
      return [{ file: join(backupsDir(path), name), at }]
    })
    .toSorted((a, b) => b.at.getTime() - a.at.getTime())
}

/** Longer than a copy that goes on leaves its file alone. */
const ABANDONED_MS = 3_600_000

/**
 * Removes what backups of the default name left when they were killed: each may be as large as the ledger. A copy that
 * is being written stays.
 */
export function removeAbandonedParts(path: string, now: Date): void {
  for (const name of namesIn(backupsDir(path))) {
    if (!name.endsWith('.part') || !PATTERN.test(name.slice(0, -'.part'.length))) continue
    const part = join(backupsDir(path), name)
    const written = statSync(part, { throwIfNoEntry: false })?.mtimeMs ?? now.getTime()
    if (now.getTime() - written > ABANDONED_MS) rmSync(part, { force: true })
  }
}

/** The name of a backup that begins now. */
export function backupName(path: string, now: Date): string {
  return join(backupsDir(path), `orchestrator-${stampOf(now)}.db`)
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
