/**
 * I1 from the witness: no two agents of one type that could both act at the same instant. On the machine's one
 * monotonic clock, in milliseconds.
 *
 * A frozen agent still holds its lock (M21) but cannot act: the time for which the rig had frozen it is taken out of
 * its life. For a short time after the thaw it may be there beside its successor; that is counted apart.
 */
import type { WitnessRecord } from '../../support/fake-claude.ts'

/** For how long a thawed agent may live on. */
const THAW_LIMIT_MS = 250
/** The same where others have the CPU when it is thawed: 370 ms were seen on a machine with a load of twenty. */
export const BUSY_THAW_LIMIT_MS = THAW_LIMIT_MS + 500

export interface Freeze {
  readonly agentIds: readonly string[]
  readonly from: number
  /** null: frozen still. */
  to: number | null
}

export interface Life {
  readonly agentId: string
  readonly agentType: string
  readonly sessionId: string
  readonly from: number
  /** Its last sign of life: up to 50 ms before its end. */
  readonly to: number
}

export interface Overlap {
  readonly agentType: string
  readonly agents: readonly [string, string]
  readonly ms: number
  /** One of the two had just been thawed, and was gone in time. */
  readonly thawed: boolean
  readonly seenBy: 'beats' | 'lock'
}

export function livesOf(records: readonly WitnessRecord[]): Life[] {
  const lives = new Map<string, Life>()
  for (const { agent_id, agent_type, session_id, mono_ns } of records) {
    const at = Number(mono_ns) / 1e6
    const { from, to } = lives.get(agent_id) ?? { from: at, to: at }
    lives.set(agent_id, {
      agentId: agent_id,
      agentType: agent_type,
      sessionId: session_id,
      from: Math.min(from, at),
      to: Math.max(to, at),
    })
  }
  return [...lives.values()].toSorted((a, b) => a.from - b.from)
}

/** All overlaps, by the beats of the agents and by the lock that a second one did not get. */
export function overlapsOf(
  records: readonly WitnessRecord[],
  freezes: readonly Freeze[],
  thawLimitMs = THAW_LIMIT_MS,
): Overlap[] {
  const lives = livesOf(records)
  const pairs = lives.flatMap((a, index) =>
    lives.slice(index + 1).flatMap((b) => (a.agentType === b.agentType ? [[a, b] as const] : [])),
  )
  return [
    ...pairs.flatMap(([a, b]) => overlap(a, b, freezes, thawLimitMs)),
    ...records
      .filter((record) => record.kind === 'violation')
      .flatMap((record) => lockOverlap(record, lives, freezes, thawLimitMs)),
  ]
}

interface Interval {
  readonly from: number
  readonly to: number
  /** It begins with a thaw. */
  readonly thawed: boolean
}

function overlap(a: Life, b: Life, freezes: readonly Freeze[], thawLimitMs: number): Overlap[] {
  return activeTimes(a, freezes).flatMap((one) =>
    activeTimes(b, freezes).flatMap((other) => {
      const ms = Math.min(one.to, other.to) - Math.max(one.from, other.from)
      if (ms <= 0) return []
      const thawed = [one, other].some((time) => time.thawed && time.to - time.from <= thawLimitMs)
      return [
        { agentType: a.agentType, agents: [a.agentId, b.agentId], ms, thawed, seenBy: 'beats' } as const,
      ]
    }),
  )
}

/** An agent's life without the time for which it was frozen. */
function activeTimes(life: Life, freezes: readonly Freeze[]): Interval[] {
  const own = freezes
    .filter((freeze) => freeze.agentIds.includes(life.agentId))
    .toSorted((a, b) => a.from - b.from)
  const times: Interval[] = []
  let from = life.from
  let thawed = false
  for (const freeze of own) {
    times.push({ from, to: Math.min(life.to, freeze.from), thawed })
    from = freeze.to ?? Number.POSITIVE_INFINITY
    thawed = true
  }
  times.push({ from, to: life.to, thawed })
  return times.filter((time) => time.to > time.from)
}

/**
 * The second one saw the lock taken. A frozen agent holds it and explains that; so does one that was just thawed, for
 * as long as it may live. Whoever else ran then shows by its beats.
 */
function lockOverlap(
  { agent_id: second, agent_type: agentType, mono_ns }: WitnessRecord,
  lives: readonly Life[],
  freezes: readonly Freeze[],
  thawLimitMs: number,
): Overlap[] {
  const at = Number(mono_ns) / 1e6
  const others = lives.filter(
    (life) => life.agentType === agentType && life.agentId !== second && life.from <= at,
  )
  const frozenFor = (extraMs: number): Life | undefined =>
    others.find((life) =>
      freezes.some(
        ({ agentIds, from, to }) =>
          agentIds.includes(life.agentId) && from <= at && at <= (to ?? Number.POSITIVE_INFINITY) + extraMs,
      ),
    )
  if (frozenFor(0) !== undefined) return []
  const thawed = frozenFor(thawLimitMs)
  const holder = thawed ?? others.toSorted((a, b) => b.to - a.to)[0]
  return [
    {
      agentType,
      agents: [holder?.agentId ?? 'an unknown one', second],
      ms: 0,
      thawed: thawed !== undefined,
      seenBy: 'lock',
    },
  ]
}
