import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readTextFile } from '../../src/config/text-file.ts'
import { tempDir } from './files.ts'

describe('readTextFile', () => {
  test('the text, up to the very limit', () => {
    const dir = tempDir({ a: 'äb', empty: '' })
    expect(readTextFile(join(dir, 'a'), 3)).toEqual({ ok: true, text: 'äb' })
    expect(readTextFile(join(dir, 'a'), 2)).toEqual({
      ok: false,
      missing: false,
      problem: 'is larger than 0 KB',
    })
    expect(readTextFile(join(dir, 'empty'), 3)).toEqual({ ok: true, text: '' })
  })

  test('any text comes back, and any bytes never throw', () => {
    const dir = tempDir()
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const wellFormed = text.toWellFormed().replace(/^\uFEFF/, '')
        const path = join(tempDir({ f: wellFormed }), 'f')
        expect(readTextFile(path, 1000)).toEqual({ ok: true, text: wellFormed })
      }),
      { numRuns: 30 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const path = join(tempDir({ f: bytes }), 'f')
        expect(readTextFile(path, 1000)).toHaveProperty('ok')
      }),
      { numRuns: 30 },
    )
    expect(readTextFile(dir, 1000)).toMatchObject({ ok: false, missing: false })
  })

  test('a missing file is told from one that cannot be read', () => {
    const dir = tempDir({ file: '' })
    symlinkSync('loop', join(dir, 'loop'))
    symlinkSync('nowhere', join(dir, 'dangling'))
    expect(readTextFile(join(dir, 'none'), 9)).toMatchObject({
      ok: false,
      missing: true,
      problem: 'does not exist',
    })
    expect(readTextFile(join(dir, 'dangling'), 9)).toMatchObject({ ok: false, missing: true })
    expect(readTextFile(join(dir, 'file/below'), 9)).toMatchObject({ ok: false, missing: true })
    expect(readTextFile(join(dir, 'loop'), 9)).toMatchObject({ ok: false, missing: false })
    expect(readTextFile(join(dir, 'x\0y'), 9)).toMatchObject({ ok: false, missing: false })
  })

  test('a FIFO and a socket do not hang it', async () => {
    const dir = tempDir()
    execFileSync('mkfifo', [join(dir, 'fifo')])
    expect(readTextFile(join(dir, 'fifo'), 9)).toMatchObject({ ok: false, problem: 'is not a regular file' })

    const server = createServer()
    await new Promise<void>((resolve) => server.listen(join(dir, 'socket'), resolve))
    expect(readTextFile(join(dir, 'socket'), 9)).toMatchObject({
      ok: false,
      problem: 'is not a regular file',
    })
    await new Promise((resolve) => server.close(resolve))
  })
})
