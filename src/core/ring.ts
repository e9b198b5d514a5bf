/**
 * Sessions that would wait for one another for ever.
 *
 * A session that runs goes on when everything has ended that its agent waits for. One that is queued begins when a slot
 * of its type is free. So a wait closes a ring when what is waited for cannot end before it: it waits, itself or through
 * others, for the one that asks; or for a slot of a type of which all slots are held by sessions that do. Whoever does
 * not wait ends some time, and gives its slot away.
 */
import { DroverError } from './errors.ts'
import { isLive, type SessionState } from './state.ts'

/** The agent of `waiter` goes on when `awaited` has started or ended. */
export interface SessionWait {
  readonly waiter: string
  readonly awaited: string
}

/** A session of a wait. */
export interface WaitingSession {
  readonly sessionId: string
  readonly agentType: string
  readonly state: SessionState
}

/** What is going to be waited for: a session, or one of a type that is about to be asked for. */
export interface Awaited {
  /** null: it has none yet. */
  readonly sessionId: string | null
  readonly agentType: string
  readonly state: SessionState
}

export interface KnownWaits {
  /** All that agents wait for now. */
  readonly waits: readonly SessionWait[]
  /** Those sessions, the one that asks with them. */
  readonly sessions: ReadonlyMap<string, WaitingSession>
  /** How many agents of a type may run at once. */
  readonly maxInstances: (agentType: string) => number
}

/**
 * Refuses a wait that would close a ring, with the chain.
 *
 * @param waiter the session whose agent is about to wait
 * @throws DroverError `self_deadlock`
 */
export function refuseRing(waiter: string, awaited: Awaited, known: KnownWaits): void {
  const asking = known.sessions.get(waiter)
  if (asking === undefined || !isLive(asking.state)) return
  const chain = chainBack(awaited, waiter, known, new Set())
  if (chain === null) return
  throw wouldWaitForItself([asking, ...chain], known)
}

function wouldWaitForItself(ring: readonly Awaited[], { maxInstances }: KnownWaits): DroverError {
  const queued = ring.findLastIndex(({ state }) => state === 'queued')
  const awaited = ring[queued]
  // The one that waits for a slot is the last, whoever has it the first.
  const chain = [...ring.slice(queued + 1), ...ring.slice(0, queued + 1)]
  const [first] = chain
  const names = [...chain, ...(awaited === undefined && first !== undefined ? [first] : [])].map(
    ({ sessionId, agentType }) => (sessionId === null ? agentType : `${agentType} (${sessionId})`),
  )
  return new DroverError(
    'self_deadlock',
    `${names.join(' → ')} would wait for ever: ${awaited === undefined ? 'they wait for one another' : slotsText(awaited.agentType, maxInstances)}. ` +
      'Do the work in this session, give it to another agent type, or ask for it without waiting.',
    {
      ...(awaited === undefined
        ? {}
        : { agent_type: awaited.agentType, max_instances: maxInstances(awaited.agentType) }),
      chain: chain.flatMap(({ sessionId, agentType, state }) =>
        sessionId === null ? [] : [{ session_id: sessionId, agent_type: agentType, status: state }],
      ),
    },
  )
}

function slotsText(agentType: string, maxInstances: (agentType: string) => number): string {
  const count = maxInstances(agentType)
  const slots = count === 1 ? `the only slot of ${agentType} is` : `all ${count} slots of ${agentType} are`
  return `${slots} held by sessions that wait for this one`
}

/** From what is awaited to the one that asks, which is not in it; null where it can end before. */
function chainBack(
  awaited: Awaited,
  waiter: string,
  known: KnownWaits,
  above: ReadonlySet<string>,
): readonly Awaited[] | null {
  const { sessionId } = awaited
  if (sessionId === waiter) return []
  if (sessionId !== null && above.has(sessionId)) return null
  const seen = sessionId === null ? above : new Set([...above, sessionId])
  const follow = (session: WaitingSession): readonly Awaited[] | null =>
    chainBack(session, waiter, known, seen)

  if (awaited.state === 'queued') {
    const holders = [...known.sessions.values()].filter(
      ({ agentType, state }) => agentType === awaited.agentType && isLive(state),
    )
    const stuck = holders.map(follow).filter((chain) => chain !== null)
    const [first] = stuck
    if (first === undefined || stuck.length < known.maxInstances(awaited.agentType)) return null
    return [awaited, ...first]
  }
  if (!isLive(awaited.state)) return null
  for (const { waiter: by, awaited: id } of known.waits) {
    const next = by === sessionId ? known.sessions.get(id) : undefined
    const chain = next === undefined ? null : follow(next)
    if (chain !== null) return [awaited, ...chain]
  }
  return null
}
