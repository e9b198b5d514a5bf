import { createHash } from 'node:crypto'
import { appendFileSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { SpoolLine } from '../../src/session/line.ts'
import { BATCH_BYTES, BATCH_LINES, createSpoolTail, type SpoolTail } from '../../src/session/spool.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let path: string

beforeEach(async () => {
  scratch = await createScratch()
  path = join(scratch.dir, 'stdout.ndjson')
})
afterEach(() => scratch.check())

interface Reading {
  readonly batches: (readonly SpoolLine[])[]
  readonly done: Promise<void>
}

function follow(tail: SpoolTail): Reading {
  const batches: (readonly SpoolLine[])[] = []
  const done = (async () => {
    for await (const batch of tail) batches.push(batch)
  })()
  done.catch(() => undefined)
  return { batches, done }
}

const tryReadLink = (link: string): string => {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
const linesOf = (reading: Reading): SpoolLine[] => reading.batches.flat()
const numbered = (count: number, from = 1): string =>
  Array.from({ length: count }, (_, n) => `{"type":"t","n":${n + from}}\n`).join('')

it('delivers what is written while it is written, and ends after finish', async () => {
  writeFileSync(path, numbered(2))
  const tail = createSpoolTail(path)
  const reading = follow(tail)
  await until(() => linesOf(reading).length === 2)
  appendFileSync(path, '{"type":"t",')
  appendFileSync(path, '"n":3}\n')
  await until(() => linesOf(reading).length === 3)
  tail.finish()
  await reading.done
  expect(linesOf(reading).map((line) => [line.line, line.message?.['n'], line.partial])).toEqual([
    [1, 1, false],
    [2, 2, false],
    [3, 3, false],
  ])
})

it('delivers all that was written before finish, a half last line too', async () => {
  const text = `${numbered(1234)}{"type":"half`
  writeFileSync(path, text)
  const tail = createSpoolTail(path)
  tail.finish()
  const reading = follow(tail)
  await reading.done
  const lines = linesOf(reading)
  expect(lines.map((line) => line.line)).toEqual(Array.from({ length: 1235 }, (_, n) => n + 1))
  expect(lines.at(-1)).toMatchObject({
    partial: true,
    type: 'claude.unparsed',
    payloadText: '{"raw":"{\\"type\\":\\"half"}',
  })
  expect(tail.stats()).toEqual({
    lines: 1235,
    bytes: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
  })
})

it('goes on at a line, and still knows the whole file', async () => {
  const text = numbered(600)
  writeFileSync(path, text)
  const tail = createSpoolTail(path, { fromLine: 599 })
  tail.finish()
  const reading = follow(tail)
  await reading.done
  expect(linesOf(reading).map((line) => line.line)).toEqual([599, 600])
  expect(tail.stats()).toMatchObject({ lines: 600, bytes: text.length })
})

it('gives batches that are never empty nor over their bounds', async () => {
  const long = `{"type":"long","x":"${'x'.repeat(BATCH_BYTES / 3)}"}\n`
  writeFileSync(
    path,
    numbered(3000) + long.repeat(7) + `{"type":"longer","x":"${'x'.repeat(2 * BATCH_BYTES)}"}\n`,
  )
  const tail = createSpoolTail(path)
  tail.finish()
  const reading = follow(tail)
  await reading.done
  expect(linesOf(reading)).toHaveLength(3008)
  for (const batch of reading.batches) {
    expect(batch.length).toBeGreaterThan(0)
    expect(batch.length).toBeLessThanOrEqual(BATCH_LINES)
    const bytes = batch.reduce((sum, line) => sum + line.bytes, 0)
    expect(batch.length === 1 || bytes <= BATCH_BYTES).toBe(true)
  }
})

it('waits for a file that is not there yet', async () => {
  const tail = createSpoolTail(path, { pollMs: 10 })
  const reading = follow(tail)
  writeFileSync(path, numbered(1))
  await until(() => linesOf(reading).length === 1)
  tail.finish()
  await reading.done
  expect(tail.stats().lines).toBe(1)
})

it('has no lines where the file never appears', async () => {
  const tail = createSpoolTail(path)
  const reading = follow(tail)
  tail.finish()
  await reading.done
  expect(reading.batches).toEqual([])
  expect(tail.stats()).toEqual({ lines: 0, bytes: 0, sha256: createHash('sha256').digest('hex') })
})

it('is woken by the file and by finish, not by its poll', async () => {
  writeFileSync(path, numbered(1))
  const tail = createSpoolTail(path, { pollMs: 600_000 })
  const reading = follow(tail)
  for (let n = 2; n <= 20; n++) {
    await until(() => linesOf(reading).length === n - 1)
    appendFileSync(path, numbered(1, n))
  }
  await until(() => linesOf(reading).length === 20)
  tail.finish()
  await reading.done
  expect(tail.stats().lines).toBe(20)
})

it('says when the file was cut short behind it', async () => {
  writeFileSync(path, numbered(10))
  const tail = createSpoolTail(path, { pollMs: 10 })
  const reading = follow(tail)
  await until(() => linesOf(reading).length === 10)
  truncateSync(path, 5)
  await expect(reading.done).rejects.toThrow(/was cut short/)
})

it('says when the file cannot be read', async () => {
  const reading = follow(createSpoolTail(scratch.dir))
  await expect(reading.done).rejects.toThrow(/EISDIR/)
})

it('closes the file when the reader leaves', async () => {
  writeFileSync(path, numbered(600))
  for await (const batch of createSpoolTail(path)) {
    expect(batch.length).toBeGreaterThan(0)
    break
  }
  const open = readdirSync('/proc/self/fd').map((fd) => tryReadLink(`/proc/self/fd/${fd}`))
  expect(open).not.toContain(path)
})

it('reads any file as it was written, in whatever pieces', async () => {
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(pieces, async (written) => {
      writeFileSync(path, '')
      const tail = createSpoolTail(path, { pollMs: 1 })
      const reading = follow(tail)
      for (const piece of written) {
        appendFileSync(path, piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
      tail.finish()
      await reading.done
      const whole = Buffer.concat(written)
      const feeds = whole.filter((byte) => byte === 10).length
      const count = feeds + (whole.length > 0 && whole.at(-1) !== 10 ? 1 : 0)
      expect(linesOf(reading).map((line) => line.line)).toEqual(
        Array.from({ length: count }, (_, n) => n + 1),
      )
      expect(linesOf(reading).reduce((sum, line) => sum + line.bytes, feeds)).toBe(whole.length)
      expect(tail.stats()).toEqual({
        lines: count,
        bytes: whole.length,
        sha256: createHash('sha256').update(whole).digest('hex'),
      })
    }),
    { numRuns: 60 },
  )
})
