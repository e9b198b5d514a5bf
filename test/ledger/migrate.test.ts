import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  migrate,
  MIGRATIONS_DIR,
  readMigrations,
  requireCurrentSchema,
  schemaVersion,
} from '../../src/ledger/migrate.ts'
import { createTempDir } from './temp-ledger.ts'

let temp: ReturnType<typeof createTempDir>
beforeEach(() => {
  temp = createTempDir()
})
afterEach(() => temp.remove())

function migrationOf(version: number, sql: string) {
  return { version, name: `000${version}_test.sql`, sql, checksum: `of ${sql}` }
}
const FIRST = migrationOf(1, 'CREATE TABLE one (a INTEGER) STRICT')
const SECOND = migrationOf(2, 'CREATE TABLE two (a INTEGER) STRICT')

describe('migrate', () => {
  it('applies what is missing, in order, once', () => {
    const db = new Database(join(temp.dir, 'a.db'))
    expect(migrate(db, [FIRST])).toEqual(['0001_test.sql'])
    expect(migrate(db, [FIRST, SECOND])).toEqual(['0002_test.sql'])
    expect(migrate(db, [FIRST, SECOND])).toEqual([])
    expect(schemaVersion(db)).toBe(2)
    expect(db.prepare('SELECT version, name, checksum FROM schema_migration ORDER BY version').all()).toEqual(
      [FIRST, SECOND].map(({ version, name, checksum }) => ({ version, name, checksum })),
    )
    db.close()
  })

  it('leaves nothing of a migration that fails half way', () => {
    const db = new Database(join(temp.dir, 'a.db'))
    const broken = migrationOf(2, 'CREATE TABLE two (a INTEGER) STRICT; CREATE TABLE one (a INTEGER) STRICT')
    expect(() => migrate(db, [FIRST, broken])).toThrow('already exists')
    expect(schemaVersion(db)).toBe(1)
    expect(db.prepare(`SELECT count(*) FROM sqlite_schema WHERE name = 'two'`).pluck().get()).toBe(0)
    expect(migrate(db, [FIRST, SECOND])).toEqual(['0002_test.sql'])
    db.close()
  })

  it('refuses a file that a newer Drover wrote', () => {
    const db = new Database(join(temp.dir, 'a.db'))
    migrate(db, [FIRST, SECOND])
    expect(() => migrate(db, [FIRST])).toThrow(/written by a newer Drover \(schema 2, this one knows 1\)/)
    expect(() => requireCurrentSchema(db, 1)).toThrow(/newer Drover/)
    db.close()
  })

  it('tells a reader to migrate an older file', () => {
    const db = new Database(join(temp.dir, 'a.db'))
    migrate(db, [FIRST])
    expect(() => requireCurrentSchema(db, 2)).toThrow(
      /has schema 1, this Drover needs 2. Run "drover migrate"/,
    )
    db.close()
  })

  it('refuses a migration that was edited after it was applied', () => {
    const db = new Database(join(temp.dir, 'a.db'))
    migrate(db, [FIRST])
    const edited = { ...FIRST, checksum: 'another' }
    expect(() => migrate(db, [edited, SECOND])).toThrow(/0001_test.sql was changed after/)
    expect(schemaVersion(db)).toBe(1)
    db.close()
  })

  it('refuses a package with a hole in its numbers, or a number twice', () => {
    const dir = join(temp.dir, 'm')
    mkdirSync(dir)
    writeFileSync(join(dir, '0001_first.sql'), 'SELECT 1')
    writeFileSync(join(dir, '0003_third.sql'), 'SELECT 1')
    expect(() => readMigrations(dir)).toThrow('expected migration 2, found 0003_third.sql')
    writeFileSync(join(dir, '0002_second.sql'), 'SELECT 1')
    expect(readMigrations(dir).map(({ version }) => version)).toEqual([1, 2, 3])
    writeFileSync(join(dir, '0003_twin.sql'), 'SELECT 1')
    expect(() => readMigrations(dir)).toThrow('expected migration 4, found 0003_twin.sql')
  })

  it('lets processes that open a fresh ledger at once settle', async () => {
    const path = join(temp.dir, 'orchestrator.db')
    const open = join(import.meta.dirname, '../../src/ledger/open.ts')
    const program = `
      const { openLedger } = await import(${JSON.stringify(open)})
      // All of them start at the same moment, whenever each process was ready.
      while (Date.now() < Number(process.argv[1])) {}
      const ledger = openLedger(${JSON.stringify(path)})
      process.stdout.write(JSON.stringify(ledger.applied))
      ledger.close()`
    const start = String(Date.now() + 1500)
    const racers = await Promise.all(
      Array.from({ length: 4 }, () =>
        execa(process.execPath, ['--input-type=module', '--eval', program, start], {
          env: {},
          extendEnv: false,
        }),
      ),
    )
    const applied = racers.flatMap(({ stdout }): string[] => JSON.parse(stdout))
    // Each one once, by whichever process came first to it.
    expect(applied.toSorted()).toEqual(readMigrations().map(({ name }) => name))
    const db = new Database(path, { readonly: true })
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(db.prepare('SELECT count(*) FROM schema_migration').pluck().get()).toBe(readMigrations().length)
    db.close()
  })
})

describe('the shipped migrations', () => {
  it('are plain SQL that the sqlite3 program runs', ({ skip }) => {
    skip(sqlite3Version() === null, 'sqlite3 is not installed')
    const path = join(temp.dir, 'plain.db')
    for (const { name } of readMigrations()) {
      execFileSync('sqlite3', [path, `.read '${join(MIGRATIONS_DIR, name)}'`], { env: process.env })
    }
    const tables = execFileSync('sqlite3', [path, '.tables'], { env: process.env, encoding: 'utf8' })
    expect(tables).toContain('agent_sessions')
  })

  it('make no table and no view that docs/ledger.md does not name', () => {
    const db = new Database(join(temp.dir, 'a.db'))
    migrate(db)
    const names = db
      .prepare<[], string>(
        `SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name <> 'sqlite_schema'`,
      )
      .pluck()
      .all()
    db.close()
    const page = readFileSync(join(import.meta.dirname, '../../docs/ledger.md'), 'utf8')
    expect(names.filter((name) => !page.includes(`\n| \`${name}\` `))).toEqual([])
    expect(names.length).toBeGreaterThan(15)
  })

  it('make the schema that docs/schema.sql shows', async () => {
    const db = new Database(join(temp.dir, 'a.db'))
    migrate(db)
    const statements = db
      .prepare<[], string>(
        `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'schema_migration'
           AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow')
         ORDER BY type = 'view', rowid`,
      )
      .pluck()
      .all()
    const head = `-- The schema of the ledger, made by the migrations. A test keeps it so: npx vitest run test/ledger/migrate.test.ts -u\n`
    db.close()
    await expect(`${head}\n${statements.map((sql) => `${sql};\n`).join('\n')}`).toMatchFileSnapshot(
      '../../docs/schema.sql',
    )
  })
})

function sqlite3Version(): string | null {
  try {
    return execFileSync('sqlite3', ['--version'], { encoding: 'utf8' })
  } catch {
    return null
  }
}
