/** Finds the Claude Code CLI, and fetches the pinned one where the machine has none that is new enough. */
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { type Say, fetchTool, runTool, secondsSince } from './fetch.ts'
import { type Probe, atLeast, findProgram, isExecutable, probeVersion } from './program.ts'

/** The version that everything Drover relies on was measured with (`reference`: exit codes, resume, signals). */
export const PINNED_CLAUDE = '2.1.329'
/** An older one was never measured, so it is not trusted; a newer one keeps what its users rely on. */
export const MINIMUM_CLAUDE = '2.1.329'

export interface ClaudeCli {
  readonly path: string
  readonly version: string
}

export interface FindClaude {
  /** `claude.path` of the configuration: only this one is looked at then, whatever its version. */
  readonly path: string | null
  /** The `PATH` to look on. */
  readonly searchPath: string
  /** Where fetched tools live, `<data_dir>/tools`. */
  readonly toolsDir: string
  readonly say: Say
  /** @default MINIMUM_CLAUDE */
  readonly minimum?: string
  /** @default PINNED_CLAUDE */
  readonly pinned?: string
}

/**
 * The CLI to run: the configured one; else `claude` on the search path when it is new enough; else the pinned npm
 * package, fetched once into `<toolsDir>/claude`.
 * @throws DroverError `setup_failed` when the configured program does not answer, or the package cannot be fetched.
 */
export async function findClaude(options: FindClaude): Promise<ClaudeCli> {
  if (options.path !== null) return configured(options.path, options.searchPath)
  return (await onSearchPath(options)) ?? (await fetched(options)) ?? (await fetchPackage(options))
}

async function configured(path: string, searchPath: string): Promise<ClaudeCli> {
  const answer = (await isExecutable(path))
    ? await probe(path, searchPath)
    : { problem: 'there is no executable file' }
  if ('version' in answer) return { path, version: answer.version }
  throw new DroverError(
    'setup_failed',
    `The configured Claude CLI ${path} cannot be used: ${answer.problem}. ` +
      'Correct DROVER_CLAUDE_PATH (claude.path), or take it away to let Drover find one.',
  )
}

async function onSearchPath(options: FindClaude): Promise<ClaudeCli | null> {
  const path = await findProgram('claude', options.searchPath)
  if (path === null) return null
  const minimum = options.minimum ?? MINIMUM_CLAUDE
  const answer = await probe(path, options.searchPath)
  if ('version' in answer && atLeast(answer.version, minimum)) return { path, version: answer.version }
  const why = 'version' in answer ? `it is ${answer.version}, but ${minimum} is needed` : answer.problem
  options.say(`Claude CLI: not using ${path}: ${why}`)
  return null
}

/** What an earlier run fetched, if it is the pinned version and runs. */
async function fetched(options: FindClaude): Promise<ClaudeCli | null> {
  const path = programIn(join(options.toolsDir, 'claude'))
  if (!(await isExecutable(path))) return null
  const answer = await probe(path, options.searchPath)
  return 'version' in answer && answer.version === pinnedOf(options)
    ? { path, version: answer.version }
    : null
}

async function fetchPackage(options: FindClaude): Promise<ClaudeCli> {
  const started = performance.now()
  const pinned = pinnedOf(options)
  options.say(
    `Claude CLI: fetching @anthropic-ai/claude-code ${pinned} (361 MB unpacked) from the npm registry`,
  )
  await fetchTool(options.toolsDir, 'claude', (dir) => install(dir, options)).catch((error: unknown) => {
    throw new DroverError(
      'setup_failed',
      `The Claude CLI could not be fetched: ${messageOf(error)}. ` +
        `Install it yourself ("npm install -g @anthropic-ai/claude-code@${pinned}"), or set DROVER_CLAUDE_PATH.`,
      {},
      { cause: error },
    )
  })
  const found = await fetched(options)
  if (found === null)
    throw new DroverError('setup_failed', 'The fetched Claude CLI was removed again. Try again.')
  options.say(`Claude CLI: ${found.version} is ready after ${secondsSince(started)}`)
  return found
}

/**
 * No install script is run: the package's own would only link the platform package's program to where we link it.
 */
async function install(dir: string, options: FindClaude): Promise<void> {
  const npm = await findProgram('npm', options.searchPath)
  if (npm === null) throw new Error('npm is not on the PATH')
  const spec = `@anthropic-ai/claude-code@${pinnedOf(options)}`
  const quiet = [
    '--no-save',
    '--no-package-lock',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  await runTool(npm, ['install', ...quiet, '--prefix', dir, spec], {
    cwd: dir,
    env: { PATH: [dirname(process.execPath), options.searchPath].join(':') },
  })
  const program = programIn(dir)
  await rm(program, { force: true })
  await symlink(await platformProgram(dir), program)
  const answer = await probe(program, options.searchPath)
  if ('problem' in answer) throw new Error(answer.problem)
}

/** The native program, relative to the link: npm installs the platform package that fits this machine. */
async function platformProgram(dir: string): Promise<string> {
  const scope = join(dir, 'node_modules/@anthropic-ai')
  for (const name of await readdir(scope)) {
    if (await isExecutable(join(scope, name, 'claude'))) return join('../@anthropic-ai', name, 'claude')
  }
  throw new Error(`the package has no program for ${process.platform} on ${process.arch}`)
}

function programIn(dir: string): string {
  return join(dir, 'node_modules/.bin/claude')
}

function pinnedOf(options: FindClaude): string {
  return options.pinned ?? PINNED_CLAUDE
}

/** With a home of its own and none of the caller's variables, so that the probe can neither read nor write a login. */
async function probe(path: string, searchPath: string): Promise<Probe> {
  const home = await mkdtemp(join(tmpdir(), 'drover-probe-'))
  try {
    return await probeVersion(path, {
      PATH: searchPath,
      HOME: home,
      CLAUDE_CONFIG_DIR: join(home, '.claude'),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    })
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}
