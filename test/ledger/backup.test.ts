/** Copies of the ledger, and what else writes the file anew as a whole: never over another, never of a damaged one. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { isDroverError } from '../../src/core/errors.ts'
import { backup } from '../../src/ledger/backup.ts'
import { listBackups } from '../../src/ledger/backups.ts'
import { backupAside } from '../../src/ledger/chore.ts'
import { compact } from '../../src/ledger/compact.ts'
import { restore } from '../../src/ledger/restore.ts'
import { rebuild } from '../../src/recorder/rebuild.ts'
import { mixedStream } from '../recorder/mixed-stream.ts'
import { recordAll } from '../recorder/scripted-session.ts'
import { createTempLedger, damageIndex, type TempLedger } from './temp-ledger.ts'

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
  recordAll(temp.ledger, mixedStream(), 50)
})
afterEach(() => temp.remove())

const OFF = { retentionDays: 0, maxSizeMb: 0 }

async function refusal(work: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await work()
  } catch (error) {
    if (isDroverError(error)) return error
    throw error
  }
  throw new Error('It was not refused.')
}

describe('a backup', () => {
  it('taken several times at once is several files, each whole', async () => {
    const { signal } = new AbortController()
    const made = await Promise.all(Array.from({ length: 4 }, () => backupAside(temp.path, signal)))
    expect(new Set(made.map(({ file }) => file)).size).toBe(4)
    const all = [...made, backup(temp.path), backup(temp.path)]
    for (const { file, sessions, events } of all) {
      expect([sessions, events]).toEqual([all[0]?.sessions, all[0]?.events])
      const db = new Database(file, { readonly: true })
      expect(db.pragma('quick_check', { simple: true })).toBe('ok')
      db.close()
    }
    expect(readdirSync(join(temp.dir, 'backups')).toSorted()).toEqual(
      all.map(({ file }) => basename(file)).toSorted(),
    )
    const [newest] = listBackups(temp.path)
    expect(newest?.file).toBe(all.at(-1)?.file)
  })

  it('takes no name that another one has, and replaces one only where that is asked for', () => {
    const file = join(temp.dir, 'copy.sqlite')
    chmodSync(temp.path, 0o640)
    backup(temp.path, { file })
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(() => backup(temp.path, { file })).toThrow(/is there already \(--force replaces it\)/)
    const before = statSync(file).ino
    backup(temp.path, { file, force: true })
    expect(statSync(file).ino).not.toBe(before)
    for (const own of [temp.path, `${temp.path}-wal`, `${temp.path}.lock`])
      expect(() => backup(temp.path, { file: own, force: true })).toThrow('is the ledger itself')
  })

  it('removes what a killed one left an hour ago, and not what is being written', () => {
    const file = join(temp.dir, 'copy.sqlite')
    const [old, fresh, other] = [
      `${file}.0a1b2c3d.part`,
      `${file}.ffffffff.part`,
      `${temp.dir}/x.0a1b2c3d.part`,
    ] as const
    for (const part of [old, fresh, other]) writeFileSync(part, '')
    for (const part of [old, other]) utimesSync(part, 1, 1)
    backup(temp.path, { file })
    const parts = readdirSync(temp.dir).filter((name) => name.endsWith('.part'))
    expect(parts.toSorted()).toEqual([basename(fresh), basename(other)].toSorted())
  })
})

test('where this user may not write, each of them says what to do', async ({ skip }) => {
  const file = backup(temp.path).file
  const streamKey = 'any'
  temp.ledger.close()
  rmSync(`${temp.path}.lock`)
  skip(!immutable('+i', temp.dir), 'this file system has no immutable directories')
  try {
    rmSync(file)
    for (const work of [
      () => restore({ path: temp.path, from: temp.path, streamKey }),
      () => rebuild(temp.path),
      () => compact(temp.path, OFF),
      () => backup(temp.path, { file: join(temp.dir, 'copy.db') }),
    ]) {
      const { code, message } = await refusal(work)
      expect(code).toBe('ledger_unavailable')
      expect(message).toMatch(/Give this user (read and )?write access/)
    }
  } finally {
    immutable('-i', temp.dir)
  }
  rmSync(join(temp.dir, 'backups'), { recursive: true })
  writeFileSync(join(temp.dir, 'backups'), '')
  expect((await refusal(() => backup(temp.path))).message).toMatch(/directory of backups .* cannot be made/)
})

test('a damaged ledger is written anew by neither compact nor rebuild', async () => {
  temp.ledger.close()
  damageIndex(temp.path)
  const before = readFileSync(temp.path)
  for (const work of [() => compact(temp.path, OFF), () => rebuild(temp.path)]) {
    expect((await refusal(work)).message).toMatch(/is damaged .*drover ledger restore/)
    expect(readFileSync(temp.path).equals(before)).toBe(true)
  }
  mkdirSync(join(temp.dir, 'backups'), { recursive: true })
  expect((await refusal(() => backup(temp.path))).message).toMatch(/is damaged/)
  expect(readdirSync(join(temp.dir, 'backups'))).toEqual([])
})

function immutable(sign: '+i' | '-i', dir: string): boolean {
  try {
    execFileSync('chattr', [sign, dir], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
