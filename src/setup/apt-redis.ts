/**
 * A Redis server out of the distribution's package archive, without root and without a service: `apt-get` says which
 * packages this machine lacks and downloads them, `dpkg-deb` unpacks them into a directory. `apt-get install` would
 * need root, and would enable a server on port 6379.
 */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError, messageOf } from '../core/errors.ts'
import { type Say, megabytes, runTool } from './fetch.ts'
import { atLeast } from './program.ts'

/** Valkey where the distribution's Redis is too old or gone. */
const SERVER_PACKAGES = ['redis-server', 'valkey-server'] as const
/** Programs and their libraries; service files, users and the like are not needed. */
const WANTED = /^(redis|valkey|lib|lua)/

export interface AptTools {
  readonly aptGet: string
  readonly dpkgDeb: string
}

interface Choice {
  readonly server: string
  readonly version: string
  readonly packages: readonly string[]
}

/**
 * Unpacks a server of at least `minimum` and the libraries that this machine lacks into `dir`.
 * @throws DroverError `setup_failed` when the archive has none, or cannot be reached.
 */
export async function unpackRedis(tools: AptTools, dir: string, minimum: string, say: Say): Promise<void> {
  try {
    await unpackWith(tools, dir, minimum, say, [])
  } catch (error) {
    // Fresh containers have no package lists, and old lists name packages that are gone: ask again with own ones.
    await unpackWithOwnLists(tools, dir, minimum, say).catch((again: unknown) => {
      throw new DroverError(
        'setup_failed',
        `${messageOf(error)}; with fresh package lists: ${messageOf(again)}`,
      )
    })
  }
}

async function unpackWithOwnLists(tools: AptTools, dir: string, minimum: string, say: Say): Promise<void> {
  const apt = join(dir, 'apt')
  await unpackWith(tools, dir, minimum, say, await fetchLists(tools, apt, say))
  await rm(apt, { recursive: true })
}

async function unpackWith(
  tools: AptTools,
  dir: string,
  minimum: string,
  say: Say,
  options: readonly string[],
): Promise<void> {
  const choice = await choose(tools, minimum, options)
  const packages = join(dir, 'packages')
  await rm(packages, { recursive: true, force: true })
  await mkdir(packages)
  const download = [...options, '-o', 'APT::Sandbox::User=', 'download']
  const listing = await runTool(tools.aptGet, [...download, '--print-uris', ...choice.packages])
  say(
    `Redis: fetching ${choice.server} ${choice.version} (${choice.packages.length} packages, ` +
      `${megabytes(downloadSize(listing))}) from the distribution's package archive`,
  )
  await runTool(tools.aptGet, [...download, ...choice.packages], { cwd: packages })
  for (const file of await readdir(packages)) await runTool(tools.dpkgDeb, ['-x', join(packages, file), dir])
  await rm(packages, { recursive: true })
}

/** Package lists of our own, fetched without root and without apt's locks. */
async function fetchLists(tools: AptTools, apt: string, say: Say): Promise<readonly string[]> {
  say('Redis: fetching the package lists of the distribution')
  await mkdir(join(apt, 'lists/partial'), { recursive: true })
  await mkdir(join(apt, 'cache/archives/partial'), { recursive: true })
  const options = ['-o', `Dir::State::lists=${apt}/lists`, '-o', `Dir::Cache=${apt}/cache`]
  await runTool(tools.aptGet, [...options, '-o', 'APT::Sandbox::User=', '-o', 'Debug::NoLocking=1', 'update'])
  return options
}

/** The server and what it lacks here: what `apt-get install` says it would do. */
async function choose(tools: AptTools, minimum: string, options: readonly string[]): Promise<Choice> {
  const seen: string[] = []
  for (const server of SERVER_PACKAGES) {
    const tool = server.replace('-server', '-tools')
    const simulate = ['--simulate', '--reinstall', '--no-install-recommends', 'install', server, tool]
    const plan = await runTool(tools.aptGet, [...options, ...simulate]).catch(() => '')
    const planned = plannedPackages(plan)
    const version = planned.get(server)
    if (version !== undefined && atLeast(version, minimum)) {
      return { server, version, packages: [...planned.keys()].filter((name) => WANTED.test(name)) }
    }
    if (version !== undefined) seen.push(`${server} ${version}`)
  }
  const found = seen.length === 0 ? 'none' : `only ${seen.join(' and ')}`
  throw new DroverError(
    'setup_failed',
    `the distribution's package archive has ${found}, but ${minimum} is needed`,
  )
}

/** `Inst redis-tools [5:7.0.15-1~deb12u10] (5:7.0.15-1~deb12u10 Debian:12 [amd64])` → `redis-tools`, `7.0.15` */
function plannedPackages(plan: string): Map<string, string> {
  const lines = plan.matchAll(/^Inst (\S+) (?:\[[^\]]*\] )?\((?:\d+:)?(\d+(?:\.\d+)*)/gm)
  return new Map([...lines].map(([, name, version]) => [name ?? '', version ?? '']))
}

/** `'http://…' name.deb 73908 SHA256:…` per package */
function downloadSize(listing: string): number {
  const sizes = listing.matchAll(/^'[^']*' \S+ (\d+) /gm)
  return [...sizes].reduce((sum, [, size]) => sum + Number(size), 0)
}
