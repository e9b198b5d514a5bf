/**
 * Migrations killed with SIGKILL half way: what was begun is undone, the file is as it was before, and whoever opens it
 * next finishes, also when several do at once.
 */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { execa } from 'execa'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readMigrations, schemaVersion } from '../../src/ledger/migrate.ts'
import { createTempDir } from './temp-ledger.ts'

let temp: ReturnType<typeof createTempDir>
let path: string
beforeEach(() => {
  temp = createTempDir()
  path = join(temp.dir, 'orchestrator.db')
})
afterEach(() => temp.remove())

const source = (name: string): string =>
  JSON.stringify(join(import.meta.dirname, '../../src/ledger', `${name}.ts`))

/** Runs a program that has `migrate`, the shipped migrations, `openLedger` and `path`. */
const run = (program: string) =>
  execa(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `const { migrate, readMigrations } = await import(${source('migrate')})
       const { openDatabase } = await import(${source('database')})
       const { openLedger } = await import(${source('open')})
       const [path, shipped] = [${JSON.stringify(path)}, readMigrations()]
       ${program}`,
    ],
    { env: {}, extendEnv: false, reject: false },
  )

/** Brings the file to `version`, and is killed when all of `next` has run and nothing of it is committed. */
async function dieIn(version: number, next: string): Promise<void> {
  const { signal, stderr } = await run(`
    const db = openDatabase(path)
    migrate(db, shipped.slice(0, ${version}))
    db.function('die', () => process.kill(process.pid, 'SIGKILL'))
    const name = '9999_deadly.sql'
    migrate(db, [...shipped.slice(0, ${version}),
      { version: ${version + 1}, name, checksum: '', sql: ${next} + '; SELECT die()' }])`)
  expect(signal, stderr).toBe('SIGKILL')
}

function look<T>(ask: (db: Database.Database) => T): T {
  const db = new Database(path)
  try {
    return ask(db)
  } finally {
    db.close()
  }
}

it('each of the shipped ones: the file is as it was, and goes on from there', async () => {
  const shipped = readMigrations()
  for (const { version } of shipped) {
    await dieIn(version - 1, `shipped[${version - 1}].sql`)
    look((db) => {
      expect(schemaVersion(db)).toBe(version - 1)
      expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
      if (version === 2)
        db.exec(`INSERT INTO roadmap_priority (priority_number, title, status) VALUES (7, 'kept', 'planned')`)
    })
  }
  // Several open what the last one left, at the same moment.
  const start = Date.now() + 1000
  const racers = await Promise.all(
    Array.from({ length: 2 }, () =>
      run(`
        while (Date.now() < ${start}) {}
        const ledger = openLedger(path)
        process.stdout.write(JSON.stringify(ledger.applied))
        ledger.close()`),
    ),
  )
  expect(racers.map(({ stderr }) => stderr)).toEqual(['', ''])
  expect(racers.flatMap(({ stdout }): string[] => JSON.parse(stdout))).toEqual([shipped.at(-1)?.name])
  look((db) => {
    expect(schemaVersion(db)).toBe(shipped.length)
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(db.prepare('SELECT title FROM roadmap_priority').pluck().all()).toEqual(['kept'])
  })
})

it('a large one, of which much is in the journal already', async () => {
  const shipped = readMigrations()
  const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
    INSERT INTO big SELECT i, hex(randomblob(250)) FROM n`
  await dieIn(shipped.length, `"CREATE TABLE big (a INTEGER, b TEXT) STRICT; ${rows.replaceAll('\n', ' ')}"`)
  look((db) => {
    expect(schemaVersion(db)).toBe(shipped.length)
    expect(db.prepare(`SELECT count(*) FROM sqlite_schema WHERE name = 'big'`).pluck().get()).toBe(0)
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
  })
})
