import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LINE_LIMIT_BYTES, readLine, type SpoolLine } from '../../src/session/line.ts'
import { createLineSplitter } from '../../src/session/line-splitter.ts'

/** Splits the bytes in pieces of the given lengths, each in the same buffer, as a reader does. */
function split(
  bytes: Buffer,
  cuts: readonly number[],
  fromLine?: number,
): { lines: SpoolLine[]; count: number } {
  const splitter = createLineSplitter(fromLine)
  const lines: SpoolLine[] = []
  const buffer = Buffer.alloc(bytes.length)
  let start = 0
  for (const cut of [...cuts, bytes.length]) {
    const length = bytes.copy(buffer, 0, start, Math.min(start + cut, bytes.length))
    lines.push(...splitter.push(buffer.subarray(0, length)))
    start += length
  }
  lines.push(...splitter.end())
  return { lines, count: splitter.lines }
}

/** The same without pieces: what must come out. */
function expected(bytes: Buffer): SpoolLine[] {
  const parts: Buffer[] = []
  let start = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, start)) {
    parts.push(bytes.subarray(start, at))
    start = at + 1
  }
  const lines = parts.map((part, n) => readLine(part, n + 1, false))
  const rest = bytes.subarray(start)
  return rest.length === 0 ? lines : [...lines, readLine(rest, lines.length + 1, true)]
}

const anyBytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((json) => Buffer.from(`{"type":"é\u2028€😀","x":${json}}`)),
      fc.constantFrom(Buffer.from('\n'), Buffer.from('\r\n'), Buffer.from('\n\n')),
    ),
  )
  .map((parts) => Buffer.concat(parts))
const anyCuts = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 300 })

describe('the line splitter', () => {
  it('gives the same lines wherever the bytes are cut', () => {
    fc.assert(
      fc.property(anyBytes, anyCuts, (bytes, cuts) => {
        const { lines, count } = split(bytes, cuts)
        expect(lines).toEqual(expected(bytes))
        expect(count).toBe(lines.length)
      }),
    )
  })

  it('begins at the wanted line and counts the others', () => {
    fc.assert(
      fc.property(anyBytes, anyCuts, fc.integer({ min: 1, max: 20 }), (bytes, cuts, fromLine) => {
        const all = expected(bytes)
        const { lines, count } = split(bytes, cuts, fromLine)
        expect(lines).toEqual(all.slice(fromLine - 1))
        expect(count).toBe(all.length)
      }),
    )
  })

  it('keeps a line of the limit and only the digest of a longer one', () => {
    const long = Buffer.alloc(LINE_LIMIT_BYTES + 1, 'x')
    const bytes = Buffer.concat([
      long.subarray(1),
      Buffer.from('\n'),
      long,
      Buffer.from('\n{"type":"user"}\n'),
      long,
    ])
    const { lines } = split(
      bytes,
      Array.from({ length: 60 }, () => 1024 * 1024),
    )
    const sha256 = createHash('sha256').update(long).digest('hex')
    const payloadText = JSON.stringify({ bytes: LINE_LIMIT_BYTES + 1, sha256 })
    expect(lines.map(({ type, line, partial, bytes: length }) => ({ type, line, partial, length }))).toEqual([
      { type: 'claude.unparsed', line: 1, partial: false, length: LINE_LIMIT_BYTES },
      { type: 'claude.oversize', line: 2, partial: false, length: LINE_LIMIT_BYTES + 1 },
      { type: 'claude.user', line: 3, partial: false, length: 15 },
      { type: 'claude.oversize', line: 4, partial: true, length: LINE_LIMIT_BYTES + 1 },
    ])
    expect(lines[1]?.payloadText).toBe(payloadText)
    expect(lines[3]?.payloadText).toBe(payloadText)
  })
})
