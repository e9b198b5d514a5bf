/**
 * Tells the other processes how far the ledger is: the keys `recorded` and `kept`, and the channel `recorded`.
 *
 * Only who holds the recorder's lease is heard. One that was frozen between its commit and saying so would take back,
 * when it thaws, what its successor has said since. Nothing waits for it: what fails here, or is not heard, is made
 * good by the next commit or by the next recorder; a repeat says the same again.
 */
import type { Redis } from 'ioredis'
import type { Keys } from '../queue/keys.ts'
import { createKept } from './kept.ts'

/**
 * KEYS  1 the recorder's lease · 2 recorded · 3 kept
 * ARGV  1 token of the lease · 2 a stream id, '' for none · 3 recorded entries that are still there, '' for unknown
 */
const ANNOUNCE_SCRIPT = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] ~= '' then redis.call('SET', KEYS[3], ARGV[3]) end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('PUBLISH', KEYS[2], ARGV[2])
end
return 1`

export interface Announcer {
  /** Everything up to this stream id is recorded. Without one, only how many recorded entries are there is said. */
  say(streamId?: string): void
  /** So many entries were committed. Not said by itself: a caller may know that their ids mean nothing to others. */
  recorded(entries: number): void
  /** So many entries were trimmed, which is said at once: the next commit may be long in coming. */
  trimmed(entries: number): void
  /** The stream is read from its beginning: nothing of it is recorded. */
  fromStart(): void
  /** There is nothing more to read: what is there is recorded, and is counted. */
  allRead(): Promise<void>
}

/** @param token of the recorder's lease */
export function createAnnouncer(parts: {
  readonly redis: Redis
  readonly keys: Pick<Keys, 'recorderLease' | 'recorded' | 'kept' | 'events'>
  readonly token: string
  readonly onError: (error: unknown) => void
}): Announcer {
  const { redis, keys, token, onError } = parts
  const kept = createKept()
  redis.get(keys.kept).then((count) => kept.begin(Number(count ?? 0)), onError)

  async function announce(streamId: string): Promise<void> {
    const names = [keys.recorderLease, keys.recorded, keys.kept]
    await redis.eval(ANNOUNCE_SCRIPT, names.length, ...names, token, streamId, kept.count() ?? '')
  }

  const say = (streamId = ''): void => void announce(streamId).catch(onError)

  return {
    say,
    recorded: kept.recorded,
    trimmed(entries) {
      kept.trimmed(entries)
      // What is counted too high hides what is not recorded.
      if (entries > 0) say()
    },
    fromStart: kept.fromStart,
    async allRead() {
      try {
        const length = await redis.xlen(keys.events)
        if (length === kept.count()) return
        kept.counted(length)
        await announce('')
      } catch (error) {
        onError(error)
      }
    },
  }
}
