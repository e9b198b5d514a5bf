/** What an agent may have put where Drover reads a small file: nothing of it is waited for. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readSmallFile } from '../../src/session/small-file.ts'
import { workspaceId } from '../../src/session/workspace.ts'
import { listPlaces } from '../../src/session/worktree/place.ts'
import { listRecords } from '../../src/session/worktree/record.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
const at = (...names: string[]): string => join(scratch.dir, ...names)
const pipe = (...names: string[]): void => void execFileSync('mkfifo', [at(...names)])

beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(() => scratch.check())

test('a file is read up to its limit, also behind a link', async () => {
  writeFileSync(at('file'), 'größer')
  symlinkSync('file', at('link'))
  expect(await readSmallFile(at('link'), 8)).toBe('größer')
  await expect(readSmallFile(at('file'), 7)).rejects.toThrow('more than 7 bytes')
  await expect(readSmallFile(at('none'), 7)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a pipe, a device and a directory are no files', async () => {
  pipe('pipe')
  symlinkSync('/dev/zero', at('device'))
  for (const path of [at('pipe'), at('device'), at()]) {
    await expect(readSmallFile(path, 8)).rejects.toThrow('no regular file')
  }
})

test('pipes in place of what a repository says of worktrees and of its id hold nobody up', async () => {
  // More than a process has threads for files.
  const names = Array.from({ length: 6 }, (_, n) => `TASK-${n}`)
  mkdirSync(at('.git/drover'), { recursive: true })
  for (const name of names) {
    pipe('.git/drover', `${name}.json`)
    mkdirSync(at('data/worktrees', name), { recursive: true })
    pipe('data/worktrees', name, 'repository.json')
  }
  pipe('.git/drover-workspace-id')
  expect(await listRecords(at('.git'))).toEqual([])
  expect(await listPlaces(at('data'))).toEqual([])
  await expect(workspaceId(at())).rejects.toMatchObject({ code: 'invalid_request' })
})
