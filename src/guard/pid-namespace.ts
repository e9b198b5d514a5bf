/**
 * The strongest tier: each agent in a pid namespace of its own.
 *
 *     guard ─▶ wrapper (unshare or bwrap) ─▶ init (a shell, pid 1 inside) ─▶ the CLI
 *
 * The kernel SIGKILLs the wrapper when the guard dies, the init when the wrapper dies, and everything in the
 * namespace when the init ends, nested namespaces too. It reports an end only when all of them are gone. A process
 * can leave its parent, its session, its environment and its cgroup; it cannot leave its pid namespace.
 */
import { constants } from 'node:os'
import { findProgram } from './find-program.ts'
import { gatedInit } from './gate.ts'
import { findSetpriv, withParentDeath } from './group.ts'
import { namespaceOf } from './place.ts'
import {
  closeOver,
  identityOf,
  isLive,
  nameOf,
  readProcesses,
  sendTo,
  type ProcessEntry,
} from './process-table.ts'
import type { ProcessExit, Strike, Target, Tier } from './tier.ts'

type NamespaceTarget = Extract<Target, { tier: 'pid_namespace' }>

/**
 * Codes above 128 that stay codes: 128 + SIGHUP, SIGINT and SIGTERM, with which programs say that they ended in
 * order. The CLI exits with 143 after SIGTERM and 129 after SIGHUP (measured).
 */
const OWN_CODES: ReadonlySet<number> = new Set([129, 130, 143])
const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]))

/**
 * The ways to make a pid namespace on this host, to be tried in this order: as root, as a user with user
 * namespaces (who stays the same user inside: the CLI refuses some modes to root), and bubblewrap, which is there
 * where util-linux is not, and has leave of some systems that refuse user namespaces to others. It comes last
 * because it forbids every change of user inside (no_new_privs).
 */
export function pidNamespaceTiers(): readonly Tier[] {
  const tiers: Tier[] = []
  const setpriv = findSetpriv()
  const unshare = findProgram('unshare')
  const bwrap = findProgram('bwrap')
  if (setpriv !== null && unshare !== null) {
    const namespace = ['--pid', '--fork', '--kill-child', '--mount-proc', '--']
    const user = ['--user', '--map-current-user']
    tiers.push(createNamespaceTier('setpriv and unshare', [unshare, ...namespace], setpriv))
    tiers.push(
      createNamespaceTier(
        'setpriv and unshare with a user namespace',
        [unshare, ...user, ...namespace],
        setpriv,
      ),
    )
  }
  if (bwrap !== null) {
    const namespace = ['--unshare-pid', '--die-with-parent', '--as-pid-1']
    const files = ['--dev-bind', '/', '/', '--proc', '/proc', '--']
    tiers.push(createNamespaceTier('bwrap', [bwrap, ...namespace, ...files], null))
  }
  return tiers
}

function createNamespaceTier(
  how: string,
  wrapper: readonly [string, ...string[]],
  setpriv: string | null,
): Tier {
  const [file, ...options] = wrapper
  return {
    name: 'pid_namespace',
    how: `pid namespace by ${how}`,
    wrap(program) {
      const init = gatedInit(program)
      return withParentDeath(setpriv, { file, args: [...options, init.file, ...init.args] })
    },
    hold(pid) {
      const table = readProcesses()
      // Exactly one each: the wrapper waits for its child, and the init for the one behind the gate.
      const childOf = (parent: number): number => {
        const child = table.find((entry) => entry.parent === parent)
        if (child === undefined) throw new Error(`process ${parent} has no child`)
        return child.pid
      }
      const init = childOf(pid)
      if (namespaceOf(init) === namespaceOf(process.pid)) {
        throw new Error(`process ${init} is in no pid namespace of its own`)
      }
      const target = { tier: 'pid_namespace', wrapper: identityOf(pid), init: identityOf(init) } as const
      return { target, cli: identityOf(childOf(init)) }
    },
    exitOf,
  }
}

/**
 * The init is a shell and has one number for both: 128 + n where the CLI was ended by signal n. An init that said
 * nothing was killed, and the CLI with it (the wrapper's own code is then 1 with util-linux 2.38).
 */
function exitOf({ code, signal }: ProcessExit, orderly: boolean): ProcessExit {
  if (!orderly) return { code: null, signal: 'SIGKILL' }
  if (code === null || code <= 128 || OWN_CODES.has(code)) return { code, signal }
  const name = SIGNALS.get(code - 128)
  return name === undefined ? { code, signal } : { code: null, signal: name }
}

/** The live processes of an agent, without wrapper and init. */
export function namespaceMembers(
  { wrapper, init }: NamespaceTarget,
  table: readonly ProcessEntry[],
): readonly ProcessEntry[] {
  const namespace = isLive(init) ? namespaceOf(init.pid) : null
  if (namespace === null) return []
  // By descent too: what an agent put into a namespace below its own has another link.
  const seeds = table.filter(({ pid }) => pid === init.pid || namespaceOf(pid) === namespace)
  return closeOver(table, seeds).filter(({ pid }) => pid !== init.pid && pid !== wrapper.pid)
}

/** SIGKILLs the init, and with it all others. While it is dying, it and they are still there. */
export function strikeNamespace(target: NamespaceTarget): Strike {
  const { wrapper, init } = target
  const found = isLive(init) ? namespaceMembers(target, readProcesses()) : []
  // The wrapper first: it has a word to say about a killed init, and the agent's output is no place for it.
  const rest = [wrapper, init].filter((identity) => sendTo(identity, 'SIGKILL'))
  return { hit: found.map(nameOf), clear: rest.length === 0 }
}
