/** The directory that a session works in: whether it may, and which one it is. */
import { randomBytes } from 'node:crypto'
import { link, lstat, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { invalidRequest, messageOf } from '../core/errors.ts'
import { newId } from '../core/ids.ts'
import { readSmallFile } from './small-file.ts'

const GIT_ID_FILE = 'drover-workspace-id'
const ID_FILE = '.drover-workspace-id'
/** A path, or an id. */
const MOST_BYTES = 16 * 1024
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * The real path of a workspace: an existing directory that is one of the roots or inside one, symbolic links
 * followed on both sides. Throws `invalid_request` with a sentence.
 */
export async function checkWorkspace(dir: string, roots: readonly string[]): Promise<string> {
  const path = await realpath(dir).catch(() => null)
  if (path === null)
    throw refused(`${dir} does not exist on this machine. Create it or name another directory.`)
  if (!(await stat(path)).isDirectory())
    throw refused(`${dir} is not a directory. Name the directory to work in.`)
  if (await isInsideRoots(path, roots)) return path
  throw refused(
    `${path} is outside the allowed roots (${roots.join(', ')}). ` +
      'Start Drover there, or add the directory to workspace.roots (DROVER_WORKSPACE_ROOTS).',
  )
}

/**
 * The id of a workspace, made on first use and the same ever after: a session is resumed only where the id that it
 * started with is found. It is kept in the git directory, where no commit takes it and no clone copies it; a linked
 * worktree has its own git directory and so its own id, because its files are its own. Without git it is in a dot
 * file. Safe when two processes ask at once. Throws `invalid_request` with a sentence.
 */
export async function workspaceId(dir: string): Promise<string> {
  const gitDir = await findGitDirectory(dir)
  const file = gitDir === null ? join(dir, ID_FILE) : join(gitDir, GIT_ID_FILE)
  return (await readId(file)) ?? (await createId(file))
}

/** Whether a real path is one of the roots or inside one, symbolic links of the roots followed. */
export async function isInsideRoots(path: string, roots: readonly string[]): Promise<boolean> {
  const realRoots = await Promise.all(roots.map((root) => realpath(root).catch(() => null)))
  return realRoots.some((root) => root !== null && isInside(path, root))
}

/** By path segments: `/srv/a-b` is not inside `/srv/a`. */
export function isInside(path: string, root: string): boolean {
  const way = relative(root, path)
  return way === '' || (!isAbsolute(way) && way.split('/')[0] !== '..')
}

/** The git directory of the checkout that holds `dir`, or null. */
async function findGitDirectory(dir: string): Promise<string | null> {
  const entry = join(dir, '.git')
  const found = await lstat(entry).catch(() => null)
  if (found?.isDirectory()) return entry
  if (found?.isFile()) return await linkedGitDirectory(entry)
  const parent = dirname(dir)
  return parent === dir ? null : await findGitDirectory(parent)
}

/** Worktrees and submodules have a file `.git` that says `gitdir: <path>`. */
async function linkedGitDirectory(file: string): Promise<string | null> {
  const target = /^gitdir: (.+)$/m.exec(await readSmallFile(file, MOST_BYTES).catch(() => ''))?.[1]
  if (target === undefined) return null
  const path = resolve(dirname(file), target.trim())
  return (await stat(path).catch(() => null))?.isDirectory() ? path : null
}

async function readId(file: string): Promise<string | null> {
  const text = await readSmallFile(file, MOST_BYTES).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw refused(`The workspace id in ${file} cannot be read (${messageOf(error)}).`)
  })
  if (text === null) return null
  if (ID.test(text.trim())) return text.trim()
  throw refused(
    `The file ${file} should hold a workspace id and does not. Remove it to begin a new workspace.`,
  )
}

/** Written apart and linked: it is there whole or not at all, and the first one wins. */
async function createId(file: string): Promise<string> {
  const id = newId()
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(draft, `${id}\n`, { flag: 'wx' })
    await link(draft, file)
    return id
  } catch (error) {
    const winner = await readId(file)
    if (winner !== null) return winner
    throw refused(
      `The workspace id cannot be written to ${file} (${messageOf(error)}). The workspace must be writable.`,
    )
  } finally {
    await rm(draft, { force: true }).catch(() => undefined)
  }
}

function refused(message: string): Error {
  return invalidRequest([{ path: 'workspace_dir', message: message.replace(/\.$/, '') }])
}
