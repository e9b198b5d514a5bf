/** What is free for another agent: of the machine, and of what the control groups of this process leave it. */
import { access, constants, readFile, statfs } from 'node:fs/promises'
import { cpus, freemem } from 'node:os'
import { findControlGroups, type ControlGroups, type GroupCpu } from './control-groups.ts'

/** One look; CPU is what happened between two. */
export interface Look {
  /** Monotonic milliseconds. */
  readonly at: number
  readonly freeMemoryMb: number
  /** Where the data directory is. */
  readonly disk: FreeDisk | null
  /** Of the cores that this process may use, in ticks. */
  readonly idle: number
  readonly total: number
  readonly groups: ReadonlyMap<string, GroupCpu>
}

/** What a file system can still take. */
export interface FreeDisk {
  readonly mb: number
  /** The size of the whole. */
  readonly totalMb: number
  /** Files that can still be made; null where it has no such limit. */
  readonly files: number | null
}

export type Looker = () => Promise<Look>

/** Null where the system does not say it, and where nothing can be written: nothing is lacking there. */
export async function freeDisk(dir: string): Promise<FreeDisk | null> {
  // Also as root, where it is mounted read-only (EROFS, access(2)).
  const isWritable = await access(dir, constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!isWritable) return null
  const found = await statfs(dir).catch(() => null)
  // Some that are mounted over a network or by a program say nothing but zeros.
  if (found === null || found.blocks === 0) return null
  const { blocks, bavail, bsize, files, ffree } = found
  const mbOf = (count: number): number => (count * bsize) / 2 ** 20
  return { mb: mbOf(bavail), totalMb: mbOf(blocks), files: files === 0 ? null : ffree }
}

export async function createLooker(dataDir: string): Promise<Looker> {
  const groups = await findControlGroups()
  return async () => {
    const [memory, ticks, use, disk] = await Promise.all([
      availableMb(),
      cpuTicks(),
      groups.read(),
      freeDisk(dataDir),
    ])
    return {
      at: performance.now(),
      disk,
      freeMemoryMb: Math.min(memory, use.freeMemoryMb ?? memory),
      ...ticks,
      groups: use.cpu,
    }
  }
}

/**
 * CPU that was free between two looks, in per cent: of the machine, or of the tightest quota. 100 where nothing is
 * known. Pure.
 */
export function freeCpuPercent(first: Look, last: Look): number {
  const ticks = last.total - first.total
  const ofMachine = ticks > 0 ? (100 * (last.idle - first.idle)) / ticks : 100
  const elapsedMs = last.at - first.at
  const ofGroups = [...last.groups].flatMap(([dir, now]) => {
    const before = first.groups.get(dir)
    if (before === undefined || elapsedMs <= 0) return []
    return [100 * (1 - (now.usedMs - before.usedMs) / (elapsedMs * now.cores))]
  })
  return Math.min(100, Math.max(0, Math.min(ofMachine, ...ofGroups)))
}

/** What a new process can have without swapping, here and now. */
export async function freeMemoryMb(groups?: ControlGroups): Promise<number> {
  const { freeMemoryMb: left } = await (groups ?? (await findControlGroups())).read()
  const memory = await availableMb()
  return Math.min(memory, left ?? memory)
}

/** Of the machine. Not `free`, which leaves out the page cache. */
async function availableMb(): Promise<number> {
  const meminfo = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1]
  return available === undefined ? freemem() / 2 ** 20 : Number(available) / 1024
}

/** Where there is no /proc, of all cores. */
async function cpuTicks(): Promise<{ readonly idle: number; readonly total: number }> {
  const [stat, status] = await Promise.all(
    ['/proc/stat', '/proc/self/status'].map((file) => readFile(file, 'utf8').catch(() => '')),
  )
  const mayUse = allowedCores(/^Cpus_allowed_list:\s*(\S+)/m.exec(status ?? '')?.[1] ?? '')
  let idle = 0
  let total = 0
  for (const [, core = '', counts = ''] of (stat ?? '').matchAll(/^cpu(\d+) (.+)$/gm)) {
    if (!mayUse(Number(core))) continue
    // proc_stat(5): user nice system idle iowait irq softirq steal; the guests' are in user and nice already.
    const ticks = counts.trim().split(/\s+/).slice(0, 8).map(Number)
    idle += (ticks[3] ?? 0) + (ticks[4] ?? 0)
    total += ticks.reduce((sum, count) => sum + count, 0)
  }
  return total > 0 ? { idle, total } : allCores()
}

function allCores(): { readonly idle: number; readonly total: number } {
  let idle = 0
  let total = 0
  for (const { times } of cpus()) {
    idle += times.idle
    total += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return { idle, total }
}

/** `0-3,8`: by affinity and by cpuset. All where it does not say. */
export function allowedCores(list: string): (core: number) => boolean {
  const ranges = list
    .split(',')
    .map((range) => /^(\d+)(?:-(\d+))?$/.exec(range))
    .flatMap((range) => (range === null ? [] : [[Number(range[1]), Number(range[2] ?? range[1])] as const]))
  return (core) => ranges.length === 0 || ranges.some(([from, to]) => core >= from && core <= to)
}
