/**
 * The files of a session's conversation in a configuration directory, found and read with care: the agent can write there
 * what it likes (`transcript.ts`).
 */
import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DroverError } from '../core/errors.ts'

/** Files; a subagent has two, a long tool result one. */
export const MOST_FILES = 5000
/** The most directories that may lie within one another. */
export const DEEPEST = 6
const READ_BYTES = 256 * 1024
/** Not hidden, so the CLI's lock files stay where they are; never `.` or `..`. */
export const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/

/** So much of a file from its start, by its hash. */
export interface Digest {
  readonly bytes: number
  readonly sha256: string
}

/** A regular file. */
export interface FoundFile {
  /** In the archive: relative to the configuration directory. */
  readonly name: string
  readonly path: string
  readonly stats: Stats
}

/** What there is of a conversation. */
export interface Found {
  readonly main: FoundFile
  /** The main file first. */
  readonly files: readonly FoundFile[]
  /** False where there are more files than are taken. */
  readonly complete: boolean
}

/** Looks for them; null where there is no conversation. */
export async function findFiles(configDir: string, sessionId: string): Promise<Found | null> {
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

/** The names in a directory that are taken at all, sorted; none where it cannot be read. */
export async function namesIn(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => [])
  return names.filter((name) => NAME.test(name)).toSorted()
}

/** A real one: a link is none. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() ?? false
}

/** All of a file, in pieces. Throws `internal_error` where it is cut short meanwhile or is no regular file any more. */
export async function readPieces(path: string): Promise<readonly Buffer[]> {
  const handle = await openRegular(path)
  try {
    const pieces: Buffer[] = []
    for await (const piece of piecesOf(handle, (await handle.stat()).size)) pieces.push(piece)
    return pieces
  } finally {
    await handle.close()
  }
}

/** Bytes of all pieces. */
export function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** Length and SHA-256 of all pieces, one after the other. */
export function digestOf(pieces: readonly Buffer[]): Digest {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return { bytes: lengthOf(pieces), sha256: hash.digest('hex') }
}

/** Of a file's first `bytes`. Throws as `readPieces`. */
export async function digestOfFile(path: string, bytes: number): Promise<Digest> {
  const hash = createHash('sha256')
  for await (const piece of piecesOfFile(path, bytes)) hash.update(piece)
  return { bytes, sha256: hash.digest('hex') }
}

/** A file's first `bytes`, in pieces. Throws as `readPieces`; the file is closed when the reader stops. */
export async function* piecesOfFile(path: string, bytes: number): AsyncGenerator<Buffer, void> {
  const handle = await openRegular(path)
  try {
    yield* piecesOf(handle, bytes)
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

/** `internal_error`: a transcript cannot be used. */
export function broken(what: string, cause?: unknown): DroverError {
  return new DroverError(
    'internal_error',
    `A session's transcript cannot be used: ${what}.`,
    {},
    cause === undefined ? undefined : { cause },
  )
}
