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
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Redactor } from '../core/redact.ts'
import { isSessionId } from '../core/ids.ts'
import { messagesIn } from './messages-in.ts'
import { packFiles, readArchive, slugOf, type Mark, type Packed } from './transcript-archive.ts'
import {
  broken,
  digestOfFile,
  findFiles,
  isDirectory,
  namesIn,
  piecesOfFile,
  type Found,
} from './transcript-files.ts'

/** Bytes, compressed: what a Redis that other sessions share should hold for one. */
export const PACKED_LIMIT = 16 * 1024 * 1024
/** Bytes of all files. Zeros shrink to a thousandth: without it an agent could make a pod read for hours. */
export const RAW_LIMIT = 128 * 1024 * 1024
const PRIVATE_DIR = 0o700
const PRIVATE_FILE = 0o600

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
      return (
        packed ?? {
          mark: await digestOfFile(main.path, Math.min(main.stats.size, limits.raw)),
          archive: null,
        }
      )
    },

    async holds(mark) {
      const found = await find()
      if (found === null) return false
      const { path, stats } = found.main
      for (const { bytes, sha256 } of [mark, mark.packed ?? mark]) {
        if (stats.size >= bytes && (await digestOfFile(path, bytes)).sha256 === sha256) return true
      }
      return false
    },

    async messagesIn(ids) {
      const found = ids.length === 0 ? null : await find()
      if (found === null) return new Set<string>()
      const { path, stats } = found.main
      return await messagesIn(piecesOfFile(path, stats.size), ids)
    },

    async unpack(archive) {
      const entries = await readArchive(archive, sessionId, limits.raw)
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
