/**
 * A session's conversation as the CLI keeps it in its configuration directory, packed to travel and unpacked where
 * the session goes on. Of session S these files are S's (measured with 2.1.329):
 *
 *     projects/<slug>/S.jsonl     the conversation, with its costs; only ever appended to
 *     projects/<slug>/S/**        subagents and long tool results
 *     tasks/S/**                  the agent's task list
 *
 * The slug is made of the working directory, but the CLI finds a conversation under any slug. Nothing else in the
 * directory is touched or read: with an interactive login it is the user's own, shared by all sessions.
 *
 * The agent can write here what it likes. So packing takes regular files with plain names only, never follows a
 * link, never waits (a pipe), and reads a bounded number of bytes; unpacking takes no name that it would not have
 * packed. A file that grows while it is read is taken up to the size that it had, and the CLI reads over a torn last
 * line (measured).
 */
import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip, gunzip } from 'node:zlib'
import { z } from 'zod'
import { DroverError } from '../core/errors.ts'
import type { Redactor } from '../core/redact.ts'
import { isSessionId } from '../core/ids.ts'
import { messagesIn } from './messages-in.ts'
import { redactFile } from './redact-file.ts'

/** Bytes, compressed: what a Redis that other sessions share should hold for one. */
export const PACKED_LIMIT = 16 * 1024 * 1024
/** Bytes of all files. Zeros shrink to a thousandth: without it an agent could make a pod read for hours. */
export const RAW_LIMIT = 128 * 1024 * 1024
/** Files; a subagent has two, a long tool result one. */
const MOST_FILES = 5000
const DEEPEST = 6
const READ_BYTES = 256 * 1024
/** Not hidden, so the CLI's lock files stay where they are; never `.` or `..`. */
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/
const PRIVATE_DIR = 0o700
const PRIVATE_FILE = 0o600

/** The beginning of a conversation: whoever has it has all that it says, and maybe more. */
export interface Mark {
  readonly bytes: number
  readonly sha256: string
  /** What was packed, where that differs because of what was taken out: so it begins where it was unpacked. */
  readonly packed?: { readonly bytes: number; readonly sha256: string }
}

/** A packed conversation; `archive` is null where it is over a limit and cannot travel. */
export interface Packed {
  readonly mark: Mark
  readonly archive: Buffer | null
}

/** The conversation of one session in one configuration directory. */
export interface Transcript {
  /** Differs when the files do; null where there is no conversation. Cheap: no file is read. */
  stamp(): Promise<string | null>
  /** null where there is no conversation. Throws what the file system says. */
  pack(): Promise<Packed | null>
  /** Whether the conversation here begins with `mark`. */
  holds(mark: Mark): Promise<boolean>
  /** Those of these messages (by the uuid that they were given with) that are in the conversation. */
  messagesIn(ids: readonly string[]): Promise<ReadonlySet<string>>
  /**
   * Puts an archive in the place of what is here. The conversation itself comes last, so after dying in between it is
   * not there or the old one, and a repeat does the rest. Throws `internal_error` for what is no archive of this
   * session; nothing has changed then.
   */
  unpack(archive: Buffer): Promise<void>
}

/** The configuration directory of a CLI with this environment; null where it has neither that nor a home. */
export function configDirOf(env: Readonly<Record<string, string | undefined>>): string | null {
  return env['CLAUDE_CONFIG_DIR'] || (env['HOME'] ? join(env['HOME'], '.claude') : null)
}

export interface TranscriptOptions {
  /** @default PACKED_LIMIT */
  readonly packed?: number
  /** @default RAW_LIMIT */
  readonly raw?: number
  /** What is taken out of what is packed; asked at each `pack`. @default nothing */
  readonly redactor?: () => Redactor
}

