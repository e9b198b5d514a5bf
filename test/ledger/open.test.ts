import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isDroverError } from '../../src/core/errors.ts'
import { readMigrations } from '../../src/ledger/migrate.ts'
import { openLedger, openLedgerReader } from '../../src/ledger/open.ts'
import { createTempDir } from './temp-ledger.ts'

let temp: ReturnType<typeof createTempDir>
let path: string
beforeEach(() => {
  temp = createTempDir()
  path = join(temp.dir, 'orchestrator.db')
})
afterEach(() => temp.remove())

function refusalOf(open: () => unknown): string {
  try {
    open()
  } catch (error) {
    if (isDroverError(error) && error.code === 'ledger_unavailable') return error.message
    throw error
  }
  throw new Error('it was opened')
}

describe('openLedger', () => {
  it('makes directory, file, schema and link, and keeps what was committed through a power cut', () => {
    path = join(temp.dir, 'deep', 'data', 'orchestrator.db')
    const ledger = openLedger(path)
    expect(ledger.applied).toEqual(readMigrations().map(({ name }) => name))
    expect(ledger.linked).toBe(true)
    // What agents said is for nobody else.
    for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readlinkSync(join(temp.dir, 'deep', 'data', 'claude_invocations.db'))).toBe('orchestrator.db')
    ledger.close()
    const again = openLedger(path)
    expect(again.applied).toEqual([])
    again.close()
    again.close()
    const db = new Database(path)
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
    db.close()
  })

  it('replaces a link that points elsewhere, and leaves a real file alone', () => {
    const link = join(temp.dir, 'claude_invocations.db')
    symlinkSync('somewhere/else.db', link)
    openLedger(path).close()
    expect(readlinkSync(link)).toBe('orchestrator.db')

    const other = createTempDir()
    writeFileSync(join(other.dir, 'claude_invocations.db'), 'mine')
    const ledger = openLedger(join(other.dir, 'orchestrator.db'))
    expect(ledger.linked).toBe(false)
    ledger.close()
    expect(lstatSync(join(other.dir, 'claude_invocations.db')).isFile()).toBe(true)
    expect(readFileSync(join(other.dir, 'claude_invocations.db'), 'utf8')).toBe('mine')
    other.remove()
  })

  it('commits all of a transaction or nothing, and undoes a part of it alone', () => {
    const ledger = openLedger(path)
    const { sessions } = ledger.tables
    expect(() =>
      ledger.transaction(() => {
        sessions.ensure('lost', 'architect', 't')
        throw new Error('no')
      }),
    ).toThrow('no')
    ledger.transaction(() => {
      sessions.ensure('kept', 'architect', 't')
      expect(() =>
        ledger.transaction(() => {
          sessions.ensure('part', 'architect', 't')
          throw new Error('only this')
        }),
      ).toThrow('only this')
    })
    expect(['lost', 'kept', 'part'].map((id) => ledger.sessions.get(id) !== null)).toEqual([
      false,
      true,
      false,
    ])
    ledger.close()
  })

  it('says what is wrong with the file, and changes nothing of it', () => {
    mkdirSync(path)
    expect(refusalOf(() => openLedger(path))).toMatch(/is a directory\. Move it away, or set DROVER_DATA_DIR/)

    const garbage = join(temp.dir, 'garbage.db')
    writeFileSync(garbage, 'x'.repeat(10_000))
    expect(refusalOf(() => openLedger(garbage))).toMatch(
      /damaged or no SQLite file .* put a backup in its place/,
    )
    expect(readFileSync(garbage, 'utf8')).toBe('x'.repeat(10_000))

    const underFile = join(garbage, 'orchestrator.db')
    expect(refusalOf(() => openLedger(underFile))).toMatch(/cannot be opened .* read and write access/)

    const foreign = join(temp.dir, 'foreign.db')
    const db = new Database(foreign)
    db.exec('CREATE TABLE theirs (a)')
    db.close()
    expect(refusalOf(() => openLedger(foreign))).toMatch(/is a database of another program/)
  })

  it('does not hang on a FIFO', () => {
    execFileSync('mkfifo', [path])
    expect(refusalOf(() => openLedger(path))).toMatch(/is no regular file/)
    expect(refusalOf(() => openLedgerReader(path))).toMatch(/is no regular file/)
  })
})

describe('openLedgerReader', () => {
  it('reads what the writer commits, while it writes, and cannot write', () => {
    const ledger = openLedger(path)
    const reader = openLedgerReader(path)
    ledger.transaction(() => {
      ledger.tables.sessions.ensure('s1', 'architect', 't')
      expect(reader.sessions.get('s1')).toBeNull()
    })
    expect(reader.sessions.get('s1')?.agent_type).toBe('architect')
    expect(Object.keys(reader)).not.toContain('tables')
    reader.close()
    ledger.close()
  })

  it('answers for a ledger that is not there, or not migrated', () => {
    expect(refusalOf(() => openLedgerReader(path))).toContain(path)
    new Database(path).close()
    writeFileSync(path, '')
    expect(refusalOf(() => openLedgerReader(path))).toMatch(/Run "drover migrate"/)
  })

  it('answers ledger_unavailable when the file breaks under it', () => {
    const ledger = openLedger(path)
    ledger.close()
    const reader = openLedgerReader(path)
    writeFileSync(path, Buffer.alloc(200_000, 7))
    expect(refusalOf(() => reader.sessions.list())).toContain(path)
    reader.close()
  })
})
