/** Following a session from outside: its events, its start, its end. */
import type { Redis } from 'ioredis'
import { createBell } from '../core/bell.ts'
import { parseEvent, splitEvent, type Envelope } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import { isEnded } from '../core/state.ts'
import type { Keys } from '../queue/keys.ts'
import type { Live } from '../queue/live.ts'
import type { SessionRecord, SessionStore } from '../queue/session-store.ts'

/** Pub/sub loses what is sent while it is away; the hash is looked at this often all the same. */
const LOOK_AGAIN_MS = 5000
const PAGE = 1000

export interface Follower {
  /**
   * The session as soon as `condition` holds (looked at after each of Drover's own events), or it has ended.
   *
   * @throws DroverError `session_not_found`
   */
  until(
    sessionId: string,
    condition: (record: SessionRecord) => boolean,
    signal?: AbortSignal,
  ): Promise<SessionRecord>
  /** What the stream still holds of the session after `after`, then live, to its end; each event once, in order. */
  events(sessionId: string, after?: number, signal?: AbortSignal): AsyncGenerator<Envelope, void, void>
}

export function createFollower(redis: Redis, keys: Keys, store: SessionStore, live: Live): Follower {
  async function readOrThrow(sessionId: string): Promise<SessionRecord> {
    const record = await store.read(sessionId)
    if (record !== null) return record
    throw new DroverError(
      'session_not_found',
      `Redis knows no session ${sessionId}. It may have ended long ago: ask the board, which has all of history.`,
      { session_id: sessionId },
    )
  }

  return {
    async until(sessionId, condition, signal) {
      const bell = createBell()
      const unfollow = await live.follow(sessionId, (text) => {
        if (text.includes('"type":"drover.')) bell.ring()
      })
      try {
        for (;;) {
          const record = await readOrThrow(sessionId)
          if (condition(record) || isEnded(record.state) || signal?.aborted) return record
          await bell.wait(LOOK_AGAIN_MS, signal)
        }
      } finally {
        unfollow()
      }
    },

    async *events(sessionId, after = 0, signal) {
      const bell = createBell()
      const unfollow = await live.follow(sessionId, bell.ring)
      const own = `{"session_id":"${sessionId}"`
      try {
        const record = await readOrThrow(sessionId)
        let from = record.firstId
        let seq = after
        let endSeen = false
        for (;;) {
          const page = await redis.xrange(keys.events, from, '+', 'COUNT', PAGE)
          for (const [id, fields] of page) {
            from = `(${id}`
            const text = fields[1] ?? ''
            if (!text.startsWith(own)) continue
            const { header } = splitEvent(text)
            if (header.seq === null || header.seq <= seq) continue
            seq = header.seq
            yield parseEvent(text)
            if (header.type === 'drover.session.ended') return
          }
          if (signal?.aborted) return
          if (page.length === PAGE) continue
          // Ended, and what the stream still holds of it has been seen: nothing will come any more.
          const now = await store.read(sessionId)
          if (now === null || (isEnded(now.state) && (seq >= now.seq || endSeen))) return
          endSeen = isEnded(now.state)
          if (endSeen) continue
          await bell.wait(LOOK_AGAIN_MS, signal)
        }
      } finally {
        unfollow()
      }
    },
  }
}
