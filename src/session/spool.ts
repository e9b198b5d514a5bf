/** Follows an agent's spool while it grows: every line once, in order, soon after it was written. */
import { createHash } from 'node:crypto'
import { watch, type FSWatcher } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { sleep } from '../core/clock.ts'
import { DroverError } from '../core/errors.ts'
import type { SpoolLine } from './line.ts'
import { createLineSplitter } from './line-splitter.ts'

/** A batch is one call to Redis: small enough not to hold it up, large enough for 10,000s of lines a second. */
export const BATCH_LINES = 500
/** Of lines; a longer line is a batch of its own. */
export const BATCH_BYTES = 4 * 1024 * 1024
/** File notifications are at once; the poll is for file systems without them. */
const POLL_MS = 250
const READ_BYTES = 256 * 1024

/** What was read of a spool. */
export interface SpoolStats {
  readonly lines: number
  readonly bytes: number
  /** Of all bytes from the file's start. */
  readonly sha256: string
}

/** Batches of lines, never empty, until `finish` was called and the file's end is reached. To be iterated once. */
export interface SpoolTail extends AsyncIterable<readonly SpoolLine[]> {
  /** The process is gone, nothing more will be written: the rest is delivered, a half last line too, then it ends. */
  finish(): void
  /** Everything read so far; final once the iteration has ended. */
  stats(): SpoolStats
}

export interface SpoolTailOptions {
  /** First line to deliver, 1-based; earlier ones are read and counted. @default 1 */
  readonly fromLine?: number
  /** @default 250 */
  readonly pollMs?: number
  /** What becomes of each line, in their order from the first one delivered. @default as it is */
  readonly through?: (line: SpoolLine) => SpoolLine
}

/**
 * A tail of the file at `path`, which may not exist yet; a spool that never appears has no lines. The iteration
 * throws when the file cannot be read or was cut short behind the reader (an agent can reach its own spool).
 */
export function createSpoolTail(path: string, options: SpoolTailOptions = {}): SpoolTail {
  const pollMs = options.pollMs ?? POLL_MS
  const splitter = createLineSplitter(options.fromLine)
  const { through = (line: SpoolLine) => line } = options
  const hash = createHash('sha256')
  let bytes = 0
  let finished = false
  let bell = new AbortController()

  const ring = (): void => bell.abort()
  /** Until the file changed, `finish` was called or the poll is due. What rings before the next read is not lost. */
  const wait = async (): Promise<void> => {
    await sleep(pollMs, bell.signal)
    bell = new AbortController()
  }

  async function openFile(): Promise<FileHandle | null> {
    for (;;) {
      const isLast = finished
      const handle = await open(path, 'r').catch((error: unknown) => {
        if (isMissing(error)) return null
        throw error
      })
      if (handle !== null || isLast) return handle
      await wait()
    }
  }

  async function* batches(): AsyncGenerator<readonly SpoolLine[], void> {
    const handle = await openFile()
    if (handle === null) return
    const watcher = watchFile(path, ring)
    try {
      const buffer = Buffer.allocUnsafe(READ_BYTES)
      for (;;) {
        // Asked before the read: what was written before `finish` is in it.
        const isLast = finished
        const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, bytes)
        if (bytesRead > 0) {
          const piece = buffer.subarray(0, bytesRead)
          bytes += bytesRead
          hash.update(piece)
          yield* inBatches(splitter.push(piece), through)
          continue
        }
        if ((await handle.stat()).size < bytes) throw cutShort(path, bytes)
        if (isLast) break
        await wait()
      }
      yield* inBatches(splitter.end(), through)
    } finally {
      watcher?.close()
      await handle.close()
    }
  }

  const iterator = batches()
  return {
    [Symbol.asyncIterator]: () => iterator,
    finish: () => {
      finished = true
      ring()
    },
    stats: () => ({ lines: splitter.lines, bytes, sha256: hash.copy().digest('hex') }),
  }
}

/** Groups lines within the bounds of a batch; they are made as they are asked for. */
function* inBatches(
  lines: Iterable<SpoolLine>,
  through: (line: SpoolLine) => SpoolLine,
): Generator<readonly SpoolLine[], void> {
  let batch: SpoolLine[] = []
  let size = 0
  for (const line of lines) {
    if (batch.length > 0 && size + line.bytes > BATCH_BYTES) {
      yield batch
      batch = []
      size = 0
    }
    batch.push(through(line))
    size += line.bytes
    if (batch.length < BATCH_LINES) continue
    yield batch
    batch = []
    size = 0
  }
  if (batch.length > 0) yield batch
}

/** null where the system gives no notifications (its limit of watches is reached): the poll remains. */
function watchFile(path: string, onChange: () => void): FSWatcher | null {
  try {
    return watch(path, { persistent: false }, onChange).on('error', () => undefined)
  } catch {
    return null
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function cutShort(path: string, bytes: number): DroverError {
  return new DroverError(
    'internal_error',
    `The spool ${path} was cut short after ${bytes} bytes had been read: what the agent printed since is lost.`,
  )
}
