/**
 * Fetching a tool so that a killed fetch leaves nothing that a later run would trust: everything goes into a
 * directory beside the target, and one rename makes it the tool. Two processes that fetch the same tool at once both
 * do the work; the first rename wins and the other takes its result.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { DroverError } from '../core/errors.ts'

/** Tells the user what set-up does while it does it: one line, without a newline. */
export type Say = (line: string) => void

/** A mirror that hangs must end some time; the largest tool (361 MB) takes 5 s from a near one. */
const RUN_TIMEOUT_MS = 15 * 60_000

/**
 * Fills a temporary directory and makes it `<toolsDir>/<name>`, replacing what is there.
 * @returns the tool's directory
 */
export async function fetchTool(
  toolsDir: string,
  name: string,
  fill: (dir: string) => Promise<void>,
): Promise<string> {
  const target = join(toolsDir, name)
  await mkdir(toolsDir, { recursive: true })
  await removeAbandoned(toolsDir, name)
  const filling = join(toolsDir, `.${name}-${process.pid}-${randomUUID()}`)
  await mkdir(filling)
  try {
    await fill(filling)
    await replace(filling, target)
  } finally {
    await rm(filling, { recursive: true, force: true })
  }
  return target
}

/** A directory cannot be renamed over a full one: the old one steps aside first. */
async function replace(fresh: string, target: string): Promise<void> {
  const aside = `${fresh}-old`
  try {
    await rename(target, aside)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  try {
    await rename(fresh, target)
  } catch (error) {
    // Another process put its own there in the meantime: as good as ours.
    if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'EEXIST')) throw error
  }
  await rm(aside, { recursive: true, force: true })
}

/** What killed processes left half filled. */
async function removeAbandoned(toolsDir: string, name: string): Promise<void> {
  for (const entry of await readdir(toolsDir)) {
    const pid = entry.startsWith(`.${name}-`)
      ? Number(entry.slice(name.length + 2).split('-')[0])
      : Number.NaN
    if (Number.isSafeInteger(pid) && !isAlive(pid))
      await rm(join(toolsDir, entry), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code
}

export interface RunOptions {
  readonly cwd?: string
  /** Added to the environment of this process: package managers need the user's proxy and mirror settings. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Runs a tool of the system to its end and answers its standard output.
 * @throws DroverError `setup_failed` with the tool's last words.
 */
export async function runTool(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const answer = await execa(file, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { LC_ALL: 'C', ...options.env },
    stdin: 'ignore',
    timeout: RUN_TIMEOUT_MS,
    reject: false,
  })
  if (!answer.failed) return answer.stdout
  const said = [answer.stderr, answer.stdout, answer.originalMessage].find((text) => text)
  const end = said?.trim().split('\n').slice(-4).join(' | ') ?? `exit code ${answer.exitCode}`
  const verb = args.find((arg) => /^[a-z]+$/.test(arg)) ?? args.join(' ')
  throw new DroverError('setup_failed', `"${basename(file)} ${verb}" failed: ${end}`)
}

/** `12.3 MB` */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

/** Seconds since a `performance.now()` stamp, for people: `1.3 s`. */
export function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`
}
