/**
 * The files of sessions under this data directory: sends what dead workers left in them, and removes them once the
 * session has ended, everything of it is on the stream and the recorder has it. A pod that comes back more than a day
 * after the end finds no hash: what it has can be sent no more, and goes when it is a month old.
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { isEnded, SESSION_STATES } from '../core/state.ts'
import { isSeeded } from '../queue/incarnation.ts'
import type { Keys } from '../queue/keys.ts'
import { ENDED_TTL_SECONDS, type SessionStore } from '../queue/session-store.ts'
import type { Transcripts } from '../queue/transcripts.ts'
import { reached } from '../queue/stream-id.ts'
import { lastWritten, listSessionDirectories, removeSessionDirectory } from '../session/directory.ts'
import type { Flow } from './flow.ts'
import { sendLeftovers } from './leftovers.ts'

const ENDED: readonly string[] = SESSION_STATES.filter(isEnded)
/** A session that went on elsewhere is looked after this often: its files are needed until it has ended. */
const PASS_MS = 60_000
const DAY_MS = 86_400_000
/**
 * Files of a session that is not known here may be of another Redis or namespace that has the same data directory at
 * other times, and finds what is unsent of it when it is back.
 */
const FORGOTTEN_MS = 30 * DAY_MS

export interface SpoolKeeper {
  /** The session's last event is at `streamId`: its files go once that is recorded. */
  ended(sessionId: string, streamId: string): void
  /** Everything up to this stream id is in the ledger. */
  recorded(streamId: string): void
  /** One look at all directories; `start` does it again and again. */
  pass(): Promise<void>
  /** Begins to look; resolves at once. */
  start(): void
  stop(): Promise<void>
}

export interface SpoolKeeperParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly store: SessionStore
  readonly transcripts: Transcripts
  readonly dataDir: string
  readonly flow: Flow
  /** Nothing is removed: somebody wants to look at the files. */
  readonly keep: boolean
  /** Sessions that this pod has at this moment. */
  readonly isRunning: (sessionId: string) => boolean
  readonly onError: (error: unknown) => void
}

export function createSpoolKeeper(parts: SpoolKeeperParts): SpoolKeeper {
  const { redis, keys, store, transcripts, dataDir, flow, keep, isRunning, onError } = parts
  const waiting = new Map<string, string>()
  const stopped = new AbortController()
  let recorded = '0-0'
  let removing: Promise<void> = Promise.resolve()
  let passing: Promise<void> = Promise.resolve()

  function sweep(): void {
    for (const [sessionId, streamId] of waiting) {
      if (!reached(recorded, streamId)) continue
      waiting.delete(sessionId)
      removing = removing.then(() => remove(sessionId)).catch(onError)
    }
  }

  async function remove(sessionId: string): Promise<void> {
    const state = await redis.hget(keys.session(sessionId), 'state')
    if (state === 'completed') await transcripts.remove(sessionId)
    // Also where it did not end here: a kill while it waited.
    else await transcripts.keepFor(sessionId, ENDED_TTL_SECONDS)
    if (!keep) await removeSessionDirectory(dataDir, sessionId)
  }

  async function pass(): Promise<void> {
    for (const sessionId of await listSessionDirectories(dataDir)) {
      if (stopped.signal.aborted) return
      if (isRunning(sessionId) || waiting.has(sessionId)) continue
      await lookAfter(sessionId).catch(onError)
    }
    sweep()
  }

  async function lookAfter(sessionId: string): Promise<void> {
    if (!(await sendLeftovers({ store, dataDir, flow }, sessionId))) return
    const [state, lastId] = await redis.hmget(keys.session(sessionId), 'state', 'last_id')
    if (state && lastId && ENDED.includes(state) && !isRunning(sessionId)) waiting.set(sessionId, lastId)
    if (!state && !keep) await removeForgotten(sessionId)
  }

  async function removeForgotten(sessionId: string): Promise<void> {
    const ageMs = Date.now() - (await lastWritten(dataDir, sessionId))
    // Asked after the hash: a Redis that has lost it is not confirmed.
    if (ageMs < FORGOTTEN_MS || !(await isSeeded(redis, keys))) return
    await removeSessionDirectory(dataDir, sessionId)
    onError(
      new Error(
        `The files of session ${sessionId}, last written ${Math.floor(ageMs / DAY_MS)} days ago, are removed: it is not open, ` +
          'and what they had and the ledger has not can be sent no more.',
      ),
    )
  }

  async function passAgainAndAgain(): Promise<void> {
    while (!stopped.signal.aborted) {
      await pass().catch(onError)
      await sleep(PASS_MS, stopped.signal)
    }
  }

  return {
    ended(sessionId, streamId) {
      // For a restart by hand; of a completed session it goes as soon as the end is recorded.
      transcripts.keepFor(sessionId, ENDED_TTL_SECONDS).catch(onError)
      waiting.set(sessionId, streamId)
      sweep()
    },
    recorded(streamId) {
      recorded = streamId
      sweep()
    },
    pass,
    start() {
      passing = passAgainAndAgain()
    },
    async stop() {
      stopped.abort()
      await passing
      await removing
    },
  }
}
