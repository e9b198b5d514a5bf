/** The beats of live agents, as the pulses of their pods last wrote them. */
import type { Redis } from 'ioredis'
import type { Beat } from '../core/health.ts'
import type { SessionState } from '../core/state.ts'
import type { Keys } from './keys.ts'

/** A session's live side; `beat.at` is null before the first beat. */
export interface SessionBeat {
  readonly state: SessionState
  readonly agentId: string | null
  readonly beat: Omit<Beat, 'at'> & { readonly at: number | null }
}

const FIELDS = ['state', 'agent_id', 'beat_at', 'health', 'process_state'] as const

/** In one round trip; sessions that Redis does not have are missing. */
export async function readBeats(
  redis: Redis,
  keys: Keys,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, SessionBeat>> {
  const pipeline = redis.pipeline()
  for (const id of sessionIds) pipeline.hmget(keys.session(id), ...FIELDS)
  const answers = (await pipeline.exec()) ?? []
  const beats = new Map<string, SessionBeat>()
  for (const [index, [error, values]] of answers.entries()) {
    if (error !== null) throw error
    const [state, agentId, at, health, processState] = values as (string | null)[]
    const id = sessionIds[index]
    if (!state || id === undefined) continue
    beats.set(id, {
      state: state as SessionState,
      agentId: agentId || null,
      beat: { at: at ? Number(at) : null, health: health || null, processState: processState || null },
    })
  }
  return beats
}
