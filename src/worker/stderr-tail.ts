/** The end of what an agent wrote to its standard error: what is said of its end, whatever the file has become. */
import { open } from 'node:fs/promises'
import type { Redactor } from '../core/redact.ts'

const TAIL_BYTES = 64 * 1024
/** Read, and redacted, before it is cut: half a secret at the cut would tell half of it. */
const READ_BYTES = 4 * TAIL_BYTES

/** At most 64 KiB, without its secrets; '' where there is no such file, or none that can be read. */
export async function readStderrTail(path: string, redactor: Redactor): Promise<string> {
  const text = await readEnd(path).catch(() => '')
  // As text that may end anywhere.
  const pieces = redactor.pieces()
  return (pieces.push(text) + pieces.end()).slice(-TAIL_BYTES)
}

async function readEnd(path: string): Promise<string> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const from = Math.max(0, size - READ_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
