/** Lines over a stream. Not `readline`: it also breaks at U+2028, which JSON leaves as it is. */
import type { Readable } from 'node:stream'

const LINE_FEED = 0x0a

/**
 * Calls `onLine` for each complete line of UTF-8 text, without its line feed; characters that lie over two chunks
 * are whole. What follows the last line feed is dropped: it was cut by the writer's death. A line over
 * `limitBytes` is dropped too and `onTooLong` is told, so that memory stays bounded.
 */
export function readLines(
  stream: Readable,
  limitBytes: number,
  onLine: (line: string) => void,
  onTooLong: () => void,
): void {
  let pieces: Buffer[] = []
  let size = 0
  const take = (piece: Buffer): void => {
    size += piece.length
    if (size > limitBytes) pieces = []
    else pieces.push(piece)
  }
  const end = (): void => {
    const line = size > limitBytes ? null : Buffer.concat(pieces).toString('utf8')
    pieces = []
    size = 0
    if (line === null) onTooLong()
    else onLine(line)
  }
  stream.on('data', (chunk: Buffer) => {
    let start = 0
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, start)) {
      take(chunk.subarray(start, at))
      end()
      start = at + 1
    }
    if (start < chunk.length) take(chunk.subarray(start))
  })
}
