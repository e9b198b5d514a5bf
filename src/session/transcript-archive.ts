/**
 * A conversation as one piece that travels: gzip of its files, for each a line of JSON with its name and size, and its
 * bytes. Bounded, and unpacked only into names that would have been packed.
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip, gunzip } from 'node:zlib'
import { z } from 'zod'
import type { Redactor } from '../core/redact.ts'
import { redactFile } from './redact-file.ts'
import {
  broken,
  DEEPEST,
  digestOf,
  lengthOf,
  MOST_FILES,
  NAME,
  readPieces,
  type Digest,
  type Found,
} from './transcript-files.ts'

/** The beginning of a conversation: whoever has it has all that it says, and maybe more. */
export interface Mark extends Digest {
  /** What was packed, where that differs because of what was taken out: so it begins where it was unpacked. */
  readonly packed?: Digest
}

/** A packed conversation; `archive` is null where it is over a limit and cannot travel. */
export interface Packed {
  readonly mark: Mark
  readonly archive: Buffer | null
}

/** Packs them; null where that is over `limit` bytes. Throws what the file system says. */
export async function packFiles(
  { files }: Found,
  limit: number,
  redactor: Redactor | null,
): Promise<Packed | null> {
  let mark: Mark = digestOf([])
  async function* entries(): AsyncGenerator<Buffer, void> {
    for (const [index, { name, path }] of files.entries()) {
      const pieces = await readPieces(path)
      const packed = redactor === null ? pieces : await redactFile(name, pieces, redactor)
      if (index === 0) {
        mark = { ...digestOf(pieces), ...(packed === pieces ? {} : { packed: digestOf(packed) }) }
      }
      yield Buffer.from(`${JSON.stringify({ name, bytes: lengthOf(packed) })}\n`)
      yield* packed
    }
  }
  const chunks: Buffer[] = []
  let length = 0
  const full = new AbortController()
  try {
    await pipeline(
      Readable.from(entries(), { objectMode: false }),
      createGzip(),
      async (packed: AsyncIterable<Buffer>) => {
        for await (const chunk of packed) {
          chunks.push(chunk)
          length += chunk.length
          if (length > limit) full.abort()
        }
      },
      { signal: full.signal },
    )
  } catch (error) {
    if (full.signal.aborted) return null
    throw error
  }
  return { mark, archive: Buffer.concat(chunks) }
}

/** A file of an archive. */
export interface Entry {
  readonly name: string
  readonly content: Buffer
}

const headerSchema = z.strictObject({ name: z.string(), bytes: z.int().min(0) })

/**
 * The files of an archive of this session. Throws `internal_error` for what is none, or holds more than `rawLimit` bytes.
 */
export async function readArchive(
  archive: Buffer,
  sessionId: string,
  rawLimit: number,
): Promise<readonly Entry[]> {
  return readEntries(await decompress(archive, rawLimit), sessionId)
}

async function decompress(archive: Buffer, rawLimit: number): Promise<Buffer> {
  // Room for the headers beside the files.
  const maxOutputLength = rawLimit + MOST_FILES * 1024
  return await promisify(gunzip)(archive, { maxOutputLength }).catch((error: unknown) => {
    throw broken('it cannot be decompressed', error)
  })
}

function readEntries(bytes: Buffer, sessionId: string): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < bytes.length;) {
    const lineEnd = bytes.indexOf(0x0a, at)
    const header = lineEnd < 0 ? null : readHeader(bytes.toString('utf8', at, lineEnd))
    if (header === null || lineEnd + 1 + header.bytes > bytes.length) throw broken('it is damaged')
    if (!isOfSession(header.name, sessionId)) throw broken(`it holds ${JSON.stringify(header.name)}`)
    at = lineEnd + 1 + header.bytes
    entries.push({ name: header.name, content: bytes.subarray(lineEnd + 1, at) })
  }
  return entries
}

function readHeader(line: string): { readonly name: string; readonly bytes: number } | null {
  try {
    return headerSchema.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}

/** The three kinds of files at the top, and nothing else. */
function isOfSession(name: string, sessionId: string): boolean {
  const parts = name.split('/')
  if (!parts.every((part) => NAME.test(part)) || parts.length > DEEPEST + 3) return false
  const [top, second, third] = parts
  if (top === 'tasks') return second === sessionId && parts.length > 2
  if (top !== 'projects') return false
  return parts.length === 3 ? third === `${sessionId}.jsonl` : third === sessionId && parts.length > 3
}

/** The slug of the one conversation. Throws `internal_error` where there are more, or none. */
export function slugOf(entries: readonly Entry[]): string {
  const projects = entries.map(({ name }) => name.split('/')).filter(([top]) => top === 'projects')
  const mains = projects.filter((parts) => parts.length === 3)
  const slug = mains[0]?.[1]
  if (slug === undefined || mains.length > 1 || projects.some((parts) => parts[1] !== slug)) {
    throw broken('it does not hold exactly one conversation')
  }
  return slug
}
