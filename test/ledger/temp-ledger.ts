/** A ledger in a directory of its own, gone after the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { openLedger, type Ledger } from '../../src/ledger/open.ts'

export interface TempLedger {
  readonly dir: string
  readonly path: string
  readonly ledger: Ledger
  /** Rows of any query, over a connection of its own. */
  rows(sql: string, ...values: unknown[]): Record<string, unknown>[]
  /** All rows of all tables, to compare two ledgers; what only says when something was written, and what is searched, is left out. */
  dump(): Record<string, unknown[]>
  remove(): void
}

export function createTempDir(): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'drover-ledger-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export function createTempLedger(): TempLedger {
  const temp = createTempDir()
  const { dir } = temp
  const path = join(dir, 'orchestrator.db')
  const ledger = openLedger(path)

  function rows(sql: string, ...values: unknown[]): Record<string, unknown>[] {
    const db = new Database(path, { readonly: true })
    try {
      return db.prepare<unknown[], Record<string, unknown>>(sql).all(...values)
    } finally {
      db.close()
    }
  }

  return {
    dir,
    path,
    ledger,
    rows,
    dump() {
      const tables = rows(
        `SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT IN ('recorder_position', 'schema_migration')
           AND name NOT GLOB '*_search*' ORDER BY name`,
      ).map(({ name }) => String(name))
      return Object.fromEntries(tables.map((table) => [table, rows(`SELECT * FROM ${table} ORDER BY 1, 2`)]))
    },
    remove() {
      ledger.close()
      temp.remove()
    },
  }
}

/** An index whose rows are not those of its table: copied as it is, nobody would see it again. */
export function damageIndex(path: string): void {
  const db = new Database(path)
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.unsafeMode()
  db.pragma('writable_schema = ON')
  db.exec(`UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'agent_sessions_created'`)
  db.close()
}
