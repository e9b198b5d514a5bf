/** What a person asks of sessions: to end, to go on. The producer does it; here is what only the ledger knows. */
import type { KillAnswer, RestartAnswer } from '../core/answer.ts'
import type { Actor } from '../core/envelope.ts'
import { isDroverError } from '../core/errors.ts'
import type { KillBody, RestartBody } from '../core/request.ts'
import { isEnded } from '../core/state.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { Kill } from '../producer/kill.ts'
import { restartedBefore, type Restarter, type RestartOptions, type Restarted } from '../producer/restart.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { goneFromRedis, resolveSession } from './resolve-session.ts'
import { endedToRestart } from './restart-plan.ts'
import { LEDGER_WAIT_MS } from './spawn.ts'
import type { ViaRedis } from './via-redis.ts'

const NOTHING_TO_KILL = (): string => ': there is nothing to kill.'

export interface ControlParts {
  readonly ledger: LedgerReader
  readonly store: Pick<SessionStore, 'read'>
  readonly kill: Kill
  readonly restarter: Restarter
  /** For tasks that name none. */
  readonly defaultWorkspace: string
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly viaRedis: ViaRedis
}

/** Who asks, and how long the answer is waited for. */
export interface ControlledBy {
  readonly actor: Actor
  /** Stops waiting; what was asked for stands. */
  readonly signal: AbortSignal
}

/** Both take the id of a session or of an agent; answers come when the ledger has it, or after two seconds. */
export interface Control {
  /** @throws DroverError as `Kill`; `session_not_found` and `agent_not_found` with "did you mean" */
  kill(id: string, body: KillBody, by: ControlledBy): Promise<KillAnswer>
  /** @throws DroverError as `Restarter`; `session_not_found` and `agent_not_found` with "did you mean" */
  restart(id: string, body: RestartBody, by: ControlledBy): Promise<RestartAnswer>
}

export function createControl(parts: ControlParts): Control {
  const { ledger, store, recorder, viaRedis } = parts

  return {
    async kill(id, { grace_seconds, force, reason }, by) {
      const named = resolveSession(ledger, id)
      const options = {
        actor: by.actor,
        agentId: named.agentId,
        graceSeconds: grace_seconds ?? undefined,
        force: force ?? undefined,
        reason: reason ?? undefined,
        signal: by.signal,
      }
      try {
        const { answer, streamId } = await viaRedis(parts.kill(named.sessionId, options))
        await recorder.waitFor(streamId, LEDGER_WAIT_MS)
        return answer
      } catch (error) {
        if (!isDroverError(error) || error.code !== 'session_not_found') throw error
        throw goneFromRedis(ledger, named.sessionId, NOTHING_TO_KILL)
      }
    },

    async restart(id, { force }, by) {
      const named = resolveSession(ledger, id)
      const options = {
        actor: by.actor,
        force: force ?? undefined,
        agentId: named.agentId,
        signal: by.signal,
      }
      const { answer, streamId } = await viaRedis(restarted(named.sessionId, options))
      if (streamId !== '') await recorder.waitFor(streamId, LEDGER_WAIT_MS)
      return answer
    },
  }

  async function restarted(sessionId: string, options: RestartOptions): Promise<Restarted> {
    const record = await store.read(sessionId)
    const goneOn = record === null ? null : await parts.restarter.goOn(record, options)
    if (goneOn !== null) return goneOn
    // The end is on the stream; the ledger has it within a moment.
    const now = await store.read(sessionId)
    if (now !== null) await recorder.waitFor(now.lastId, LEDGER_WAIT_MS)
    const view = ledger.sessions.get(sessionId)
    if (view === null) throw goneFromRedis(ledger, sessionId, NOTHING_TO_KILL)
    if (!isEnded(view.status)) throw goneFromRedis(ledger, sessionId, NOTHING_TO_KILL)
    const successor = ledger.sessions.restartOf(sessionId)
    const next = successor === null ? null : ledger.sessions.get(successor)
    if (next !== null && isEnded(next.status)) throw restartedBefore(sessionId, next.session_id, next.status)
    return await parts.restarter.again(endedToRestart(parts, view, now?.unredactedPrompt ?? null), options)
  }
}
