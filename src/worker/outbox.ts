/**
 * What this pod has put on the stream and the recorder has not acknowledged: sent again when Redis has lost it.
 *
 * Redis that comes back empty, or as a replica that lagged behind, has forgotten the last changes. The recorder
 * writes back what the ledger has (`recorder/restore.ts`) and says up to where in the key `restored`; every pod then
 * sends the rest again, in order: its own changes as they were (their numbers make a repeat harmless), an agent's
 * lines from its spool. Until that is done no lease is given, so nobody has gone on meanwhile.
 *
 * Nothing new may pass before that, or it would count as the later one and what is sent again as done: what `restored`
 * said last goes with each change and each line, also with those that are sent again, and the session script refuses
 * what was meant for an earlier life of Redis (`queue/session-script.ts`).
 *
 * Own changes are kept in memory: a pod that dies in the same moment as Redis leaves its spools, which its next start
 * or the session's next claim sends (`leftovers.ts`).
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { isDroverError, messageOf } from '../core/errors.ts'
import { runIdOf } from '../queue/run-id.ts'
import type { Keys } from '../queue/keys.ts'
import { notRestored } from '../queue/call-session.ts'
import type { SentChange, StoreHooks } from '../queue/recovering-calls.ts'
import { createSessionStore, type AgentRef, type SessionStore } from '../queue/session-store.ts'
import { reached } from '../queue/stream-id.ts'
import { sendSpool } from './agent-stream.ts'

/** While Redis is being restored it is looked at this often. */
const LOOK_MS = 500

/** One thing that was sent, with the stream id of its last event. Lines are read from the spool again. */
type Sent =
  | { readonly kind: 'change'; readonly change: SentChange; streamId: string }
  | { readonly kind: 'lines'; readonly agent: AgentRef; upTo: number; streamId: string }

export interface OutboxParts {
  readonly redis: Redis
  /** A subscriber connection; it may be shared with other channels. */
  readonly subscriber: Redis
  readonly keys: Keys
  /** Where the agent's spool is on this machine. */
  readonly spoolOf: (agent: AgentRef) => string
  /** Tells the recorder that everything of this pod is there again, with what `restored` says at that moment. */
  readonly onResent: (restored: string) => void
  readonly onError: (error: unknown) => void
}

/** A life of Redis that was restored: what `restored` said ('' for nothing), and a store that reaches no later one. */
interface Life {
  readonly said: string
  readonly store: SessionStore
}

export interface Outbox {
  readonly hooks: StoreHooks
  /** What `restored` said when all of this pod was there last; a new pod has sent nothing yet. */
  resent(): string
  /** Calls `listener` with each stream id up to which everything is in the ledger, and of this pod nothing is missing. */
  onRecorded(listener: (streamId: string) => void): void
  stop(): void
}

