/**
 * The moments at which the ledger has more: what the recorder announces after each commit.
 *
 * Taken from Redis also for our own recorder, so that a board whose recorder waits for another one's end knows the
 * same. An announcement can be lost with a connection: whoever waits looks again by itself from time to time.
 */
import type { Redis } from 'ioredis'
import type { Keys } from '../queue/keys.ts'

export interface Commits {
  /** Calls `listener` after each commit. Answers what takes it away. */
  on(listener: () => void): () => void
}

/** @param subscriber may be shared: only the recorder's channel is listened to */
export function watchCommits(subscriber: Redis, keys: Keys, onError: (error: unknown) => void): Commits {
  const listeners = new Set<() => void>()
  const tell = (): void => {
    for (const listener of listeners) listener()
  }
  subscriber.on('message', (channel: string) => {
    if (channel === keys.recorded) tell()
  })
  // ioredis subscribes again by itself after a reconnect; what was committed meanwhile is told at once.
  subscriber.on('ready', tell)
  subscriber.subscribe(keys.recorded).catch(onError)

  return {
    on(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
