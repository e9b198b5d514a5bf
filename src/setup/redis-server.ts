/** Finds a Redis or Valkey server program for the embedded Redis, and fetches one where the machine has none. */
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { unpackRedis } from './apt-redis.ts'
import { type Say, fetchTool, runTool, secondsSince } from './fetch.ts'
import { atLeast, findProgram, isExecutable, probeVersion } from './program.ts'
import type { RedisBinary } from './redis-process.ts'

/** BullMQ and the session script need 6.2 (`LMOVE`, `XTRIM MINID`). */
export const MINIMUM_REDIS = '6.2'
const SERVERS = ['redis-server', 'valkey-server'] as const

export interface FindRedisServer {
  /** Where fetched tools live, `<data_dir>/tools`. */
  readonly toolsDir: string
  /** The `PATH` to look on. */
  readonly searchPath: string
  readonly say: Say
}

/**
 * A server of at least 6.2: on the search path, else what an earlier run unpacked, else out of the distribution's
 * packages (Debian, Ubuntu) or Homebrew (macOS). Never asks for root, never leaves a service enabled.
 * @throws DroverError `setup_failed` with the commands to choose from.
 */
export async function findRedisServer(options: FindRedisServer): Promise<RedisBinary> {
  const problems: string[] = []
  const found =
    (await onSearchPath(options.searchPath, problems)) ?? (await unpacked(join(options.toolsDir, 'redis')))
  return found ?? (await fetchServer(options, problems))
}

async function onSearchPath(searchPath: string, problems: string[]): Promise<RedisBinary | null> {
  for (const name of SERVERS) {
    const file = await findProgram(name, searchPath)
    if (file === null) continue
    const probe = await probeVersion(file, {})
    if ('problem' in probe) problems.push(probe.problem)
    else if (atLeast(probe.version, MINIMUM_REDIS)) return { file, version: probe.version, env: {} }
    else problems.push(`${file} is ${probe.version}, but ${MINIMUM_REDIS} is needed`)
  }
  return null
}

/** The server below the root of unpacked packages, if it runs. */
async function unpacked(root: string): Promise<RedisBinary | null> {
  const env = { LD_LIBRARY_PATH: (await libraryDirs(root)).join(':') }
  for (const name of SERVERS) {
    const file = join(root, 'usr/bin', name)
    if (!(await isExecutable(file))) continue
    const probe = await probeVersion(file, env)
    if ('version' in probe && atLeast(probe.version, MINIMUM_REDIS))
      return { file, version: probe.version, env }
  }
  return null
}

/** `usr/lib/x86_64-linux-gnu` and its like. */
async function libraryDirs(root: string): Promise<string[]> {
  const dirs: string[] = []
  for (const lib of ['usr/lib', 'lib']) {
    const entries = await readdir(join(root, lib)).catch(() => [])
    dirs.push(...entries.filter((name) => name.includes('-linux-')).map((name) => join(root, lib, name)))
  }
  return dirs
}

async function fetchServer(options: FindRedisServer, problems: string[]): Promise<RedisBinary> {
  const started = performance.now()
  try {
    const binary = (await fromApt(options)) ?? (await fromBrew(options))
    if (binary !== null) {
      options.say(`Redis: ${binary.version} is ready after ${secondsSince(started)}`)
      return binary
    }
    problems.push('neither apt-get nor brew is here to fetch one')
  } catch (error) {
    problems.push(messageOf(error))
  }
  throw new DroverError(
    'setup_failed',
    `No Redis or Valkey server of at least ${MINIMUM_REDIS} was found (${problems.join('; ')}). ` +
      'Choose one: "docker compose up -d redis" and REDIS_URL=redis://127.0.0.1:6379, ' +
      '"apt install redis-server", "brew install redis", or set REDIS_URL to a server that runs.',
  )
}

async function fromApt(options: FindRedisServer): Promise<RedisBinary | null> {
  const aptGet = await findProgram('apt-get', options.searchPath)
  const dpkgDeb = await findProgram('dpkg-deb', options.searchPath)
  if (aptGet === null || dpkgDeb === null) return null
  const root = await fetchTool(options.toolsDir, 'redis', async (dir) => {
    await unpackRedis({ aptGet, dpkgDeb }, dir, MINIMUM_REDIS, options.say)
    if ((await unpacked(dir)) === null) {
      throw new DroverError('setup_failed', 'the unpacked packages have no server that runs here')
    }
  })
  return unpacked(root)
}

async function fromBrew(options: FindRedisServer): Promise<RedisBinary | null> {
  const brew = await findProgram('brew', options.searchPath)
  if (brew === null) return null
  options.say('Redis: "brew install redis" (some 10 MB from Homebrew; no service is started)')
  await runTool(brew, ['install', 'redis'])
  const prefix = (await runTool(brew, ['--prefix'])).trim()
  return onSearchPath([join(prefix, 'bin'), dirname(brew)].join(':'), [])
}
