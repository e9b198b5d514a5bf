/**
 * What the control groups of this process leave it: in a container the machine may have plenty while the container
 * has nothing. Version 2 and version 1, each limit of each group from ours up to the top of what is mounted here.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The CPU of a group with a quota. */
export interface GroupCpu {
  /** Cores that the quota is worth. */
  readonly cores: number
  /** CPU time so far, in milliseconds. */
  readonly usedMs: number
}

export interface GroupUse {
  /** What may still be taken up to the tightest limit, page cache that can be dropped included; null without a limit. */
  readonly freeMemoryMb: number | null
  /** By directory; none without a quota. */
  readonly cpu: ReadonlyMap<string, GroupCpu>
}

export interface ControlGroups {
  /** What cannot be read limits nothing. */
  read(): Promise<GroupUse>
}

interface Mount {
  readonly version: 1 | 2
  /** Version 1: `memory`, `cpu`, `cpuacct` … */
  readonly controllers: readonly string[]
  /** The group that is mounted here: `/`, or in a container without a namespace of its own the container's. */
  readonly root: string
  readonly point: string
}

/** Version 1 says "no limit" by a number near 2^63. */
const NO_LIMIT = 2 ** 60
const MB = 2 ** 20

/** @param proc for tests: a directory with `cgroup` and `mountinfo` */
export async function findControlGroups(proc = '/proc/self'): Promise<ControlGroups> {
  const [groups, mountinfo] = await Promise.all([
    readText(join(proc, 'cgroup')),
    readText(join(proc, 'mountinfo')),
  ])
  const mounts = mountinfo.split('\n').flatMap(mountOf)
  const chain = (version: 1 | 2, controller: string): readonly string[] => {
    const path = pathOf(groups, version, controller)
    const mount = mounts.find(
      (one) => one.version === version && (version === 2 || one.controllers.includes(controller)),
    )
    return path === null || mount === undefined ? [] : upwards(mount, path)
  }
  const unified = chain(2, '')
  const memory = chain(1, 'memory')
  const cpu = chain(1, 'cpu')
  const accounts = chain(1, 'cpuacct')

  return {
    async read() {
      const [free, quotas] = await Promise.all([
        Promise.all([...unified.map(freeBytes2), ...memory.map(freeBytes1)]),
        Promise.all([
          ...unified.map(quota2),
          // One group of both controllers, or its time is not known.
          ...(cpu.length === accounts.length ? cpu.map((dir, at) => quota1(dir, accounts[at] ?? dir)) : []),
        ]),
      ])
      const limits = free.filter((bytes) => bytes !== null)
      return {
        freeMemoryMb: limits.length === 0 ? null : Math.max(0, Math.min(...limits) / MB),
        cpu: new Map(quotas.flatMap((quota) => (quota === null ? [] : [quota]))),
      }
    },
  }
}

/** A line of proc_pid_mountinfo(5). */
function mountOf(line: string): Mount[] {
  const [before = '', after = ''] = line.split(' - ')
  const [, , , root = '', point = ''] = before.split(' ')
  const [type, , options = ''] = after.split(' ')
  if (type !== 'cgroup2' && type !== 'cgroup') return []
  return [{ version: type === 'cgroup2' ? 2 : 1, controllers: options.split(','), root, point }]
}

/** Our group, from proc_pid_cgroup(5): `0::/path`, `4:memory:/path`, `5:cpu,cpuacct:/path`. */
function pathOf(groups: string, version: 1 | 2, controller: string): string | null {
  for (const line of groups.split('\n')) {
    const [number, controllers = '', ...path] = line.split(':')
    const isOurs = version === 2 ? number === '0' : controllers.split(',').includes(controller)
    if (isOurs) return path.join(':')
  }
  return null
}

/** The directories of our group and of those above it. */
function upwards({ root, point }: Mount, path: string): readonly string[] {
  const below = root === '/' ? path : path.startsWith(root) ? path.slice(root.length) : '/'
  const dirs = [join(point, below)]
  for (let dir = join(point, below); dir.length > point.length && dir !== '/';)
    dirs.push((dir = dirname(dir)))
  return dirs
}

async function freeBytes2(dir: string): Promise<number | null> {
  return await freeBytes(dir, 'memory.max', 'memory.current', 'inactive_file')
}

async function freeBytes1(dir: string): Promise<number | null> {
  return await freeBytes(dir, 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
}

async function freeBytes(
  dir: string,
  limitFile: string,
  usedFile: string,
  cache: string,
): Promise<number | null> {
  const [limit, used, stat] = await Promise.all([
    readNumber(join(dir, limitFile)),
    readNumber(join(dir, usedFile)),
    readText(join(dir, 'memory.stat')),
  ])
  if (limit === null || used === null || limit >= NO_LIMIT) return null
  return limit - used + valueOf(stat, cache)
}

async function quota2(dir: string): Promise<[string, GroupCpu] | null> {
  const [max, stat] = await Promise.all([readText(join(dir, 'cpu.max')), readText(join(dir, 'cpu.stat'))])
  const [quota, period] = max.split(' ').map(Number)
  return quotaOf(dir, quota, period, valueOf(stat, 'usage_usec') / 1000)
}

async function quota1(dir: string, account: string): Promise<[string, GroupCpu] | null> {
  const [quota, period, usedNs] = await Promise.all([
    readNumber(join(dir, 'cpu.cfs_quota_us')),
    readNumber(join(dir, 'cpu.cfs_period_us')),
    readNumber(join(account, 'cpuacct.usage')),
  ])
  return usedNs === null ? null : quotaOf(dir, quota, period, usedNs / 1e6)
}

/** `max` and -1 are no quota. */
function quotaOf(
  dir: string,
  quota: number | null | undefined,
  period: number | null | undefined,
  usedMs: number,
): [string, GroupCpu] | null {
  if (!quota || !period || quota <= 0 || period <= 0) return null
  return [dir, { cores: quota / period, usedMs }]
}

/** A line `name value`; 0 without it. */
function valueOf(stat: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0)
}

async function readNumber(file: string): Promise<number | null> {
  const text = (await readText(file)).trim()
  return /^-?\d+$/.test(text) ? Number(text) : null
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '')
}
