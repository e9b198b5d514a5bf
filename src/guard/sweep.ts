/** Ends all processes of an agent, until none is left. */
import { sleep } from '../core/clock.ts'
import { dropTarget, readTarget } from './agent-file.ts'
import { isLive } from './process-table.ts'
import { letGo, strike } from './reach.ts'
import type { Target } from './tier.ts'

/**
 * A process that forks and ends while the table is read can be missed once: two empty looks in a row are asked for.
 */
const CLEAN_LOOKS = 2
/** A killed process takes a moment to be gone. */
const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 100

/**
 * Strikes until nothing is left, and adds the name of every process that was hit to `killed`. Resolves false only
 * when the limit passed first: then what is left sits in the kernel and dies before it runs another instruction of
 * its own.
 */
export async function sweep(
  target: Target,
  killed: Set<string>,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const start = performance.now()
  let pause = FIRST_PAUSE_MS
  for (let clean = 0; clean < CLEAN_LOOKS;) {
    const { hit, clear } = strike(target)
    for (const name of hit) killed.add(name)
    clean = clear ? clean + 1 : 0
    if (clear) continue
    if (performance.now() - start > limitMs) return false
    await sleep(pause)
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
  }
  return true
}

/**
 * Ends what an agent has left whose guard died a moment ago. Resolves with the number of processes ended; after the
 * limit what hangs in the kernel stays on record.
 */
export async function sweepOrphans(dir: string, limitMs?: number): Promise<number> {
  const target = readTarget(dir)
  return target === null ? 0 : sweepKept(dir, target, limitMs)
}

/**
 * Ends what an earlier agent left when worker and guard died together (kill -9 of both, out of memory): to be
 * called with the agent's directory before its session is started again. Only processes of known identity are
 * ended, whoever has their pids by now. Resolves with the number of processes ended; 0 when the agent had ended in
 * order.
 */
export async function sweepLeftovers(dir: string, limitMs?: number): Promise<number> {
  const target = readTarget(dir)
  return target === null ? 0 : sweepKept(dir, withoutDeadSession(target), limitMs)
}

async function sweepKept(dir: string, target: Target, limitMs?: number): Promise<number> {
  const killed = new Set<string>()
  if (await sweep(target, killed, limitMs)) {
    letGo(target)
    dropTarget(dir)
  }
  return killed.size
}

/** A session whose leader is gone may have the number of another one by now: the mark alone is gone by. */
function withoutDeadSession(target: Target): Target {
  if (target.tier !== 'group' || target.session === null || isLive(target.session)) return target
  return { ...target, session: null }
}
