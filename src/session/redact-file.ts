/** Takes secrets out of a file of a conversation that is about to travel. */
import { setImmediate } from 'node:timers/promises'
import type { Redactor } from '../core/redact.ts'

/** Bytes between two pauses, in which the pod can renew its leases. */
const BYTES_AT_ONCE = 1024 * 1024
const LINE_FEED = 0x0a

/**
 * The file without what the redactor finds: the very same pieces where that is nothing. Lines of JSON stay lines of
 * JSON, so the CLI reads them; other files are text. A file may end anywhere, in the middle of a secret too.
 */
export async function redactFile(
  name: string,
  pieces: readonly Buffer[],
  redactor: Redactor,
): Promise<readonly Buffer[]> {
  const bytes = Buffer.concat(pieces)
  const isJson = /\.jsonl?$/.test(name)
  const redacted: Buffer[] = []
  let isChanged = false
  let atOnce = 0
  for (const part of isJson ? linesOf(bytes) : [bytes]) {
    const text = part.toString('utf8')
    const without = isJson && text.endsWith('\n') ? redactor.json(text) : redactEnd(text, redactor)
    // Bytes that are not UTF-8 stay as they are where there is nothing to take out.
    redacted.push(without === text ? part : Buffer.from(without))
    isChanged ||= without !== text
    atOnce += part.length
    if (atOnce < BYTES_AT_ONCE) continue
    atOnce = 0
    await setImmediate()
  }
  return isChanged ? redacted : pieces
}

function redactEnd(text: string, redactor: Redactor): string {
  const pieces = redactor.pieces()
  return pieces.push(text) + pieces.end()
}

/** Each with its line feed, the last one maybe without. */
function* linesOf(bytes: Buffer): Generator<Buffer, void> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LINE_FEED, start)
    const next = end < 0 ? bytes.length : end + 1
    yield bytes.subarray(start, next)
    start = next
  }
}
