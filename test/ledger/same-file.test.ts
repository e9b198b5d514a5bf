import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createTempLedger, type TempLedger } from './temp-ledger.ts'

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

const write = (): void =>
  temp.ledger.transaction(() => temp.ledger.tables.sessions.ensure('s', 'architect', 't'))

it.each([
  ['moved or deleted', () => {}],
  ['replaced by a directory', () => mkdirSync(temp.path)],
  ['replaced by a link', () => symlinkSync(`${temp.path}.away`, temp.path)],
  ['replaced by what is no regular file', () => execFileSync('mkfifo', [temp.path])],
  ['replaced by another file', () => copyFileSync(`${temp.path}.away`, temp.path)],
])('a file that was %s is not written into, until it is back', (fate, replace) => {
  renameSync(temp.path, `${temp.path}.away`)
  replace()
  expect(write).toThrow(`was ${fate} while it was in use`)
  expect(temp.ledger.trouble()).toMatchObject({ alarm: 'ledger_replaced' })

  rmSync(temp.path, { recursive: true, force: true })
  renameSync(`${temp.path}.away`, temp.path)
  write()
  expect(temp.ledger.trouble()).toBeNull()
  expect(temp.ledger.sessions.get('s')).not.toBeNull()
})
