import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createRedactor } from '../../src/core/redact.ts'
import { readStderrTail } from '../../src/worker/stderr-tail.ts'

const SECRET = 'correct-horse-battery-staple'
const redactor = createRedactor({ secrets: [{ name: 'KEY', value: SECRET }] })
let dir: string
let path: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-stderr-'))
  path = join(dir, 'stderr.log')
})
afterEach(() => rm(dir, { recursive: true }))

test('of a file larger than memory the end is read', async () => {
  const file = await open(path, 'w')
  // A hole: it takes no room on the disk.
  await file.truncate(2 ** 40)
  await file.write('\nError: out of ideas\n', 2 ** 40)
  await file.close()
  const tail = await readStderrTail(path, redactor)
  expect(tail.endsWith('\nError: out of ideas\n')).toBe(true)
  expect(tail).toHaveLength(64 * 1024)
})

test('no part of a secret is left where the text is cut', async () => {
  const after = 'x'.repeat(64 * 1024 - SECRET.length / 2)
  await writeFile(path, `before ${SECRET}${after}`)
  const tail = await readStderrTail(path, redactor)
  expect(tail.replaceAll('x', '')).not.toMatch(/battery|staple/)
  expect(tail.endsWith('xxx')).toBe(true)
})

test('a short one is whole; none is nothing', async () => {
  expect(await readStderrTail(path, redactor)).toBe('')
  await writeFile(path, `the key is ${SECRET}.\n`)
  expect(await readStderrTail(path, redactor)).toBe('the key is [redacted:KEY].\n')
})
