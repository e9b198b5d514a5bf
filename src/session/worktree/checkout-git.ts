/**
 * Git that looks into the files of a checkout, or writes them, and reads nothing of the configuration of its repository,
 * however that came to apply: of the repository, the worktree, an included file, the user. A git directory of ours
 * stands in for its own, for as long as the work lasts: with our configuration, its index, its objects, and its HEAD. So
 * there is no filter, driver, hook, pager, remote or program of any other key to run.
 *
 * What it must not do by itself is look into a submodule, where git would start another git with that one's
 * configuration: every command here says `--ignore-submodules=dirty`, or compares no submodules.
 *
 * Settings that say how files are read and name no program are taken over (`TAKEN`).
 */
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DroverError } from '../../core/errors.ts'
import type { Git, GitAnswer, RunOptions } from './git.ts'

/** Those that start no other git. */
export type CheckoutCommand =
  'diff' | 'diff-files' | 'ls-files' | 'merge-tree' | 'read-tree' | 'status' | 'update-index' | 'write-tree'

export interface CheckoutGit {
  /** Runs in the checkout; without one, in no directory of the repository. @throws DroverError as `Git` */
  (args: readonly [CheckoutCommand, ...string[]], options?: RunOptions): Promise<GitAnswer>
  /** The git directory of ours, gone after the work. */
  readonly dir: string
  /** The checkout's own git directory. */
  readonly gitDir: string
  /** The commit that the checkout is on; null where there is none. */
  readonly head: string | null
}

/** Where the work is done. */
export interface CheckoutPlace {
  readonly commonDir: string
  /** The checkout, or null: only objects are looked at. */
  readonly path: string | null
}

/** With `env: keep(…)` new objects stay in the repository; else they are gone after the work. */
export function keep(commonDir: string): Readonly<Record<string, string>> {
  return { GIT_OBJECT_DIRECTORY: join(commonDir, 'objects') }
}

/** How files are read and compared. Of those that name a file, git reads patterns there. */
const TAKEN =
  '^(core\\.(attributesfile|autocrlf|checkstat|eol|excludesfile|filemode|ignorecase|precomposeunicode|sparsecheckout|sparsecheckoutcone|symlinks|trustctime)' +
  '|merge\\.(directoryrenames|renamelimit|renames))$'

/**
 * Does `work` with such a git.
 *
 * @throws DroverError `invalid_request` where the checkout is none of this repository (an agent can write its `.git`)
 */
export async function withCheckoutGit<T>(
  git: Git,
  place: CheckoutPlace,
  work: (checkout: CheckoutGit) => Promise<T>,
): Promise<T> {
  const { commonDir, path } = place
  const { gitDir, head, format } = await identify(git, place)
  const taken = await git(path ?? commonDir, ['config', '--null', '--get-regexp', TAKEN], [1])
  const dir = await mkdtemp(join(tmpdir(), 'drover-git-'))
  try {
    await mkdir(join(dir, 'objects/info'), { recursive: true })
    await mkdir(join(dir, 'refs'))
    await mkdir(join(dir, 'info'))
    await writeFile(join(dir, 'objects/info/alternates'), `${join(commonDir, 'objects')}\n`)
    await writeFile(join(dir, 'HEAD'), `${head ?? 'ref: refs/heads/none'}\n`)
    await writeFile(join(dir, 'config'), configText({ format, isBare: path === null, taken: taken.stdout }))
    // Links, because git reads them with care, and what an agent put there may be anything.
    await symlink(join(commonDir, 'info/exclude'), join(dir, 'info/exclude'))
    await symlink(join(commonDir, 'shallow'), join(dir, 'shallow'))
    await symlink(join(gitDir, 'info/sparse-checkout'), join(dir, 'info/sparse-checkout'))
    const parts = (await readdir(gitDir)).filter((name) => name.startsWith('sharedindex.'))
    for (const name of parts) await symlink(join(gitDir, name), join(dir, name))
    const base = {
      GIT_DIR: dir,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      ...(path === null ? {} : { GIT_WORK_TREE: path, GIT_INDEX_FILE: join(gitDir, 'index') }),
    }
    const run = async (args: readonly string[], options: RunOptions = {}): Promise<GitAnswer> =>
      await git.run(path ?? dir, args, { ...options, env: { ...base, ...options.env } })
    return await work(Object.assign(run, { dir, gitDir, head }))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** What is not committed: all, or only of what git knows. */
export async function uncommittedIn(
  checkout: CheckoutGit,
  which: 'all' | 'tracked' = 'all',
): Promise<string[]> {
  const untracked = `--untracked-files=${which === 'all' ? 'all' : 'no'}`
  const flags = ['--porcelain=v1', '-z', untracked, '--no-renames', '--ignore-submodules=dirty']
  const status = await checkout(['status', ...flags])
  return status.stdout
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => entry.slice(3))
}

async function identify(
  git: Git,
  { commonDir, path }: CheckoutPlace,
): Promise<{ readonly gitDir: string; readonly head: string | null; readonly format: string }> {
  const asked = ['--path-format=absolute', '--git-dir', '--git-common-dir', '--show-object-format']
  const found = await git(path ?? commonDir, ['rev-parse', ...asked, 'HEAD^{commit}'], [128])
  const [gitDir = '', common = '', format = '', head = ''] = found.stdout.split('\n')
  if ((await realpath(common).catch(() => null)) !== commonDir) {
    throw new DroverError(
      'invalid_request',
      `${path} is no checkout of the repository ${commonDir} any more.`,
    )
  }
  return { gitDir, head: found.code === 0 ? head : null, format }
}

/** `taken`: as `git config --null` prints, a key without a value for true. */
function configText(of: {
  readonly format: string
  readonly isBare: boolean
  readonly taken: string
}): string {
  const lines = of.taken
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [key = '', ...value] = entry.split('\n')
      const [section, name] = key.split('.')
      return `[${section}]\n\t${name}${value.length === 0 ? '' : ` = ${quoted(value.join('\n'))}`}\n`
    })
  const own = `[core]\n\trepositoryFormatVersion = 1\n\tbare = ${of.isBare}\n`
  const format = of.format === 'sha1' ? '' : `[extensions]\n\tobjectFormat = ${of.format}\n`
  return `${own}${format}${lines.join('')}`
}

function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
