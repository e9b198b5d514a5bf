/**
 * A session's events from a point on, to its end: each once, in order, whatever is lost on the way.
 *
 * Live events come over pub/sub, which loses what is sent while a connection is away. So the ledger decides: what
 * comes live is passed on only where it is the next `seq`; where something is missing, the ledger is read, again
 * after each commit until it has it. A reader that is slow costs a bounded inbox, and then reads the ledger.
 */
import { splitEvent } from '../core/envelope.ts'
import type { EventViews } from '../ledger/ledger.ts'
import type { Live } from '../queue/live.ts'
import { createBell } from '../core/bell.ts'
import { createLiveInbox } from './live-inbox.ts'
import type { Commits } from './commits.ts'

/** The ledger is looked at this often also where nothing says that something is missing. */
const LOOK_AGAIN_MS = 5000
/** After the session's end: how long the ledger may take to have all of it. */
const LAST_EVENTS_MS = 5000
const PAGE = 500

export interface FeedParts {
  readonly events: EventViews
  readonly live: Live
  readonly commits: Commits
  /** The session's highest `seq` at this moment; 0 where it is not known. */
  readonly lastSeq: (sessionId: string) => Promise<number>
  readonly onError: (error: unknown) => void
}

/** An event; `idle`: nothing for a while, the reader may want a sign of life; `end`: nothing will come any more. */
export type FeedItem =
  | { readonly kind: 'event'; readonly seq: number; readonly text: string }
  | { readonly kind: 'idle' }
  | { readonly kind: 'end'; readonly seq: number }

export interface FeedOptions {
  /** The last `seq` that the reader has. */
  readonly after: number
  readonly idleMs: number
  /** Ends the feed without an `end`. */
  readonly signal: AbortSignal
}

export async function* followEvents(
  parts: FeedParts,
  sessionId: string,
  { after, idleMs, signal }: FeedOptions,
): AsyncGenerator<FeedItem, void, void> {
  const { events, live, commits, onError } = parts
  const inbox = createLiveInbox()
  const bell = createBell()
  let cursor = after
  let endSeenAt: number | null = null
  let lastSignOfLife = performance.now()

  const onLive = (text: string): void => {
    const { seq } = splitEvent(text).header
    if (seq === null) return
    inbox.push({ seq, text })
    bell.ring()
  }
  // Not waited for: while Redis is away, what the ledger has is there to be read all the same.
  const following = live.follow(sessionId, onLive)
  const expectWhatWas = async (): Promise<void> => {
    await following
    inbox.expect(await parts.lastSeq(sessionId))
    bell.ring()
  }
  expectWhatWas().catch(onError)
  const offCommit = commits.on(() => {
    if (endSeenAt !== null || inbox.misses(cursor)) bell.ring()
  })

  const pass = (seq: number, text: string): FeedItem => {
    cursor = seq
    lastSignOfLife = performance.now()
    return { kind: 'event', seq, text }
  }

  try {
    while (!signal.aborted) {
      const next = inbox.take(cursor)
      if (next !== null) {
        yield pass(next.seq, next.text)
        if (isEnd(next.text)) endSeenAt = performance.now()
        continue
      }
      const page = events.page(sessionId, cursor, PAGE)
      for (const text of page.events) {
        yield pass(seqOf(text), text)
        if (signal.aborted) return
      }
      if (page.ended || (endSeenAt !== null && performance.now() - endSeenAt > LAST_EVENTS_MS)) {
        yield { kind: 'end', seq: cursor }
        return
      }
      if (page.events.length > 0) continue
      if (performance.now() - lastSignOfLife >= idleMs) {
        lastSignOfLife = performance.now()
        yield { kind: 'idle' }
      }
      await bell.wait(Math.min(LOOK_AGAIN_MS, idleMs), signal)
    }
  } finally {
    offCommit()
    following.then(
      (unfollow) => unfollow(),
      () => {},
    )
  }
}

function seqOf(text: string): number {
  return splitEvent(text).header.seq ?? 0
}

function isEnd(text: string): boolean {
  return splitEvent(text).header.type === 'drover.session.ended'
}
