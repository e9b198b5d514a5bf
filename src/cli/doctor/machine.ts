/** Checks of the machine: Node, git, disk, the CLI and its login. */
import { access, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import type { Config } from '../../config/settings.ts'
import { messageOf } from '../../core/errors.ts'
import { isAtLeast } from '../../guard/tier.ts'
import { howToGet, type TierTry } from '../../guard/try-tiers.ts'
import { MINIMUM_CLAUDE, PINNED_CLAUDE } from '../../setup/claude-cli.ts'
import { atLeast, findProgram, isExecutable, probeVersion } from '../../setup/program.ts'
import { toolsDirOf } from '../stack/tools.ts'
import { fail, ok, warn, type Check } from './check.ts'

type Env = Readonly<Record<string, string | undefined>>

const GIB = 1024 ** 3
/** A day of ten busy agents stays below it. */
const COMFORTABLE_BYTES = GIB
/** Less than this, and an AOF rewrite or a WAL checkpoint may fail. */
const LEAST_BYTES = 0.1 * GIB
/** A session makes some hundred files; git and npm make thousands. */
const COMFORTABLE_FILES = 100_000
const LEAST_FILES = 1000
const AUTH_TIMEOUT_MS = 10_000

/** Which Node this is: no command begins on one that is too old. */
export function checkNode(): Check {
  return ok('node', process.versions.node)
}

/** Is git on the search path? */
export async function checkGit(searchPath: string): Promise<Check> {
  const git = await findProgram('git', searchPath)
  if (git !== null) return ok('git', git)
  return warn(
    'git',
    'not found',
    'Install git: the demo makes a repository, and agents expect it in most workspaces.',
  )
}

/** Is there room where the data directory is, or will be? */
export async function checkDisk(dataDir: string): Promise<Check> {
  const dir = await nearestExisting(dataDir)
  const { bavail, bsize, files, ffree } = await statfs(dir)
  return diskCheck(dir, bavail * bsize, files === 0 ? null : ffree)
}

/** Pure. `freeFiles`: how many files may still be made; null where the file system has no such limit. */
export function diskCheck(dir: string, freeBytes: number, freeFiles: number | null): Check {
  const files = freeFiles === null ? '' : ` and ${freeFiles} files`
  const value = `${(freeBytes / GIB).toFixed(1)} GiB${files} free in ${dir}`
  const fix = 'Free some space, or name another directory with DROVER_DATA_DIR.'
  const most = freeFiles ?? Number.POSITIVE_INFINITY
  if (freeBytes < LEAST_BYTES || most < LEAST_FILES) return fail('disk', value, fix)
  if (freeBytes < COMFORTABLE_BYTES || most < COMFORTABLE_FILES) return warn('disk', value, fix)
  return ok('disk', value)
}

/** Would a pod on this machine have room for an agent? */
export function checkMemory(config: Config, freeMemoryMb: number): Check {
  const needed = config.worker.minFreeMemoryMb
  const value = `${Math.round(freeMemoryMb)} MB free`
  if (needed === 0 || freeMemoryMb >= needed) return ok('memory', value)
  return warn(
    'memory',
    `${value}, ${needed} are needed`,
    'A pod here would start no agent now. Free some memory, or lower DROVER_MIN_FREE_MEMORY_MB.',
  )
}

/** How well a pod here can end what its agents start. */
export function tierCheck(tries: readonly TierTry[], required: Config['guard']['requireTier']): Check {
  const best = tries.find(({ works }) => works)
  const failed = tries.filter(({ works }) => !works).map(({ tier, why }) => `${tier} does not work: ${why}`)
  if (best === undefined) return fail('guard', failed.join('\n'), howToGet('group'))
  const value = [`${best.tier} (${best.why})`, ...failed].join('\n')
  if (!isAtLeast(best.tier, required)) {
    const wanted = required === 'none' ? best.tier : required
    return fail('guard', value, `guard.require_tier asks for ${required}. ${howToGet(wanted)}`)
  }
  if (best.tier !== 'group') return ok('guard', value)
  return warn(
    'guard',
    value,
    `A process that hides from its session, its parent and its environment may outlive its agent. ${howToGet('pid_namespace')}`,
  )
}

/** The CLI's check, and where it is, for the next check. */
export async function checkClaude(config: Config, env: Env): Promise<{ check: Check; path: string | null }> {
  const name = 'claude'
  const install = `"drover up" fetches ${PINNED_CLAUDE}; or npm install -g @anthropic-ai/claude-code@${PINNED_CLAUDE}.`
  if (config.claude.path !== null) {
    const probe = await probed(config.claude.path, env)
    if ('version' in probe) return found(config.claude.path, probe.version)
    const fix = 'Correct DROVER_CLAUDE_PATH (claude.path), or take it away to let Drover find one.'
    return { check: fail(name, `${config.claude.path}: ${probe.problem}`, fix), path: null }
  }
  let unfit = 'not found'
  const onPath = await findProgram('claude', env['PATH'] ?? '')
  for (const path of [onPath, join(toolsDirOf(config), 'claude/node_modules/.bin/claude')]) {
    if (path === null || !(await isExecutable(path))) continue
    const probe = await probed(path, env)
    if ('version' in probe && atLeast(probe.version, MINIMUM_CLAUDE)) return found(path, probe.version)
    unfit = 'version' in probe ? `${path} is ${probe.version}` : `${path}: ${probe.problem}`
  }
  return { check: warn(name, unfit, `At least ${MINIMUM_CLAUDE} is needed. ${install}`), path: null }

  function found(path: string, version: string): { check: Check; path: string } {
    return { check: cliCheck(path, version), path }
  }
}

/** Pure: what the version of a CLI that will be used is worth. */
export function cliCheck(path: string, version: string): Check {
  const value = `${version} at ${path}`
  if (!atLeast(version, MINIMUM_CLAUDE)) {
    const fix = `Drover needs ${MINIMUM_CLAUDE} or newer; it was tested with ${PINNED_CLAUDE}. Update it, or take DROVER_CLAUDE_PATH away.`
    return warn('claude', value, fix)
  }
  const isTested = atLeast(PINNED_CLAUDE, version)
  return ok('claude', isTested ? value : `${value}, newer than the tested ${PINNED_CLAUDE}`)
}

/** Whether there is a login and of what kind; never what it is. */
export async function checkCredentials(claude: string | null, env: Env): Promise<Check> {
  const name = 'credentials'
  const fix =
    'Set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN (from "claude setup-token"); --rehearse needs neither.'
  const variable = LOGIN_VARIABLES.find((candidate) => env[candidate])
  if (variable !== undefined) return ok(name, `from ${variable}`)
  if (claude === null) return warn(name, 'unknown without the CLI', fix)
  // Looks at files and variables only; no request is made.
  const status = await execa(claude, ['auth', 'status'], {
    env,
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: AUTH_TIMEOUT_MS,
  })
  if (status.exitCode !== 0) return warn(name, 'none', fix)
  return warn(
    name,
    'an interactive login',
    "A token is better: with one each session has a configuration of its own; with this login all share the user's, " +
      `see and may message each other, and end when the login runs out. ${fix.replace('Set', 'Better set')}`,
  )
}

const LOGIN_VARIABLES = ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN']

/** With a home of its own, so that asking for the version neither reads nor writes a login. */
async function probed(path: string, env: Env): ReturnType<typeof probeVersion> {
  const home = await mkdtemp(join(tmpdir(), 'drover-probe-'))
  try {
    return await probeVersion(path, { PATH: env['PATH'] ?? '', HOME: home })
  } catch (error) {
    return { problem: messageOf(error) }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

async function nearestExisting(path: string): Promise<string> {
  const there = await access(path).then(
    () => true,
    () => false,
  )
  return there || path === dirname(path) ? path : nearestExisting(dirname(path))
}
