/**
 * Numbered migrations, forward only: `migrations/NNNN_name.sql`, each in one transaction, each once.
 *
 * What was applied is in `schema_migration` with a checksum; `PRAGMA user_version` mirrors the number, so that a
 * reader needs one look. Two processes that race are settled by SQLite's write lock: the later one finds the work
 * done. A newer file refuses an older Drover, and a migration that was edited after it was applied is refused.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DroverError } from '../core/errors.ts'
import { sha256 } from '../core/ids.ts'
import type { Db } from './database.ts'

/** Two levels above this file, in the sources and in `dist/` alike. */
export const MIGRATIONS_DIR = resolve(import.meta.dirname, '../../migrations')

const FILE_PATTERN = /^(\d{4})_[a-z0-9_]+\.sql$/

export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

interface AppliedMigration {
  readonly version: number
  readonly name: string
  readonly checksum: string
}

/** The migrations of a directory, in order. Throws when a number is missing or there twice: a broken package. */
export function readMigrations(dir: string = MIGRATIONS_DIR): readonly Migration[] {
  const names = readdirSync(dir)
    .filter((name) => FILE_PATTERN.test(name))
    .toSorted()
  return names.map((name, index) => {
    const version = Number(name.slice(0, 4))
    if (version !== index + 1) throw new Error(`${dir}: expected migration ${index + 1}, found ${name}`)
    const sql = readFileSync(join(dir, name), 'utf8')
    return { version, name, sql, checksum: sha256(sql) }
  })
}

/** The number of the newest migration. */
export function newestVersion(migrations: readonly Migration[] = readMigrations()): number {
  return migrations.at(-1)?.version ?? 0
}

/**
 * Brings the file to the newest schema.
 *
 * @returns the names of the migrations that this call applied
 * @throws DroverError `ledger_unavailable` when the file is newer, or a migration was edited
 */
export function migrate(db: Db, migrations: readonly Migration[] = readMigrations()): readonly string[] {
  const applied: string[] = []
  refuseUnfit(db, migrations)
  // The lock is taken only where there is work, so that opening a ledger never waits for a busy writer.
  while (schemaVersion(db) < newestVersion(migrations)) {
    const name = db.transaction(() => applyNext(db, migrations)).immediate()
    if (name !== null) applied.push(name)
  }
  return applied
}

/** The schema's number; 0 for a file without one. */
export function schemaVersion(db: Db): number {
  return Number(db.pragma('user_version', { simple: true }))
}

/** For a reader: the file must have exactly the schema of this Drover. */
export function requireCurrentSchema(db: Db, newest: number = newestVersion()): void {
  const version = schemaVersion(db)
  if (version === newest) return
  if (version > newest) throw tooNew(db, version, newest)
  throw new DroverError(
    'ledger_unavailable',
    `The ledger ${db.name} has schema ${version}, this Drover needs ${newest}. Run "drover migrate".`,
    { file: db.name },
  )
}

/** In its own transaction; null when another process was quicker. */
function applyNext(db: Db, migrations: readonly Migration[]): string | null {
  db.exec(`CREATE TABLE IF NOT EXISTS schema_migration (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at TEXT NOT NULL
  ) STRICT`)
  refuseUnfit(db, migrations)
  const present = schemaVersion(db)
  const next = migrations.find(({ version }) => version > present)
  if (next === undefined) return null
  db.exec(next.sql)
  db.prepare(
    `INSERT INTO schema_migration (version, name, checksum, applied_at)
     VALUES (?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`,
  ).run(next.version, next.name, next.checksum)
  db.pragma(`user_version = ${next.version}`)
  return next.name
}

function refuseUnfit(db: Db, migrations: readonly Migration[]): void {
  const version = schemaVersion(db)
  const newest = newestVersion(migrations)
  if (version > newest) throw tooNew(db, version, newest)
  if (version === 0) return
  const rows = db.prepare<[], AppliedMigration>('SELECT version, name, checksum FROM schema_migration').all()
  for (const row of rows) {
    const ours = migrations.find((migration) => migration.version === row.version)
    if (ours !== undefined && ours.checksum === row.checksum) continue
    throw new DroverError(
      'ledger_unavailable',
      `Migration ${row.name} was changed after the ledger ${db.name} had applied it. ` +
        'Put the original file back; a change of schema is a new migration.',
      { file: db.name },
    )
  }
}

function tooNew(db: Db, version: number, newest: number): DroverError {
  return new DroverError(
    'ledger_unavailable',
    `The ledger ${db.name} was written by a newer Drover (schema ${version}, this one knows ${newest}). Update Drover.`,
    { file: db.name },
  )
}
