/**
 * Calls of the session script that outlive a loss of Redis: what was refused or missing because of it is called again
 * when what was lost is there again, and changes are told to whoever keeps them until they are recorded.
 */
import { newId } from '../core/ids.ts'
import { createTurns } from '../core/turns.ts'
import { notRestored, type CallSession, type ScriptAnswer } from './call-session.ts'
import type { AgentRef, SessionRef } from './session-ref.ts'

/** What the script says where Redis may have lost something. */
const LOST = new Set(['missing', 'gap', 'unrestored'])

/** An own change as it was sent: enough to send it again. */
export interface SentChange {
  readonly session: SessionRef
  readonly leaseKey: string
  readonly operation: Readonly<Record<string, unknown>>
  readonly events: readonly string[]
}

/** For whoever keeps what Redis may lose until it is recorded; see `worker/outbox.ts`. */
export interface StoreHooks {
  /**
   * What the key `restored` said when all that this pod had sent was there last; '' for nothing. Comes with each change
   * and each line: where Redis was restored once more they are refused, and `onLost` is called.
   */
  restored(): string
  /** Resolves when what Redis has lost is sent again, at once mostly: no change may overtake an earlier one. */
  settled(): Promise<void>
  /** A change was applied; its last event is at `streamId` (of an earlier event where it had none). */
  onChanged(sent: SentChange, streamId: string): void
  /** The agent's lines up to number `cursor` were taken; the last one is at `streamId`. */
  onLines(agent: AgentRef, streamId: string, cursor: number): void
  /**
   * Redis has no such session, or misses lines of it, or may have lost something. Resolves when everything that was
   * sent is there again: then the call is repeated. A session that is missing even then is.
   */
  onLost(sessionId: string): Promise<void>
}

export interface RecoveringCalls {
  /** One attempt, in the life of Redis that the hooks know. */
  readonly once: CallSession
  /**
   * Repeated after a loss.
   *
   * @throws DroverError `redis_unavailable` where Redis has lost something, and there is no `onLost` that restores it
   */
  readonly repeated: CallSession
  /**
   * A change: numbered, so that a repeat is harmless; repeated after a loss; and told to `onChanged`. Those of one session
   * go one after the other: one that waits for what Redis has lost, and is overtaken by a later number, would pass for
   * done.
   */
  readonly change: CallSession
}

/** A writer of its own, whose changes are numbered from 1. */
export function createRecoveringCalls(callSession: CallSession, hooks: Partial<StoreHooks>): RecoveringCalls {
  const inTurn = createTurns()
  const writer = newId().slice(-12)
  let changes = 0

  const once: CallSession = (session, leaseKey, operation, events) =>
    callSession(session, leaseKey, { ...operation, restored: hooks.restored?.() }, events)

  async function repeated(...args: Parameters<CallSession>): Promise<ScriptAnswer> {
    let answer = await once(...args)
    for (let isTrue = false; answer[0] === 'unrestored' || (LOST.has(answer[0]) && !isTrue);) {
      if (hooks.onLost === undefined) {
        if (answer[0] === 'unrestored') throw notRestored()
        return answer
      }
      // Of what is there again, `missing` and `gap` are the truth; another loss is waited for again.
      isTrue = answer[0] !== 'unrestored'
      await hooks.onLost(args[0].sessionId)
      answer = await once(...args)
    }
    return answer
  }

  return {
    once,
    repeated,
    async change(session, leaseKey, asked, events) {
      const isStart = asked['kind'] === 'start'
      const operation = {
        ...asked,
        // A repeated start must answer its epoch, also when later changes were on their way already.
        writer: isStart ? `${writer}:start` : writer,
        n: ++changes,
      }
      return await inTurn(session.sessionId, async () => {
        await hooks.settled?.()
        const answer = await repeated(session, leaseKey, operation, events)
        if (answer[0] !== 'ok') return answer
        const [, streamId = '', epoch, agentId] = answer
        // An agent that is started again is the same one, not another.
        const again = isStart ? { again: { epoch, agent_id: agentId } } : {}
        hooks.onChanged?.({ session, leaseKey, operation: { ...operation, ...again }, events }, streamId)
        return answer
      })
    },
  }
}