/** The transcript of a session under `configDir`, which may not exist yet. Throws for what is no session id. */
export function openTranscript(
  configDir: string,
  sessionId: string,
  options: TranscriptOptions = {},
): Transcript {
  const limits = { packed: options.packed ?? PACKED_LIMIT, raw: options.raw ?? RAW_LIMIT }
  const redactor = options.redactor ?? ((): null => null)
  if (!isSessionId(sessionId)) throw broken(`"${sessionId.slice(0, 100)}" is no session id`)
  const find = (): Promise<Found | null> => findFiles(configDir, sessionId)

  return {
    async stamp() {
      const found = await find()
      if (found === null) return null
      const files = found.files.map(({ name, stats }) => `${name} ${stats.size} ${stats.mtimeMs}`)
      return createHash('sha256').update(files.join('\n')).digest('hex')
    },

    async pack() {
      const found = await find()
      if (found === null) return null
      const { main, files, complete } = found
      const total = files.reduce((sum, { stats }) => sum + stats.size, 0)
      const packed =
        complete && total <= limits.raw ? await packFiles(found, limits.packed, redactor()) : null
      return packed ?? { mark: await markOf(main.path, Math.min(main.stats.size, limits.raw)), archive: null }
    },

    async holds(mark) {
      const found = await find()
      if (found === null) return false
      const { path, stats } = found.main
      for (const { bytes, sha256 } of [mark, mark.packed ?? mark]) {
        if (stats.size >= bytes && (await markOf(path, bytes)).sha256 === sha256) return true
      }
      return false
    },

    async messagesIn(ids) {
      const found = ids.length === 0 ? null : await find()
      if (found === null) return new Set<string>()
      const handle = await openRegular(found.main.path)
      try {
        return await messagesIn(piecesOf(handle, found.main.stats.size), ids)
      } finally {
        await handle.close()
      }
    },

    async unpack(archive) {
      const entries = readEntries(await decompress(archive, limits.raw), sessionId)
      // A name of its own for each session, so that what a crash left is found and removed by the next attempt.
      const stage = join(configDir, `.drover-${sessionId}`)
      await rm(stage, { recursive: true, force: true })
      try {
        for (const { name, content } of entries) {
          await mkdir(dirname(join(stage, name)), { recursive: true, mode: PRIVATE_DIR })
          await writeFile(join(stage, name), content, { flag: 'wx', mode: PRIVATE_FILE })
        }
        await replace(configDir, stage, sessionId, slugOf(entries))
      } finally {
        await rm(stage, { recursive: true, force: true })
      }
    },
  }
}

interface FoundFile {
  /** In the archive: relative to the configuration directory. */
  readonly name: string
  readonly path: string
  readonly stats: Stats
}

interface Found {
  readonly main: FoundFile
  /** The main file first. */
  readonly files: readonly FoundFile[]
  /** False where there are more files than are taken. */
  readonly complete: boolean
}

async function findFiles(configDir: string, sessionId: string): Promise<Found | null> {
  const main = await findMain(configDir, sessionId)
  if (main === null) return null
  const files = [main]
  for (const folder of [join(dirname(main.name), sessionId), join('tasks', sessionId)]) {
    await collect(configDir, folder, files, DEEPEST)
  }
  return { main, files: files.slice(0, MOST_FILES), complete: files.length <= MOST_FILES }
}

/** Under several slugs (a crash while it was unpacked) the latest is it. */
async function findMain(configDir: string, sessionId: string): Promise<FoundFile | null> {
  let latest: FoundFile | null = null
  for (const slug of await namesIn(join(configDir, 'projects'))) {
    const name = join('projects', slug, `${sessionId}.jsonl`)
    const stats = await lstat(join(configDir, name)).catch(() => null)
    if (!stats?.isFile() || !(await isDirectory(join(configDir, 'projects', slug)))) continue
    if (latest === null || stats.mtimeMs > latest.stats.mtimeMs) {
      latest = { name, path: join(configDir, name), stats }
    }
  }
  return latest
}

async function collect(configDir: string, folder: string, files: FoundFile[], depth: number): Promise<void> {
  if (depth === 0 || !(await isDirectory(join(configDir, folder)))) return
  for (const each of await namesIn(join(configDir, folder))) {
    if (files.length > MOST_FILES) return
    const name = join(folder, each)
    const stats = await lstat(join(configDir, name)).catch(() => null)
    if (stats?.isFile()) files.push({ name, path: join(configDir, name), stats })
    else if (stats?.isDirectory()) await collect(configDir, name, files, depth - 1)
  }
}

