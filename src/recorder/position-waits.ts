/** Waiting for the ledger to have everything up to a stream id, whichever recorder writes it. */
import { compareStreamIds } from './stream-id.ts'

/** How often the ledger is looked at, since another process may be the one that records. */
const LOOK_MS = 100

interface Wait {
  readonly streamId: string
  readonly settle: (reached: boolean) => void
}

export interface PositionWaits {
  /** True as soon as `streamId` is reached; false after `timeoutMs` or `giveUp`. */
  wait(streamId: string, timeoutMs: number): Promise<boolean>
  /** Everything up to `streamId` is committed. */
  reached(streamId: string): void
  /** Ends all waits that are open now: false. */
  giveUp(): void
}

/** @param position reads the committed stream id; an error of it only means that nothing new is known */
export function createPositionWaits(position: () => string): PositionWaits {
  const waits = new Set<Wait>()
  let timer: NodeJS.Timeout | null = null

  function reached(streamId: string): void {
    for (const wait of waits) {
      if (compareStreamIds(wait.streamId, streamId) <= 0) wait.settle(true)
    }
  }

  function look(): void {
    try {
      reached(position())
    } catch {
      // The ledger does not answer at the moment; the wait has its own end.
    }
  }

  function remove(wait: Wait): void {
    waits.delete(wait)
    if (waits.size > 0 || timer === null) return
    clearInterval(timer)
    timer = null
  }

  return {
    wait(streamId, timeoutMs) {
      return new Promise((resolve) => {
        const timeout = setTimeout(() => wait.settle(false), timeoutMs)
        const wait: Wait = {
          streamId,
          settle(outcome) {
            clearTimeout(timeout)
            remove(wait)
            resolve(outcome)
          },
        }
        waits.add(wait)
        timer ??= setInterval(look, LOOK_MS)
        look()
      })
    },
    reached,
    giveUp() {
      for (const wait of waits) wait.settle(false)
    },
  }
}