export async function createOutbox(parts: OutboxParts): Promise<Outbox> {
  const { redis, subscriber, keys, onError } = parts
  const sessions = new Map<string, Sent[]>()
  const listeners: ((streamId: string) => void)[] = []
  const stopped = new AbortController()
  /** When this pod last sent everything again. */
  let restored = lifeOf(null)
  /** How often `restored` was announced. */
  let announcements = 0
  let checking: Promise<void> | null = null
  let recordedUpTo = '0-0'

  // Another store than the pod's: what is sent again is not kept once more.
  function lifeOf(said: string | null | undefined): Life {
    const known = said ?? ''
    return { said: known, store: createSessionStore(redis, keys, { restored: () => known }) }
  }

  function keep(sessionId: string, sent: Sent): void {
    const kept = sessions.get(sessionId) ?? []
    const last = kept.at(-1)
    // Lines are numbered and read from the spool, so one entry stands for all of a row.
    if (last?.kind === 'lines' && sent.kind === 'lines' && last.agent.agentId === sent.agent.agentId) {
      last.streamId = sent.streamId
      last.upTo = sent.upTo
    } else kept.push(sent)
    sessions.set(sessionId, kept)
  }

  function forget(streamId: string): void {
    recordedUpTo = streamId
    for (const [sessionId, kept] of sessions) {
      const rest = kept.filter((sent) => !reached(streamId, sent.streamId))
      if (rest.length > 0) sessions.set(sessionId, rest)
      else sessions.delete(sessionId)
    }
    for (const listener of listeners) listener(streamId)
  }

  /** @throws DroverError `redis_unavailable` where Redis has lost something once more */
  async function sendAgain(life: Life, sessionId: string): Promise<void> {
    const [, recordedBefore = '0-0'] = life.said.split(' ')
    for (const sent of sessions.get(sessionId) ?? []) {
      if (reached(recordedBefore, sent.streamId)) continue
      const streamId =
        sent.kind === 'change'
          ? await life.store.repeat(sent.change)
          : await sendLines(life, sent.agent, sent.upTo)
      if (streamId !== '') sent.streamId = streamId
    }
  }

  /** A spool that cannot be read is a gap in the ledger, and must not keep the rest from it. */
  async function sendLines({ store }: Life, agent: AgentRef, upTo: number): Promise<string> {
    let failed: unknown = null
    const lines: SessionStore['lines'] = (...args) =>
      store.lines(...args).catch((error: unknown) => {
        failed = error
        throw error
      })
    try {
      return (await sendSpool({ ...store, lines }, agent, parts.spoolOf(agent), { upTo })).streamId
    } catch (error) {
      // Of Redis, and not of the spool: all of it later.
      if (failed !== null) throw error
      onError(
        new Error(`Lines of ${agent.agentId} that Redis lost cannot be sent again: ${messageOf(error)}`),
      )
      return ''
    }
  }

  async function sendAllAgain(life: Life): Promise<void> {
    for (const sessionId of sessions.keys()) {
      if ((await life.store.read(sessionId)) === null) await giveUp(life, sessionId)
      else await sendAgain(life, sessionId)
    }
  }

  /** The ledger had nothing of it to write back. */
  async function giveUp(life: Life, sessionId: string): Promise<void> {
    if (((await redis.get(keys.restored)) ?? '') !== life.said) throw notRestored()
    onError(new Error(`Redis has lost session ${sessionId} before the ledger had it: it cannot go on.`))
    const agentType = agentTypeOf(sessions.get(sessionId))
    if (agentType !== null) await redis.hset(keys.noRecord, sessionId, agentType)
    sessions.delete(sessionId)
  }

  /** Resolves when Redis has all that this pod has sent; waits for the recorder where it has not written back yet. */
  function check(): Promise<void> {
    checking ??= checkUntilDone().finally(() => {
      checking = null
    })
    return checking
  }

  async function checkUntilDone(): Promise<void> {
    for (;;) {
      stopped.signal.throwIfAborted()
      const heard = announcements
      try {
        const isDone = await checkOnce()
        if (isDone && heard === announcements) return
        if (isDone) continue
      } catch (error) {
        onError(error)
      }
      await sleep(LOOK_MS, stopped.signal)
    }
  }

  async function checkOnce(): Promise<boolean> {
    const runId = await runIdOf(redis)
    const [seeded, said, recorded] = await redis.mget(keys.seeded, keys.restored, keys.recorded)
    if (seeded !== runId && said?.startsWith(`${runId} `) !== true) return false
    if ((said ?? '') !== restored.said) {
      const life = lifeOf(said)
      await sendAllAgain(life)
      parts.onResent(life.said)
      restored = life
    }
    if (recorded) forget(recorded)
    return true
  }

  const announced = (channel: string, text: string): void => {
    if (channel === keys.restored) {
      announcements += 1
      check().catch(() => undefined)
    }
    // While something may have to be sent again an announcement may be about other events with the same ids.
    else if (channel === keys.recorded && checking === null) forget(text)
  }
  const reconnected = (): void => void check().catch(() => undefined)
  subscriber.on('message', announced)
  subscriber.on('ready', reconnected)
  await subscriber.subscribe(keys.recorded, keys.restored)
  restored = lifeOf(await redis.get(keys.restored))
  recordedUpTo = (await redis.get(keys.recorded)) ?? recordedUpTo

  return {
    hooks: {
      restored: () => restored.said,
      settled: () => checking?.catch(() => undefined) ?? Promise.resolve(),
      onChanged: (change, streamId) => keep(change.session.sessionId, { kind: 'change', change, streamId }),
      onLines: (agent, streamId, upTo) => keep(agent.sessionId, { kind: 'lines', agent, upTo, streamId }),
      async onLost(sessionId) {
        await check()
        // Also where only this session is concerned: what is there already is not taken twice. Where Redis has lost
        // something once more the caller hears of it by its next answer.
        await sendAgain(restored, sessionId).catch((error: unknown) => {
          if (!isDroverError(error)) throw error
        })
      },
    },
    resent: () => restored.said,
    onRecorded(listener) {
      listeners.push(listener)
      listener(recordedUpTo)
    },
    stop() {
      stopped.abort(new Error('The pod stops before Redis has back what it lost.'))
      subscriber.off('message', announced)
      subscriber.off('ready', reconnected)
    },
  }
}

function agentTypeOf([first]: readonly Sent[] = []): string | null {
  if (first === undefined) return null
  return first.kind === 'change' ? first.change.session.agentType : first.agent.agentType
}