async function namesIn(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => [])
  return names.filter((name) => NAME.test(name)).toSorted()
}

/** A real one: a link is none. */
async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() ?? false
}

/** null where it is over the limit. Each file is a line of JSON with its name and size, and its bytes. */
async function packFiles({ files }: Found, limit: number, redactor: Redactor | null): Promise<Packed | null> {
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

async function readPieces(path: string): Promise<readonly Buffer[]> {
  const handle = await openRegular(path)
  try {
    const pieces: Buffer[] = []
    for await (const piece of piecesOf(handle, (await handle.stat()).size)) pieces.push(piece)
    return pieces
  } finally {
    await handle.close()
  }
}

function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

function digestOf(pieces: readonly Buffer[]): { readonly bytes: number; readonly sha256: string } {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return { bytes: lengthOf(pieces), sha256: hash.digest('hex') }
}

async function markOf(path: string, bytes: number): Promise<Mark> {
  const hash = createHash('sha256')
  const handle = await openRegular(path)
  try {
    for await (const piece of piecesOf(handle, bytes)) hash.update(piece)
    return { bytes, sha256: hash.digest('hex') }
  } finally {
    await handle.close()
  }
}

/** Exactly so many bytes from the start. A shorter file was cut while it was read: throws. */
async function* piecesOf(handle: FileHandle, bytes: number): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes;) {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, bytes - at))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) throw broken('a file of it was cut short while it was read')
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** What was a regular file a moment ago may be a link or a pipe by now: neither is followed or waited for. */
async function openRegular(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw broken(`${path} is no regular file any more`)
}

interface Entry {
  readonly name: string
  readonly content: Buffer
}

const headerSchema = z.strictObject({ name: z.string(), bytes: z.int().min(0) })

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

/** One conversation, under one slug. */
function slugOf(entries: readonly Entry[]): string {
  const projects = entries.map(({ name }) => name.split('/')).filter(([top]) => top === 'projects')
  const mains = projects.filter((parts) => parts.length === 3)
  const slug = mains[0]?.[1]
  if (slug === undefined || mains.length > 1 || projects.some((parts) => parts[1] !== slug)) {
    throw broken('it does not hold exactly one conversation')
  }
  return slug
}

async function replace(configDir: string, stage: string, sessionId: string, slug: string): Promise<void> {
  const main = join('projects', slug, `${sessionId}.jsonl`)
  await mkdir(join(configDir, 'projects', slug), { recursive: true, mode: PRIVATE_DIR })
  if (!(await isDirectory(join(configDir, 'projects', slug)))) {
    throw broken(`${join(configDir, 'projects', slug)} is no directory of its own`)
  }
  // Two conversations of one id are one too many: it would be the CLI's choice which goes on.
  for (const other of await namesIn(join(configDir, 'projects'))) {
    if (!(await isDirectory(join(configDir, 'projects', other)))) continue
    if (other !== slug) await rm(join(configDir, 'projects', other, `${sessionId}.jsonl`), { force: true })
    await rm(join(configDir, 'projects', other, sessionId), { recursive: true, force: true })
  }
  await rm(join(configDir, 'tasks', sessionId), { recursive: true, force: true })
  for (const folder of [join('projects', slug, sessionId), join('tasks', sessionId)]) {
    if (!(await isDirectory(join(stage, folder)))) continue
    await mkdir(dirname(join(configDir, folder)), { recursive: true, mode: PRIVATE_DIR })
    await rename(join(stage, folder), join(configDir, folder))
  }
  await rename(join(stage, main), join(configDir, main))
}

function broken(what: string, cause?: unknown): DroverError {
  return new DroverError(
    'internal_error',
    `A session's transcript cannot be used: ${what}.`,
    {},
    cause === undefined ? undefined : { cause },
  )
}
