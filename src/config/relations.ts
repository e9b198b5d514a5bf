/** Rules between settings: values that are fine alone and wrong together. */
import type { Issue } from '../core/errors.ts'
import type { ConfigValue } from './setting.ts'

interface Relation {
  /** The setting that is at fault, and the one it is held against. */
  readonly left: string
  readonly right: string
  readonly holds: (left: number, right: number) => boolean
  /** Between the two keys: "must be less than a third of". */
  readonly sentence: string
}

/** The rules, each with its reason. `docs/configuration.md` has the same sentences; a test keeps them equal. */
export const RELATIONS: readonly Relation[] = [
  {
    // The agent must be dead a margin before the lease ends, and two thirds must remain to work and to renew.
    left: 'lease.margin_ms',
    right: 'lease.ttl_ms',
    holds: (margin, ttl) => margin < ttl / 3,
    sentence: 'must be less than a third of',
  },
  {
    // Three renewals may fail before the lease is lost.
    left: 'lease.renew_ms',
    right: 'lease.ttl_ms',
    holds: (renew, ttl) => renew <= ttl / 4,
    sentence: 'must be at most a quarter of',
  },
  {
    // Else every agent counts as stalled before its first sample.
    left: 'liveness.heartbeat_ms',
    right: 'liveness.stall_timeout_ms',
    holds: (heartbeat, stall) => heartbeat < stall,
    sentence: 'must be less than',
  },
]

/** One issue for each rule that does not hold. Rules over a value that was refused already are left out. */
export function brokenRelations(values: ReadonlyMap<string, ConfigValue>): Issue[] {
  return RELATIONS.flatMap(({ left, right, holds, sentence }) => {
    const [leftValue, rightValue] = [values.get(left), values.get(right)]
    if (typeof leftValue?.value !== 'number' || typeof rightValue?.value !== 'number') return []
    if (holds(leftValue.value, rightValue.value)) return []
    const facts = `${left} is ${leftValue.value} (${leftValue.source}), ${right} is ${rightValue.value} (${rightValue.source})`
    return [{ path: left, message: `${left} ${sentence} ${right}: ${facts}` }]
  })
}
