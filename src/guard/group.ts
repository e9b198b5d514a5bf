/** The tier of hosts that can do no other: a session of its own, and a mark that every descendant inherits. */
import { spawnSync } from 'node:child_process'
import { findProgram } from './find-program.ts'
import { gated } from './gate.ts'
import {
  hasProcFilesystem,
  identityOf,
  membersOf,
  nameOf,
  readProcesses,
  sendGroup,
  sendTo,
  type ProcessEntry,
} from './process-table.ts'
import type { CommandLine, Strike, Target, Tier } from './tier.ts'

type GroupTarget = Extract<Target, { tier: 'group' }>

/** One that does not answer is not there. */
const TEST_LIMIT_MS = 2000

/** `setpriv` (of `findSetpriv`) lets the CLI die with the guard that started it; null does without. */
export function createGroupTier(setpriv: string | null): Tier {
  const ending = setpriv === null ? 'without setpriv, the CLI outlives its guard' : 'ends with its guard'
  const finding = hasProcFilesystem() ? 'environment mark' : 'no /proc to find anything else'
  return {
    name: 'group',
    how: `process group and ${finding}; ${ending}`,
    wrap: (program) => withParentDeath(setpriv, gated(program)),
    hold(pid, mark) {
      const session = identityOf(pid)
      return { target: { tier: 'group', mark, session }, cli: session }
    },
    exitOf: (exit) => exit,
  }
}

/** The live processes of an agent; null where the host has no /proc. */
export function groupMembers(
  { mark, session }: GroupTarget,
  table: readonly ProcessEntry[],
): readonly ProcessEntry[] | null {
  if (!hasProcFilesystem()) return null
  const leader = table.find(({ pid }) => pid === session?.pid)
  const isReused = leader !== undefined && leader.startTime !== session?.startTime
  return membersOf(table, mark, isReused || session === null ? null : session.pid)
}

/** SIGKILLs all that is found now, and then the group, for those that were forked meanwhile. */
export function strikeGroup(target: GroupTarget): Strike {
  const group = target.session?.pid ?? null
  const found = groupMembers(target, readProcesses())
  if (found === null) {
    const isHit = group !== null && sendGroup(group, 'SIGKILL')
    return { hit: isHit ? [`group ${group}`] : [], clear: !isHit }
  }
  for (const entry of found) sendTo(entry, 'SIGKILL')
  // Only where one of the group was found: otherwise its number may be somebody else's.
  if (group !== null && found.some((entry) => entry.group === group)) sendGroup(group, 'SIGKILL')
  return { hit: found.map(nameOf), clear: found.length === 0 }
}

/** The program so that it dies with the process that starts it, where setpriv is there to arrange it. */
export function withParentDeath(setpriv: string | null, { file, args }: CommandLine): CommandLine {
  return setpriv === null
    ? { file, args }
    : { file: setpriv, args: ['--pdeathsig', 'KILL', '--', file, ...args] }
}

/**
 * util-linux' setpriv, where it knows the parent-death signal (busybox' does not). The signal is sent when the
 * *thread* that forked ends, so agents are started from the main thread only.
 */
export function findSetpriv(): string | null {
  const test = ['--pdeathsig', 'KILL', '--', '/bin/sh', '-c', ':']
  return findProgram('setpriv', (path) => spawnSync(path, test, { timeout: TEST_LIMIT_MS }).status === 0)
}
