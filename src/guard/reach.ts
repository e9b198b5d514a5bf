/** What can be done to all processes of an agent, whichever tier holds them. */
import { cgroupMembers, removeCgroup, strikeCgroup } from './cgroup.ts'
import { groupMembers, strikeGroup } from './group.ts'
import { namespaceMembers, strikeNamespace } from './pid-namespace.ts'
import type { ProcessEntry } from './process-table.ts'
import type { Strike, Target } from './tier.ts'

/** The live processes of an agent out of a look at the process table; null where the host has no /proc. */
export function membersOfTarget(
  target: Target,
  table: readonly ProcessEntry[],
): readonly ProcessEntry[] | null {
  switch (target.tier) {
    case 'pid_namespace':
      return namespaceMembers(target, table)
    case 'cgroup':
      return cgroupMembers(target)
    case 'group':
      return groupMembers(target, table)
  }
}

/** SIGKILLs all that belongs to the agent at this instant. */
export function strike(target: Target): Strike {
  switch (target.tier) {
    case 'pid_namespace':
      return strikeNamespace(target)
    case 'cgroup':
      return strikeCgroup(target)
    case 'group':
      return strikeGroup(target)
  }
}

/** Gives back what the tier holds for an agent of which nothing is left. */
export function letGo(target: Target): void {
  if (target.tier === 'cgroup') removeCgroup(target.path)
}
