/**
 * Git, run so that it asks nothing, ends in bounded time and runs nothing that a repository brings along: no hook, no
 * file system monitor, no filter, no merge driver. Whoever may write to a repository's configuration (an agent
 * can) would otherwise choose what the pod and the board run. So files of Git LFS are pointers in a worktree.
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
  /** The output was longer than 16 MB: the rest is missing. */
  readonly isCut: boolean
}

/** Settings by key, for one repository. */
type Settings = readonly (readonly [string, string])[]

export interface Git {
  /**
   * Runs `git <args>` in `dir`. Codes beside 0 must be allowed.
   *
   * @throws DroverError `invalid_request` where there is no git, where it took longer than two minutes, or where it
   *   ended with another code: with what it said
   */
  (
    dir: string,
    args: readonly string[],
    allow?: readonly number[],
    /** Further variables. */
    env?: Readonly<Record<string, string>>,
  ): Promise<GitAnswer>
}

/** For every command: what would run programs or ask. */
const HARMLESS: Settings = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.pager', 'cat'],
  ['core.quotePath', 'false'],
  ['commit.gpgSign', 'false'],
  ['merge.verifySignatures', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['submodule.recurse', 'false'],
]

/** What a configured program is replaced with. */
const REPLACED: readonly (readonly [RegExp, string])[] = [
  [/^filter\..*\.(clean|smudge|process)$/, ''],
  [/^filter\..*\.required$/, 'false'],
  [/^merge\..*\.driver$/, 'git merge-file --quiet %A %O %B'],
]
const PROGRAMS = '^(filter|merge)\\..*\\.(clean|smudge|process|required|driver)$'

/** Commands that look into no file of a checkout: nothing configured runs. */
const PLUMBING = new Set([
  'commit-tree',
  'merge-base',
  'read-tree',
  'rev-list',
  'rev-parse',
  'symbolic-ref',
  'update-ref',
  'var',
  'write-tree',
])

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
  }

  async function run(
    dir: string,
    args: readonly string[],
    allow: readonly number[],
    settings: Settings,
    env = {},
  ) {
    const done = await execa('git', args, {
      cwd: dir,
      env: { ...base, ...settingsEnvironment(settings), ...env },
      extendEnv: false,
      stdin: 'ignore',
      reject: false,
      timeout: PATIENCE_MS,
      maxBuffer: OUTPUT_LIMIT,
      stripFinalNewline: false,
    })
    const { exitCode: code, stdout, stderr, isMaxBuffer: isCut } = done
    if (isCut) return { code: 0, stdout, isCut }
    if (code !== undefined && (code === 0 || allow.includes(code))) return { code, stdout, isCut }
    throw failed(args, done.code === 'ENOENT' ? null : stderr, done.timedOut)
  }

  return async (dir, args, allow = [], env = {}) => {
    if (PLUMBING.has(args[0] ?? '')) return await run(dir, args, allow, HARMLESS, env)
    const found = await run(dir, ['config', '--null', '--name-only', '--get-regexp', PROGRAMS], [1], HARMLESS)
    const replaced = [...new Set(found.stdout.split('\0'))].flatMap((key): Settings => {
      const value = REPLACED.find(([pattern]) => pattern.test(key))?.[1]
      return value === undefined ? [] : [[key, value]]
    })
    return await run(dir, args, allow, [...HARMLESS, ...replaced], env)
  }
}

/** As variables, because a key in an argument may hold no `=`. */
function settingsEnvironment(settings: Settings): Record<string, string> {
  const entries = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(settings.length), ...Object.fromEntries(entries) }
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
