/** Bytes to lines, wherever the bytes were cut. */
import { createHash, type Hash } from 'node:crypto'
import { LINE_LIMIT_BYTES, oversizeLine, readLine, type SpoolLine } from './line.ts'

const LINE_FEED = 0x0a

/** Takes the file piece by piece. Holds one line at most, and of a line over the limit only its digest. */
export interface LineSplitter {
  /** The lines that end in this piece, one at a time. The piece may be overwritten when all were taken. */
  push(piece: Buffer): Generator<SpoolLine, void>
  /** The end of the file: what follows the last line feed, flagged `partial`; nothing when the file ended with one. */
  end(): Generator<SpoolLine, void>
  /** Lines so far, skipped ones included. */
  readonly lines: number
}

/** Lines before `fromLine` (1-based) are counted and not given out. */
export function createLineSplitter(fromLine = 1): LineSplitter {
  let lines = 0
  let pieces: Buffer[] = []
  let size = 0
  let digest: Hash | null = null

  const take = (piece: Buffer): void => {
    size += piece.length
    // A copy: the reader uses its buffer again.
    if (digest === null) pieces.push(Buffer.from(piece))
    else digest.update(piece)
    if (digest !== null || size <= LINE_LIMIT_BYTES) return
    digest = createHash('sha256')
    for (const held of pieces) digest.update(held)
    pieces = []
  }
  const line = (partial: boolean): SpoolLine | null => {
    lines++
    const [bytes, held, sha256] = [size, pieces, digest?.digest('hex')]
    pieces = []
    size = 0
    digest = null
    if (lines < fromLine) return null
    if (sha256 !== undefined) return oversizeLine(lines, bytes, sha256, partial)
    return readLine(held.length === 1 && held[0] ? held[0] : Buffer.concat(held), lines, partial)
  }

  return {
    *push(piece) {
      let start = 0
      for (let at = piece.indexOf(LINE_FEED); at >= 0; at = piece.indexOf(LINE_FEED, start)) {
        take(piece.subarray(start, at))
        start = at + 1
        const complete = line(false)
        if (complete !== null) yield complete
      }
      if (start < piece.length) take(piece.subarray(start))
    },
    *end() {
      if (size === 0) return
      const last = line(true)
      if (last !== null) yield last
    },
    get lines() {
      return lines
    },
  }
}
