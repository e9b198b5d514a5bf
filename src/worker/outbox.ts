/**
 * What this pod has put on the stream and the recorder has not acknowledged: sent again when Redis has lost it.
 *
 * Redis that comes back empty, or as a replica that lagged behind, has forgotten the last changes. The recorder
 * writes back what the ledger has (`recorder/restore.ts`) and says up to where in the key `restored`; every pod then
 * sends the rest again, in order: its own changes as they were (their numbers make a repeat harmless), an agent's
 * lines from its spool. Until that is done no lease is given, so nobody has gone on meanwhile.
 *
 * Own changes are kept in memory: a pod that dies in the same moment as Redis leaves its spools, which its next start
 * or the session's next claim sends (`leftovers.ts`).
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { runIdOf } from '../queue/run-id.ts'
import type { Keys } from '../queue/keys.ts'
import type { AgentRef, SentChange, SessionStore, StoreHooks } from '../queue/session-store.ts'
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
  readonly keys: Pick<Keys, 'recorded' | 'restored' | 'seeded' | 'noRecord'>
  /** A store without hooks: what is sent again must not be kept twice. */
  readonly store: SessionStore
  /** Where the agent's spool is on this machine. */
  readonly spoolOf: (agent: AgentRef) => string
  /** Tells the recorder that everything of this pod is there again, with what `restored` says at that moment. */
  readonly onResent: (restored: string) => void
  readonly onError: (error: unknown) => void
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
  const { redis, subscriber, keys, store, onError } = parts
  const sessions = new Map<string, Sent[]>()
  const listeners: ((streamId: string) => void)[] = []
  const stopped = new AbortController()
  /** What `restored` said when this pod last sent everything again. */
  let restored: string | null = null
  let checking: Promise<void> | null = null
  let recordedUpTo = '0-0'

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

  async function sendAgain(sessionId: string, recordedUpTo: string): Promise<void> {
    for (const sent of sessions.get(sessionId) ?? []) {
      if (reached(recordedUpTo, sent.streamId)) continue
      const streamId =
        sent.kind === 'change'
          ? await store.repeat(sent.change)
          : (await sendSpool(store, sent.agent, parts.spoolOf(sent.agent), { upTo: sent.upTo })).streamId
      if (streamId !== '') sent.streamId = streamId
    }
  }

  async function sendAllAgain(recordedUpTo: string): Promise<void> {
    for (const sessionId of sessions.keys()) {
      if ((await store.read(sessionId)) === null) {
        onError(new Error(`Redis has lost session ${sessionId} before the ledger had it: it cannot go on.`))
        const agentType = agentTypeOf(sessions.get(sessionId))
        if (agentType !== null) await redis.hset(keys.noRecord, sessionId, agentType)
        sessions.delete(sessionId)
        continue
      }
      try {
        await sendAgain(sessionId, recordedUpTo)
      } catch (error) {
        // Redis is away again: all of it later. Otherwise one spool that cannot be read must not stop the others.
        if (redis.status !== 'ready') throw error
        sessions.delete(sessionId)
        onError(
          new Error(`What Redis lost of session ${sessionId} cannot be sent again: ${messageOf(error)}`),
        )
      }
    }
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
      try {
        if (await checkOnce()) return
      } catch (error) {
        onError(error)
      }
      await sleep(LOOK_MS, stopped.signal)
    }
  }

  async function checkOnce(): Promise<boolean> {
    const runId = await runIdOf(redis)
    const [seeded, said, recorded] = await redis.mget(keys.seeded, keys.restored, keys.recorded)
    const [restoredRun, upTo = '0-0'] = said?.split(' ') ?? []
    if (restoredRun === runId && said !== restored) {
      await sendAllAgain(upTo)
      parts.onResent(said ?? '')
      restored = said ?? null
    } else if (restoredRun !== runId && seeded !== runId) return false
    if (recorded) forget(recorded)
    return true
  }

  const announced = (channel: string, text: string): void => {
    if (channel === keys.restored) check().catch(() => undefined)
    // While something may have to be sent again an announcement may be about other events with the same ids.
    else if (channel === keys.recorded && checking === null) forget(text)
  }
  const reconnected = (): void => void check().catch(() => undefined)
  subscriber.on('message', announced)
  subscriber.on('ready', reconnected)
  await subscriber.subscribe(keys.recorded, keys.restored)
  restored = await redis.get(keys.restored)
  recordedUpTo = (await redis.get(keys.recorded)) ?? recordedUpTo

  return {
    hooks: {
      settled: () => checking?.catch(() => undefined) ?? Promise.resolve(),
      onChanged: (change, streamId) => keep(change.session.sessionId, { kind: 'change', change, streamId }),
      onLines: (agent, streamId, upTo) => keep(agent.sessionId, { kind: 'lines', agent, upTo, streamId }),
      async onLost(sessionId) {
        await check()
        // Also where only this session is concerned: what is there already is not taken twice.
        await sendAgain(sessionId, restored?.split(' ')[1] ?? '0-0')
      },
    },
    resent: () => restored ?? '',
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
