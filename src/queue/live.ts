/** Live events over pub/sub: one subscriber connection serves any number of listeners. */
import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/** Gets an event's text. */
export type LiveListener = (eventText: string) => void

export interface Live {
  /**
   * Calls `listener` for every event that the session publishes from now on. What was published while the
   * connection was away is lost: whoever needs all reads the stream or the ledger by `seq`.
   *
   * @returns takes the listener away
   */
  follow(sessionId: string, listener: LiveListener): Promise<() => void>
  close(): void
}

/** @param subscriber a connection of its own: a subscribed connection takes no other command */
export function createLive(subscriber: Redis, keys: Keys): Live {
  const listeners = new Map<string, Set<LiveListener>>()
  subscriber.on('message', (channel: string, text: string) => {
    for (const listener of listeners.get(channel) ?? []) listener(text)
  })

  return {
    async follow(sessionId, listener) {
      const channel = keys.live(sessionId)
      const present = listeners.get(channel) ?? new Set()
      present.add(listener)
      listeners.set(channel, present)
      // Subscribing again is harmless, and a second listener must not return before the first one's is in place.
      const leave = (): void => {
        present.delete(listener)
        if (present.size > 0 || listeners.get(channel) !== present) return
        listeners.delete(channel)
        // Nobody waits for it, and a connection that is away forgets it anyway.
        subscriber.unsubscribe(channel).catch(() => {})
      }
      await subscriber.subscribe(channel).catch((error: unknown) => {
        leave()
        throw error
      })
      return leave
    },
    close() {
      listeners.clear()
      subscriber.disconnect()
    },
  }
}
