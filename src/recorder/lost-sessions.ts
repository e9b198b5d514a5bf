/**
 * Nothing stays open for ever because a part of it is gone. Once a minute the recorder's process compares what is open
 * in the ledger, and the jobs for which a pod found no hash, with what Redis has:
 *
 *     Redis            ledger                      then
 *     open             open                        nothing: it goes on
 *     no hash          open, acceptance recorded   the hash is written back, and its job is added
 *     no hash          open, acceptance not here   it ends: failed, `lost`
 *     no hash          unknown                     it ends: failed, `lost`; a row of it is made by that event
 *     ended            open                        its end is published again: the event was lost
 *     a note of its    open                        it ends as the note says; what it said last is lost
 *     end alone
 *     every claim      open                        after ten minutes it ends: failed, `lost` (`unclaimable.ts`)
 *     throws
 *
 * Nothing of that is hurried: a session is looked at twice, a minute apart, and only while Redis is confirmed
 * (`queue/incarnation.ts`, which writes back far more at once after a loss that shows) and everything that Redis said
 * by the second look is recorded. What is done is one script each, which looks again and may be repeated; nothing is
 * remembered that matters, so dying anywhere costs a minute.
 */
import type { Redis } from 'ioredis'
import { NO_USAGE } from '../core/envelope.ts'
import type { SessionEnded } from '../core/events.ts'
import { messageOf } from '../core/errors.ts'
import { isEnded, type SessionState } from '../core/state.ts'
import type { Ledger } from '../ledger/open.ts'
import type { RestorableSession } from '../ledger/restorable.ts'
import { readEndedNote } from '../queue/ended-session.ts'
import { isSeeded } from '../queue/incarnation.ts'
import type { Keys } from '../queue/keys.ts'
import { loseSession, repeatEnd } from '../queue/lose-session.ts'
import { restoreSessions } from '../queue/restore.ts'
import { restoreTalk } from '../queue/restore-talk.ts'
import { createSessionStore } from '../queue/session-store.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createPasses, type Passes } from './passes.ts'
import type { Recorder } from './recorder.ts'
import { restoredSession, restoredTalk } from './restore.ts'
import { endUnclaimable } from './unclaimable.ts'

const PASS_MS = 60_000
/** Sessions of one question to Redis. */
const PAGE = 500
/** How long the recorder may take for what Redis has said by the second look; else the next pass looks again. */
const CATCH_UP_MS = 10_000

export interface LostSessionsParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly ledger: Pick<Ledger, 'restorable'>
  readonly recorder: Pick<Recorder, 'recording' | 'waitFor' | 'position'>
  readonly log: Pick<Logger, 'warn' | 'error'>
  /** A hash is there again: it may need a job. */
  readonly onWrittenBack: (sessionId: string) => void
  /** @default 60000 */
  readonly passMs?: number
  /** @default 600000 */
  readonly unclaimableAfterMs?: number
}

