/**
 * Sessions that are started by sessions: how deep, and how many.
 *
 * A session that nobody's agent asked for has depth 0, one that its agent asks for depth 1, and so on.
 */
import { DroverError } from './errors.ts'
import type { SessionState } from './state.ts'

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
}

/**
 * Refuses a child that would be too deep.
 *
 * @param chain the session that asks, the one that asked for it, …; as far as they are known
 * @throws DroverError `lineage_limit`
 */
export function refuseTooDeep(
  chain: readonly Ancestor[],
  agentType: string,
  { maxDepth }: Pick<LineageLimits, 'maxDepth'>,
): void {
  if (chain.length > maxDepth) throw tooDeep(chain, agentType, maxDepth)
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

function tooDeep(chain: readonly Ancestor[], agentType: string, maxDepth: number): DroverError {
  return new DroverError(
    'lineage_limit',
    `${chainText(chain, agentType)} would be ${chain.length} deep; sessions may start sessions ${maxDepth} deep ` +
      '(lineage.max_depth). Do the work in this session.',
    { limit: 'max_depth', max_depth: maxDepth, chain: chainOf(chain) },
  )
}

/** `code_developer (1b2c…) → architect (3d4e…) → code_developer` */
function chainText(chain: readonly Ancestor[], agentType: string): string {
  const above = chain.map((session) => `${session.agentType} (${session.sessionId})`).toReversed()
  return [...above, agentType].join(' → ')
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
