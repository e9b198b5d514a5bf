import { PassThrough } from 'node:stream'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { readLines } from '../../src/guard/lines.ts'

/** Feeds the bytes in pieces of the given lengths; what was read. */
function read(
  bytes: Buffer,
  cuts: readonly number[],
  limit = 1_000_000,
): { lines: string[]; tooLong: number } {
  const stream = new PassThrough()
  const seen = { lines: [] as string[], tooLong: 0 }
  readLines(
    stream,
    limit,
    (line) => void seen.lines.push(line),
    () => void seen.tooLong++,
  )
  let start = 0
  for (const cut of [...cuts, bytes.length]) {
    stream.emit('data', bytes.subarray(start, start + cut))
    start += cut
  }
  return seen
}

it('gives every line once, wherever the bytes are cut', () => {
  const line = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\n'))
  fc.assert(
    fc.property(
      fc.array(line),
      fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 500 }),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
        expect(read(bytes, cuts).lines).toEqual(lines.map((text) => Buffer.from(text).toString()))
      },
    ),
  )
})

it('does not break at other line separators, and drops a line that was cut off', () => {
  expect(read(Buffer.from('a\u2028b\r\nhalf'), [2, 3]).lines).toEqual(['a\u2028b\r'])
})

it('drops a line over the limit, tells it, and goes on', () => {
  expect(read(Buffer.from('12345\n123456\nok\n'), [3, 3, 3, 3], 5)).toEqual({
    lines: ['12345', 'ok'],
    tooLong: 1,
  })
})
