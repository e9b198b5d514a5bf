/**
 * Sessions that are started by sessions: how deep, how many, and when one would wait for itself.
 *
 * A session that nobody's agent asked for has depth 0, one that its agent asks for depth 1, and so on.
 */
import { DroverError } from './errors.ts'
import { isEnded, type SessionState } from './state.ts'

/** What bounds a tree of sessions. */
export interface LineageLimits {
  readonly maxDepth: number
  /** Sessions that one session may ask for in its life, restarts by hand not counted. */
  readonly maxChildren: number
}

/** A session above the one that is asked for. */
export interface Ancestor {
  readonly sessionId: string
  readonly agentType: string
  readonly state: SessionState
  /** Whoever asked for it waits until it has started or ended. */
  readonly awaited: boolean
}

/** What is asked for, by the agent of the chain's first session. */
export interface AskedChild {
  readonly agentType: string
  /** Agents of that type that may run at once. */
  readonly maxInstances: number
  /** Who asks will wait for it. */
  readonly awaited: boolean
}

/**
 * Refuses a child that would be too deep, or that would be waited for for ever.
 *
 * A session waits for itself when every slot of the child's type is held by sessions that wait for that child: by the
 * one that asks, by the one that waits for that one, and so on. Somebody further up who does not wait goes on, ends,
 * and gives its slot away.
 *
 * @param chain the session that asks, the one that asked for it, …; as far as they are known
 * @throws DroverError `lineage_limit`, `self_deadlock`
 */
export function refuseLineage(
  chain: readonly Ancestor[],
  child: AskedChild,
  { maxDepth }: Pick<LineageLimits, 'maxDepth'>,
): void {
  if (chain.length > maxDepth) throw tooDeep(chain, child, maxDepth)
  if (child.awaited && holdersWaiting(chain, child.agentType) >= child.maxInstances) {
    throw wouldWaitForItself(chain, child)
  }
}

/** How many slots of a type are held by sessions that wait, one for the other, for what the first of them waits for. */
export function holdersWaiting(chain: readonly Ancestor[], agentType: string): number {
  // The first one waits now; one above it only where the one below is awaited.
  const waiting = chain.filter((_, index) => chain.slice(0, index).every(({ awaited }) => awaited))
  return waiting.filter((session) => session.agentType === agentType && !isEnded(session.state)).length
}

/** `lineage_limit` for one child too many. */
export function tooManyChildren(sessionId: string, maxChildren: number): DroverError {
  return new DroverError(
    'lineage_limit',
    `The session ${sessionId} may ask for no more sessions than ${maxChildren} (lineage.max_children). ` +
      'Do the rest of the work in this session.',
    { session_id: sessionId, limit: 'max_children', max_children: maxChildren },
  )
}

function tooDeep(chain: readonly Ancestor[], child: AskedChild, maxDepth: number): DroverError {
  return new DroverError(
    'lineage_limit',
    `${chainText(chain, child)} would be ${chain.length} deep; sessions may start sessions ${maxDepth} deep ` +
      '(lineage.max_depth). Do the work in this session.',
    { limit: 'max_depth', max_depth: maxDepth, chain: chainOf(chain) },
  )
}

function wouldWaitForItself(chain: readonly Ancestor[], child: AskedChild): DroverError {
  const slots =
    child.maxInstances === 1
      ? `the only slot of ${child.agentType} is`
      : `all ${child.maxInstances} slots of ${child.agentType} are`
  return new DroverError(
    'self_deadlock',
    `${chainText(chain, child)} would wait for ever: ${slots} held by sessions that wait ` +
      'for this one. Do the work in this session, give it to another agent type, or ask for it without waiting.',
    { agent_type: child.agentType, max_instances: child.maxInstances, chain: chainOf(chain) },
  )
}

/** `code_developer (1b2c…) → architect (3d4e…) → code_developer` */
function chainText(chain: readonly Ancestor[], child: AskedChild): string {
  const above = chain.map(({ sessionId, agentType }) => `${agentType} (${sessionId})`).toReversed()
  return [...above, child.agentType].join(' → ')
}

/** The top first. */
function chainOf(chain: readonly Ancestor[]): readonly object[] {
  return chain
    .map(({ sessionId, agentType, state }) => ({
      session_id: sessionId,
      agent_type: agentType,
      status: state,
    }))
    .toReversed()
}
