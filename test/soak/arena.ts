/** Where the faults of a soak happen, and the timeline that says which. */
import type { Field } from '../fault/rig/field.ts'
import type { Random } from '../fault/rig/random.ts'
import { logUniform } from './scripts.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { Fleet } from './fleet.ts'

/** What was done to whom. */
export interface Deed {
  readonly kind: FaultKind
  readonly target: string
  /** Milliseconds on the witness' clock. */
  readonly from: number
  /** null: not lifted yet; equal to `from` for what is over at once. */
  to: number | null
  readonly params: Readonly<Record<string, unknown>>
}

export interface Arena {
  readonly field: Field
  readonly fleet: Fleet
  /** Sessions' agents that were stopped from outside: rightly called stalled. */
  readonly stopped: Set<string>
  /** What there is one of, and is disturbed by one fault at a time. */
  readonly taken: Set<'redis' | 'board'>
  readonly deeds: readonly Deed[]
  /** Redis lost everything at these times. */
  readonly wipes: number[]
  /** Notes a deed; the answer is called when it is over. */
  begin(kind: FaultKind, target: string, params?: Readonly<Record<string, unknown>>): () => void
  /** Waits so long, or until everything is healed. */
  pause(ms: number): Promise<void>
  /** Random, from 100 ms to three times the lease. */
  someTime(random: Random): number
  /** Aborts when everything is to be healed. */
  readonly healing: AbortSignal
}

/** Does its worst, lifts it again, and answers whether there was anything to do it to. */
export type Fault = (arena: Arena, random: Random) => Promise<boolean>

export function createArena(field: Field, fleet: Fleet, healing: AbortSignal): Arena {
  const deeds: Deed[] = []
  return {
    field,
    fleet,
    healing,
    deeds,
    stopped: new Set(),
    taken: new Set(),
    wipes: [],
    begin(kind, target, params = {}) {
      const deed: Deed = { kind, target, from: field.now(), to: null, params }
      deeds.push(deed)
      return () => {
        deed.to = field.now()
      }
    },
    pause: (ms) =>
      new Promise((resolve) => {
        if (healing.aborted) return resolve()
        const over = (): void => {
          clearTimeout(timer)
          healing.removeEventListener('abort', over)
          resolve()
        }
        const timer = setTimeout(over, ms)
        healing.addEventListener('abort', over)
      }),
    someTime: (random) => Math.round(logUniform(random, 100, 3 * field.times.ttlMs)),
  }
}
