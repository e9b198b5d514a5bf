/**
 * The second tier: each agent in a cgroup (v2) of its own, below the one that this process is in. `cgroup.kill`
 * (Linux 5.14) SIGKILLs all in it at once, against forks too. A process leaves its cgroup only with the right to
 * write to the one above, which an agent that runs as root has. When guard and worker die together, the CLI dies
 * with them, and its daemons when the next pod of this host starts.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmdirSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { gated } from './gate.ts'
import { withParentDeath } from './group.ts'
import { identityOf, isDead, nameOf, readProcess, readText, type ProcessEntry } from './process-table.ts'
import type { Strike, Target, Tier } from './tier.ts'

type CgroupTarget = Extract<Target, { tier: 'cgroup' }>

/** Throws a sentence where this process has no place in a tree of cgroups v2. */
export function createCgroupTier(setpriv: string | null): Tier {
  const base = ownCgroup()
  return {
    name: 'cgroup',
    how: `cgroup below ${base}`,
    wrap: (program) => withParentDeath(setpriv, gated(program)),
    hold(pid, mark) {
      const path = join(base, `drover-${mark}`)
      mkdirSync(path)
      try {
        if (!existsSync(join(path, 'cgroup.kill'))) {
          throw new Error('this kernel has no cgroup.kill (Linux 5.14 or newer is needed)')
        }
        appendFileSync(join(path, 'cgroup.procs'), String(pid))
      } catch (error) {
        removeCgroup(path)
        throw error
      }
      return { target: { tier: 'cgroup', path }, cli: identityOf(pid) }
    },
    exitOf: (exit) => exit,
  }
}

/** The live processes of an agent, those in cgroups of its own making too. */
export function cgroupMembers({ path }: CgroupTarget): readonly ProcessEntry[] {
  const pids = readText(join(path, 'cgroup.procs'))?.split('\n').filter(Boolean).map(Number) ?? []
  const here = pids.map(readProcess).filter((entry) => entry !== null)
  const below = childrenOf(path).flatMap((child) => cgroupMembers({ tier: 'cgroup', path: child }))
  return [...here.filter((entry) => !isDead(entry)), ...below]
}

/** SIGKILLs all that is in the cgroup now. */
export function strikeCgroup(target: CgroupTarget): Strike {
  const found = cgroupMembers(target)
  if (found.length > 0) {
    try {
      appendFileSync(join(target.path, 'cgroup.kill'), '1')
    } catch {
      // It was removed in the meantime: then nothing was in it.
    }
  }
  return { hit: found.map(nameOf), clear: found.length === 0 }
}

/** Removes an empty cgroup; nothing happens to one that is gone or not empty. */
export function removeCgroup(path: string): void {
  for (const child of childrenOf(path)) removeCgroup(child)
  try {
    rmdirSync(path)
  } catch {
    // An empty cgroup that stays costs some kilobytes until the next boot.
  }
}

function childrenOf(path: string): string[] {
  let entries: Dirent[]
  try {
    entries = readdirSync(path, { withFileTypes: true })
  } catch {
    return []
  }
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name))
}

/** The directory of the cgroup (v2) that this process is in. */
function ownCgroup(): string {
  // 0::/user.slice/… is the line of the one tree of version 2.
  const own = /^0::(\/.*)$/m.exec(readText('/proc/self/cgroup') ?? '')?.[1]
  // 36 35 98:0 /root /mount/point rw,noatime … - cgroup2 cgroup2 rw
  const mount = /^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 /m.exec(readText('/proc/self/mountinfo') ?? '')
  if (own === undefined || mount === null) throw new Error('there is no cgroup v2 here')
  const [, root = '/', point = ''] = mount
  return join(point, root !== '/' && own.startsWith(root) ? own.slice(root.length) : own)
}
