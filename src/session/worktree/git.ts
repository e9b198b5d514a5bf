/**
 * Git, run so that it asks nothing, ends in bounded time and runs nothing that a repository brings along. Whoever may
 * write to a repository's configuration (an agent can) would otherwise choose what the pod and the board run.
 *
 * Only commands that look into no file of a checkout run with the repository's configuration: of what it can name they
 * start hooks at most, and those are switched off. What looks into files (`status`, `diff`, filling a checkout …) would
 * run filters, drivers and the like: it has a configuration of ours, see `checkout-git.ts`. Nothing is fetched, so of a
 * partial clone what is not there is missing.
 *
 * Its environment is its own: of the caller's it has the search path and the home, where the user's name and
 * `safe.directory` are.
 */
import { execa } from 'execa'
import { DroverError } from '../../core/errors.ts'

/** Where git is looked for without a search path. */
const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin'
/** Checking out a large repository takes a while; a lock that nobody takes away would take for ever. */
const PATIENCE_MS = 120_000
/** Bytes of one answer. */
const OUTPUT_LIMIT = 16 * 1024 * 1024
const TEXT_LIMIT = 600

/** A run that ended with one of the codes that were allowed. */
export interface GitAnswer {
  readonly code: number
  readonly stdout: string
  /** The output was longer than its limit: the rest is missing. */
  readonly isCut: boolean
}

/** Commands that look into no file of a checkout; `worktree add` with `--no-checkout`, `remove` with `--force`. */
export type RepositoryCommand =
  | 'commit-tree'
  | 'config'
  | 'merge-base'
  | 'rev-list'
  | 'rev-parse'
  | 'symbolic-ref'
  | 'update-ref'
  | 'var'
  | 'worktree'

export interface RunOptions {
  /** Codes that are answers, beside 0. */
  readonly allow?: readonly number[]
  /** Further variables. */
  readonly env?: Readonly<Record<string, string>>
  /** What it reads. */
  readonly input?: string
  /** Bytes of the answer. @default 16 MB */
  readonly limit?: number
}

/** Any git command. */
export type RunGit = (dir: string, args: readonly string[], options: RunOptions) => Promise<GitAnswer>

export interface Git {
  /**
   * Runs `git <args>` in `dir`. Codes beside 0 must be allowed.
   *
   * @throws DroverError `invalid_request` where there is no git, where it took longer than two minutes, or where it
   *   ended with another code: with what it said
   */
  (
    dir: string,
    args: readonly [RepositoryCommand, ...string[]],
    allow?: readonly number[],
    env?: Readonly<Record<string, string>>,
  ): Promise<GitAnswer>
  /** The same for every command: for `checkout-git.ts`, which keeps the repository's configuration away. */
  readonly run: RunGit
}

/** For every command: what would run programs, or write what nobody asked for. */
const HARMLESS: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.untrackedCache', 'false'],
  ['core.splitIndex', 'false'],
  ['core.quotePath', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['submodule.recurse', 'false'],
]

/** What git takes of the process environment. */
export type GitEnvironment = Readonly<Record<string, string | undefined>>

/** Git with this environment's search path and home. Starts nothing. */
export function createGit(from: GitEnvironment): Git {
  const base = {
    PATH: from['PATH'] || USUAL_PATH,
    ...(from['HOME'] ? { HOME: from['HOME'] } : {}),
    ...(from['XDG_CONFIG_HOME'] ? { XDG_CONFIG_HOME: from['XDG_CONFIG_HOME'] } : {}),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_EDITOR: 'true',
    // Looking at a checkout writes nothing into it.
    GIT_OPTIONAL_LOCKS: '0',
    // Of a partial clone: a fetch runs what its remote names.
    GIT_NO_LAZY_FETCH: '1',
    GIT_ALLOW_PROTOCOL: 'none',
    ...settingsEnvironment(),
  }

  const run: RunGit = async (dir, args, { allow = [], env = {}, input, limit = OUTPUT_LIMIT }) => {
    const done = await execa('git', args, {
      cwd: dir,
      env: { ...base, ...env },
      extendEnv: false,
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
      reject: false,
      timeout: PATIENCE_MS,
      maxBuffer: limit,
      stripFinalNewline: false,
    })
    const { exitCode: code, stdout, stderr, isMaxBuffer: isCut } = done
    if (isCut) return { code: 0, stdout, isCut }
    if (code !== undefined && (code === 0 || allow.includes(code))) return { code, stdout, isCut }
    throw failed(args, done.code === 'ENOENT' ? null : stderr, done.timedOut)
  }

  return Object.assign<Git, Pick<Git, 'run'>>(
    (async (dir, args, allow = [], env = {}) => await run(dir, args, { allow, env })) as Git,
    { run },
  )
}

/** As variables, because a key in an argument may hold no `=`. */
function settingsEnvironment(): Record<string, string> {
  const entries = HARMLESS.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(HARMLESS.length), ...Object.fromEntries(entries) }
}

function failed(args: readonly string[], stderr: string | null, timedOut: boolean): DroverError {
  if (stderr === null) {
    return new DroverError(
      'invalid_request',
      'There is no git on the search path, and worktrees need it: install git.',
    )
  }
  const said = stderr.trim().slice(-TEXT_LIMIT)
  const how = timedOut ? `took longer than ${PATIENCE_MS / 1000} s` : 'failed'
  return new DroverError('invalid_request', `git ${args[0]} ${how}${said === '' ? '' : `: ${said}`}`)
}
