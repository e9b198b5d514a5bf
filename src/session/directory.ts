/**
 * A session's own directory, `<data>/sessions/<session id>/`, for its user only:
 *
 *     claude/   the CLI's configuration directory, where credentials come by environment
 *     home/     the home of a rehearsal
 *     agents/<agent id>/   spool, standard error and mark of each process
 *
 * and `<data>/tmp/<digest>/` for temporary files, because that path must be short; in /tmp where it is not.
 */
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DroverError } from '../core/errors.ts'
import { isSessionId } from '../core/ids.ts'

/** The paths of a session, and how they are made. */
export interface SessionDirectory {
  readonly path: string
  readonly configDir: string
  readonly home: string
  readonly tmpDir: string
  /** Makes all of them (0700); may be repeated. Throws what the file system says. */
  create(): Promise<void>
  /** Makes an agent's directory and answers its path. */
  createAgent(agentId: string): Promise<string>
  /** The directories of all agents that were started here; what one may have left is swept with `guard/sweep.ts`. */
  agents(): Promise<string[]>
}

/**
 * Bytes. The CLI puts `cc-socks/<pid>.sock` into its temporary directory. Where that path gets longer than 103 bytes
 * it goes to one directory for the whole machine without a word (measured: a directory of 80 bytes is right, one of
 * 85 is not), and there sessions see each other.
 */
const TEMPORARY_PATH_LIMIT = 80
/** For data directories whose path is too long. */
const TEMPORARY_FALLBACK = '/tmp'
const PRIVATE = 0o700
/** As `agentIdPrefix` and the script's counter make them. */
const AGENT_ID = /^[a-z0-9][a-z0-9-]{0,127}$/

/** The directory of a session. Nothing is made yet. Throws `invalid_request` for what is no session id. */
export function createSessionDirectory(dataDir: string, sessionId: string): SessionDirectory {
  const root = sessionRoot(dataDir, sessionId)
  const paths = { configDir: join(root, 'claude'), home: join(root, 'home'), tmpDir: temporaryOf(root) }
  return {
    path: root,
    ...paths,
    async create() {
      for (const path of [root, paths.configDir, paths.home])
        await mkdir(path, { recursive: true, mode: PRIVATE })
      await makeTemporary(paths.tmpDir)
    },
    async createAgent(agentId) {
      if (!AGENT_ID.test(agentId)) throw refused('agent', agentId)
      const path = join(root, 'agents', agentId)
      await mkdir(path, { recursive: true, mode: PRIVATE })
      return path
    },
    async agents() {
      const names = await readdir(join(root, 'agents')).catch(() => [])
      return names.map((name) => join(root, 'agents', name))
    },
  }
}

/** The ids of all sessions that have a directory here. */
export async function listSessionDirectories(dataDir: string): Promise<string[]> {
  const names = await readdir(join(resolve(dataDir), 'sessions')).catch(() => [])
  return names.filter(isSessionId)
}

/** When the session's directory or a file of one of its agents was last written, in milliseconds since 1970. */
export async function lastWritten(dataDir: string, sessionId: string): Promise<number> {
  const directory = createSessionDirectory(dataDir, sessionId)
  const agents = await directory.agents()
  const files = await Promise.all(
    agents.map(async (dir) => (await readdir(dir).catch(() => [])).map((name) => join(dir, name))),
  )
  const found = await Promise.all(
    [directory.path, ...agents, ...files.flat()].map((path) => lstat(path).catch(() => null)),
  )
  return Math.max(...found.map((stats) => stats?.mtimeMs ?? 0))
}

/** Removes everything of a session; nothing happens where there is nothing. */
export async function removeSessionDirectory(dataDir: string, sessionId: string): Promise<void> {
  const root = sessionRoot(dataDir, sessionId)
  await rm(temporaryOf(root), { recursive: true, force: true })
  await rm(root, { recursive: true, force: true })
}

function sessionRoot(dataDir: string, sessionId: string): string {
  if (!isSessionId(sessionId)) throw refused('session', sessionId)
  return join(resolve(dataDir), 'sessions', sessionId)
}

/** Derived, so that it is found again; the data directory in it keeps two Drovers of a machine apart. */
function temporaryOf(root: string): string {
  const name = createHash('sha256').update(root).digest('hex').slice(0, 12)
  const near = join(root, '..', '..', 'tmp', name)
  return Buffer.byteLength(near) <= TEMPORARY_PATH_LIMIT ? near : join(TEMPORARY_FALLBACK, `drover-${name}`)
}

/** Everybody may write to the fallback: what is there already must be a directory of ours. */
async function makeTemporary(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: PRIVATE })
  await mkdir(path, { mode: PRIVATE }).catch(async (error: unknown) => {
    const found = await lstat(path).catch(() => null)
    if (found?.isDirectory() && found.uid === process.getuid?.()) return chmod(path, PRIVATE)
    throw error
  })
}

function refused(kind: string, id: string): DroverError {
  return new DroverError(
    'invalid_request',
    `"${id.slice(0, 100)}" is no ${kind} id: it cannot name a directory.`,
  )
}