export function createLostSessions(parts: LostSessionsParts): Passes {
  const { redis, keys, ledger, recorder, log, passMs = PASS_MS, unclaimableAfterMs } = parts
  const after = unclaimableAfterMs === undefined ? {} : { afterMs: unclaimableAfterMs }
  const { restorable } = ledger
  const store = createSessionStore(redis, keys)
  /** Session id → agent type, of the pass before. */
  let suspects: ReadonlyMap<string, string | null> = new Map()

  async function pass(): Promise<void> {
    const before = suspects
    suspects = new Map()
    if (!recorder.recording || !(await isSeeded(redis, keys))) return
    await endUnclaimable({ redis, keys, store, log, ...after }).catch((error: unknown) => failed('', error))
    const reported = await redis.hgetall(keys.noRecord)
    suspects = await findSuspects(reported)
    const again = [...suspects].filter(([id]) => before.has(id))
    if (again.length === 0) return
    const [newest] = await redis.xrevrange(keys.events, '+', '-', 'COUNT', 1)
    if (newest !== undefined && !(await recorder.waitFor(newest[0], CATCH_UP_MS))) return
    for (const [sessionId, agentType] of again) {
      // One that cannot be settled must not keep the others from it.
      await settle(sessionId, agentType).catch((error: unknown) => failed(`of ${sessionId} `, error))
    }
  }

  function failed(of: string, error: unknown): void {
    log.warn(
      { kind: 'lost_sessions' },
      `What Redis has lost ${of}could not be looked for; in a minute again: ${messageOf(error)}`,
    )
  }

  /** Open in the ledger and not in Redis, or known to a pod and to nobody else. */
  async function findSuspects(
    reported: Readonly<Record<string, string>>,
  ): Promise<Map<string, string | null>> {
    const found = new Map<string, string | null>()
    const look = async (
      ids: readonly string[],
      isSuspect: (state: string | null) => boolean,
    ): Promise<void> => {
      for (let at = 0; at < ids.length; at += PAGE) {
        const page = ids.slice(at, at + PAGE)
        const states = await Promise.all(page.map((id) => redis.hget(keys.session(id), 'state')))
        for (const [index, id] of page.entries())
          if (isSuspect(states[index] ?? null)) found.set(id, reported[id] ?? null)
      }
    }
    const known = Object.keys(reported)
    await look(restorable.openIds(), (state) => state === null || isEnded(state as SessionState))
    await look(known, (state) => state === null)
    const settled = known.filter((id) => !found.has(id))
    if (settled.length > 0) await redis.hdel(keys.noRecord, ...settled)
    return found
  }

  async function settle(sessionId: string, reportedType: string | null): Promise<void> {
    const session = restorable.session(sessionId)
    if (session !== null && session.ended !== null) return await forgetReport(sessionId)
    const [state, seq, endedText] = await redis.hmget(keys.session(sessionId), 'state', 'seq', 'ended')
    if (state && session !== null && isEnded(state as SessionState) && endedText && seq) {
      const { completed_at: _, ...ended } = JSON.parse(endedText) as SessionEnded & { completed_at: string }
      const ref = { sessionId, agentType: session.agent_type, seq: Number(seq) }
      if ((await repeatEnd(redis, keys, ref, ended)) === 'repeated')
        log.warn(
          { session_id: sessionId },
          "The session's end was lost on its way to the ledger; it is published again.",
        )
    } else if (!state) await settleWithout(sessionId, session, reportedType)
    await forgetReport(sessionId)
  }

  /** Redis has no hash of it. */
  async function settleWithout(
    sessionId: string,
    session: RestorableSession | null,
    reportedType: string | null,
  ): Promise<void> {
    const note = await readEndedNote(redis, keys, sessionId)
    const agentType = session?.agent_type ?? reportedType
    if (agentType === null || (note !== null && session === null)) return
    if (note === null && session !== null) {
      const restored = restoredSession(session, recorder.position, new Date())
      if (restored !== null) {
        if ((await restoreSessions(redis, keys, [restored])) === 0) return
        const talk = restoredTalk(session, recorder.position)
        if (talk !== null) await restoreTalk(redis, keys, talk)
        log.warn({ session_id: sessionId }, 'Redis had lost the session; it is written back from the ledger.')
        parts.onWrittenBack(sessionId)
        return
      }
    }
    const lost = {
      sessionId,
      agentType,
      seq: session?.seq ?? 0,
      createdAt: session?.created_at ?? new Date().toISOString(),
      digest: session?.request_digest ?? note?.digest ?? '',
    }
    const ended = endOf(session, note?.status ?? 'failed')
    if ((await loseSession(redis, keys, lost, ended)) !== 'lost') return
    log.error(
      { session_id: sessionId, agent_type: agentType, failure_reason: ended.failure_reason },
      `The session ended as ${ended.status}. ${ended.message}`,
    )
  }

  async function forgetReport(sessionId: string): Promise<void> {
    await redis.hdel(keys.noRecord, sessionId)
  }

  return createPasses(pass, passMs, (error) => failed('', error))
}

/** The totals are what is recorded: more is not known. */
function endOf(session: RestorableSession | null, status: SessionEnded['status']): SessionEnded {
  const { cost_micros = 0, num_turns = 0, ...usage } = session?.totals ?? {}
  return {
    status,
    failure_reason: status === 'completed' ? null : 'lost',
    message:
      session === null
        ? 'Redis lost it before a recorder had seen it; a job for it was all that was left. Ask for it again.'
        : status === 'failed'
          ? 'Redis lost it, and its acceptance is not in the ledger, so it cannot go on. Ask for it again.'
          : 'Its end was lost with Redis; what it said last is not known.',
    output: null,
    cost_micros,
    usage: { ...NO_USAGE, ...usage },
    num_turns,
    duration_ms: 0,
    restarts: session?.restarts ?? 0,
    permission_denials: [],
  }
}
