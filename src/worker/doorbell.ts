/**
 * The doorbell: one subscription per pod, on which Redis says whose hash has a new request (a kill, a restart). A
 * ring can be lost with a connection, so nothing depends on it but how soon: the request itself is in the hash, and
 * the pulse reads it at every beat.
 */
import type { Redis } from 'ioredis'
import type { Keys } from '../queue/keys.ts'

export interface Doorbell {
  /** Calls `listener` when somebody rings for the session, and after a reconnect. Answers what takes it away. */
  on(sessionId: string, listener: () => void): () => void
  /** Calls `listener` with the id of every session that somebody rings for. Answers what takes it away. */
  onAny(listener: (sessionId: string) => void): () => void
  close(): void
}

/** @param subscriber may be shared: only this channel is listened to */
export async function createDoorbell(subscriber: Redis, keys: Keys): Promise<Doorbell> {
  const listeners = new Map<string, Set<() => void>>()
  const anyListeners = new Set<(sessionId: string) => void>()
  const ring = (channel: string, sessionId: string): void => {
    if (channel !== keys.doorbell) return
    for (const listener of listeners.get(sessionId) ?? []) listener()
    for (const listener of anyListeners) listener(sessionId)
  }
  // ioredis subscribes again by itself; what rang meanwhile was not heard.
  const ringAll = (): void => {
    for (const sessionId of listeners.keys()) ring(keys.doorbell, sessionId)
  }
  subscriber.on('message', ring)
  subscriber.on('ready', ringAll)
  await subscriber.subscribe(keys.doorbell)

  return {
    on(sessionId, listener) {
      const present = listeners.get(sessionId) ?? new Set()
      present.add(listener)
      listeners.set(sessionId, present)
      return () => {
        present.delete(listener)
        if (present.size === 0 && listeners.get(sessionId) === present) listeners.delete(sessionId)
      }
    },
    onAny(listener) {
      anyListeners.add(listener)
      return () => void anyListeners.delete(listener)
    },
    close() {
      subscriber.off('message', ring)
      subscriber.off('ready', ringAll)
      listeners.clear()
      anyListeners.clear()
    },
  }
}
