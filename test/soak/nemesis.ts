/** Who does all the harm: which faults, when, to whom, by the seed. */
import type { Random } from '../fault/rig/random.ts'
import type { Arena, Fault } from './arena.ts'
import { FAULT_KINDS, type FaultKind } from './fault-kinds.ts'
import { POD_FAULTS } from './pod-faults.ts'
import { logUniform } from './scripts.ts'
import { SHARED_FAULTS } from './shared-faults.ts'

const FAULTS: Readonly<Record<FaultKind, Fault>> = { ...POD_FAULTS, ...SHARED_FAULTS }
/** They need the whole field for themselves. */
const WIPES: readonly FaultKind[] = ['redis-flush', 'redis-empty']
/** A subset: combinations of a few faults find more than a little of each (swarm testing). */
const SHARE = 0.6
/** Leases between two faults of one kind, on average; where between these it is is up to the seed. */
const EVERY_LEASES = [1.25, 6] as const
const WIPE_EVERY_LEASES = [10, 25] as const

/** Which faults a seed has. */
export function chooseFaults(random: Random): FaultKind[] {
  const chosen = FAULT_KINDS.filter(() => random.next() < SHARE)
  return chosen.length > 0 ? chosen : [...FAULT_KINDS]
}

/**
 * Disturbs the arena until it is to be healed; resolves when every fault is lifted again. Answers what could not be
 * done or lifted: then the field is not what it should be.
 */
export async function disturb(
  arena: Arena,
  kinds: readonly FaultKind[],
  random: Random,
): Promise<readonly string[]> {
  const running = new Set<Promise<unknown>>()
  const problems: string[] = []
  let wiping = false

  async function strike(kind: FaultKind, own: Random): Promise<void> {
    if (WIPES.includes(kind)) {
      if (wiping) return
      wiping = true
      await Promise.all(running)
      if (!arena.healing.aborted) await happen(kind, own)
      wiping = false
      return
    }
    if (wiping || arena.healing.aborted) return
    const fault = happen(kind, own)
    running.add(fault)
    void fault.then(() => running.delete(fault))
  }

  async function happen(kind: FaultKind, own: Random): Promise<void> {
    try {
      await FAULTS[kind](arena, own)
    } catch (error) {
      problems.push(`${kind}: ${String(error)}`)
    }
  }

  async function again(kind: FaultKind): Promise<void> {
    const own = random.stream(kind)
    const [from, to] = WIPES.includes(kind) ? WIPE_EVERY_LEASES : EVERY_LEASES
    const everyMs = logUniform(own, from, to) * arena.field.times.ttlMs
    while (!arena.healing.aborted) {
      // The time between two events of a Poisson process.
      await arena.pause(-Math.log(1 - own.next()) * everyMs)
      if (!arena.healing.aborted) await strike(kind, own)
    }
  }
  await Promise.all(kinds.map(again))
  await Promise.all(running)
  return problems
}
