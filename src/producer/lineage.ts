/** The sessions above one that is asked for, from their hashes. */
import type { Ancestor } from '../core/lineage.ts'
import type { SessionStore } from '../queue/session-store.ts'

/**
 * The session, the one that asked for it, and so on: one more than may be, which is enough to refuse. It ends where
 * Redis knows no more: a day after a session's end its hash is gone.
 */
export async function chainOf(
  store: Pick<SessionStore, 'read'>,
  sessionId: string,
  maxDepth: number,
): Promise<Ancestor[]> {
  const chain: Ancestor[] = []
  for (let id: string | null = sessionId; id !== null && chain.length <= maxDepth;) {
    const record = await store.read(id)
    if (record === null) break
    const { agentType, state, createdBy } = record
    chain.push({ sessionId: id, agentType, state })
    id = createdBy
  }
  return chain
}
