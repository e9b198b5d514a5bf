/**
 * Sessions that would wait for one another for ever.
 *
 * A session that runs goes on when everything has ended that its agent waits for; one that waits for nothing ends some
 * time. One that is queued begins when the tasks that it depends on are done, whose sessions end then, and one slot of
 * its type is free, or is held by a session that can end. So a wait closes a ring when what is waited for cannot end
 * before the one that asks does, and could if that one did: it waits for it, itself or through others, for its task, or
 * for a slot of a type of which all slots are held by sessions that do, or that wait for such a slot.
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
  /** Of one that has no session yet: the sessions of the tasks that it depends on. */
  readonly dependencies?: readonly string[]
}

export interface KnownWaits {
  /** All that agents wait for now. */
  readonly waits: readonly SessionWait[]
  /** Those sessions, the one that asks with them. */
  readonly sessions: ReadonlyMap<string, WaitingSession>
  /** By queued session: the sessions of the tasks that it depends on, through other tasks too. */
  readonly dependencies?: ReadonlyMap<string, readonly string[]>
  /** How many agents of a type may run at once. */
  readonly maxInstances: (agentType: string) => number
}

/**
 * Refuses a wait that would close a ring, with the chain. A ring that others have closed is no reason: who asks is not
 * in it. It takes time in proportion to what waits, each time once more for every link of the longest chain at most.
 *
 * @param waiter the session whose agent is about to wait
 * @throws DroverError `self_deadlock`
 */
export function refuseRing(waiter: string, awaited: Awaited, known: KnownWaits): void {
  const asking = known.sessions.get(waiter)
  if (asking === undefined || !isLive(asking.state)) return
  const links = linksOf(known)
  const canEnd = endsOf(waiter, false, known, links)
  if (awaited.sessionId !== waiter && isFree(awaited, canEnd, known, links)) return
  if (!isFree(awaited, endsOf(waiter, true, known, links), known, links)) return
  throw wouldWaitForItself([asking, ...chainBack(awaited, waiter, canEnd, links)], known, links)
}

/** What is known, by whom it is asked for. */
interface Links {
  /** By session: what its agent waits for. */
  readonly awaitedBy: ReadonlyMap<string, readonly WaitingSession[]>
  /** By type: the sessions that have a slot of it. */
  readonly holders: ReadonlyMap<string, readonly WaitingSession[]>
  /** What a queued one depends on. */
  readonly dependencies: (queued: Awaited) => readonly WaitingSession[]
}

function linksOf({ waits, sessions, dependencies }: KnownWaits): Links {
  const awaited = waits.flatMap((wait) => {
    const session = sessions.get(wait.awaited)
    return session === undefined ? [] : [{ waiter: wait.waiter, session }]
  })
  const live = [...sessions.values()].filter(({ state }) => isLive(state))
  return {
    awaitedBy: new Map(
      [...Map.groupBy(awaited, ({ waiter }) => waiter)].map(([id, of]) => [
        id,
        of.map(({ session }) => session),
      ]),
    ),
    holders: Map.groupBy(live, ({ agentType }) => agentType),
    dependencies: (queued) =>
      (queued.dependencies ?? dependencies?.get(queued.sessionId ?? '') ?? []).flatMap(
        (id) => sessions.get(id) ?? [],
      ),
  }
}

/** The sessions that can end while `waiter` does not, or does. */
function endsOf(waiter: string, waiterEnds: boolean, known: KnownWaits, links: Links): ReadonlySet<string> {
  const canEnd = new Set(waiterEnds ? [waiter] : [])
  const open = new Set([...known.sessions.values()].filter(({ sessionId }) => sessionId !== waiter))
  for (let found = true; found;) {
    found = false
    for (const session of open) {
      if (!isFree(session, canEnd, known, links)) continue
      canEnd.add(session.sessionId)
      open.delete(session)
      found = true
    }
  }
  return canEnd
}

/** Whether it can end when these can. */
function isFree(
  awaited: Awaited,
  canEnd: ReadonlySet<string>,
  { maxInstances }: Pick<KnownWaits, 'maxInstances'>,
  links: Links,
): boolean {
  const { sessionId, agentType, state } = awaited
  if (sessionId !== null && canEnd.has(sessionId)) return true
  if (state === 'queued') {
    if (!links.dependencies(awaited).every((one) => canEnd.has(one.sessionId))) return false
    const held = (links.holders.get(agentType) ?? []).filter((holder) => !canEnd.has(holder.sessionId))
    return held.length < maxInstances(agentType)
  }
  if (!isLive(state)) return true
  return (links.awaitedBy.get(sessionId ?? '') ?? []).every((one) => canEnd.has(one.sessionId))
}

function wouldWaitForItself(
  ring: readonly Awaited[],
  { maxInstances }: KnownWaits,
  links: Links,
): DroverError {
  const queued = ring.findLastIndex(({ state }) => state === 'queued')
  const awaited = ring[queued]
  // The one that waits in a queue is the last, what it waits for the first.
  const chain = [...ring.slice(queued + 1), ...ring.slice(0, queued + 1)]
  const [first] = chain
  const names = [...chain, ...(awaited === undefined && first !== undefined ? [first] : [])].map(
    ({ sessionId, agentType }) => (sessionId === null ? agentType : `${agentType} (${sessionId})`),
  )
  const isForTask =
    awaited !== undefined &&
    links.dependencies(awaited).some(({ sessionId }) => sessionId === first?.sessionId)
  const why =
    awaited === undefined
      ? 'they wait for one another'
      : isForTask
        ? 'the last of them depends on the task of the first'
        : slotsText(awaited.agentType, maxInstances)
  const elsewhere = isForTask ? '' : ', give it to another agent type'
  return new DroverError(
    'self_deadlock',
    `${names.join(' → ')} would wait for ever: ${why}. ` +
      `Do the work in this session${elsewhere}, or ask for it without waiting.`,
    {
      ...(awaited === undefined || isForTask
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

/** The shortest way from what is awaited to the one that asks, which is not in it, over what cannot end. */
function chainBack(
  awaited: Awaited,
  waiter: string,
  canEnd: ReadonlySet<string>,
  { awaitedBy, holders, dependencies }: Links,
): readonly Awaited[] {
  if (awaited.sessionId === waiter) return []
  const seen = new Set<string>()
  for (let ways: (readonly Awaited[])[] = [[awaited]]; ways.length > 0;) {
    const longer: (readonly Awaited[])[] = []
    for (const way of ways) {
      const end = way.at(-1) ?? awaited
      const next =
        end.state === 'queued'
          ? [...dependencies(end), ...(holders.get(end.agentType) ?? [])]
          : (awaitedBy.get(end.sessionId ?? '') ?? [])
      for (const session of next) {
        if (session.sessionId === waiter) return way
        if (canEnd.has(session.sessionId) || seen.has(session.sessionId)) continue
        seen.add(session.sessionId)
        longer.push([...way, session])
      }
    }
    ways = longer
  }
  return [awaited]
}
