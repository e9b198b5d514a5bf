/**
 * A digest of an agent's lines as they were published, whatever the order in which they come: the XOR of the SHA-256
 * of `<line>:<payload text>` of every line, as hex. The pod says it in the closing event, the recorder keeps it for
 * what it has recorded; a line that is missing or altered shows. (Line numbers are unique, so no two lines cancel
 * each other out.)
 */
import { hash } from 'node:crypto'

/** The digest of an agent that printed nothing. */
export const NO_LINES = '0'.repeat(64)

export interface LinesDigest {
  add(line: number, payloadText: string): void
  /** Of all lines so far, 64 hex digits. */
  hex(): string
}

/** @param start what another digest's `hex` said, to go on from there */
export function createLinesDigest(start: string = NO_LINES): LinesDigest {
  const sum = Buffer.from(start, 'hex')
  return {
    add(line, payloadText) {
      // As a string of bytes: half the time of a buffer for each line.
      const one = hash('sha256', `${line}:${payloadText}`, 'binary')
      for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) ^ one.charCodeAt(at)
    },
    hex: () => sum.toString('hex'),
  }
}
