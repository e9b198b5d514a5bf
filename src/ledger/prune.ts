/**
 * Retention as it is applied: sessions that ended longest ago first, in steps so small that the recorder hardly waits.
 */
import { sleep, systemClock, type Clock } from '../core/clock.ts'
import type { Ledger } from './open.ts'

/** What may stay; 0: all of it. */
export interface RetentionLimits {
  /** Raw lines of sessions that ended longer ago go. */
  readonly retentionDays: number
  /** While more than this is in use, the oldest ended sessions lose their lines. */
  readonly maxSizeMb: number
}

/** What a run did. */
export interface Pruned {
  readonly sessions: number
  readonly lines: number
}

export interface PruneOptions {
  readonly signal?: AbortSignal
  /** Between two steps, for whoever waits for the write lock. @default 20 */
  readonly pauseMs?: number
  readonly clock?: Clock
}

/** A step that holds the write lock longer than this is followed by a smaller one. */
const STEP_MS = 20
const FIRST_ROWS = 200
const MOST_ROWS = 5000
const PAUSE_MS = 20
const CANDIDATES = 100
const DAY_MS = 86_400_000
/**
 * Younger ones keep their lines whatever the size: somebody may be reading them, and the stream (ten minutes) or a
 * pod may still repeat them.
 */
const YOUNGEST_MS = 3_600_000
const MB = 1024 * 1024

/** Applies the limits; ends early when `signal` aborts. Throws what the ledger throws; a repeat goes on. */
export async function prune(
  ledger: Ledger,
  limits: RetentionLimits,
  options: PruneOptions = {},
): Promise<Pruned> {
  const { signal = new AbortController().signal, pauseMs = PAUSE_MS, clock = systemClock } = options
  const now = clock.now().getTime()
  const before = (ageMs: number): string => new Date(now - Math.max(ageMs, YOUNGEST_MS)).toISOString()
  let sessions = 0
  let lines = 0
  let rows = FIRST_ROWS

  /** Answers whether it came to its end. */
  async function takeAll(sessionId: string): Promise<boolean> {
    let last = false
    while (!last && !signal.aborted) {
      const began = clock.monotonic()
      last = ledger.transaction(() => {
        // With the first of them: who looks in between, or after a death, is not to take them for lost.
        ledger.retention.markPruned(sessionId, clock.now().toISOString())
        const taken = ledger.retention.takeLines(sessionId, rows)
        lines += taken
        return taken < rows
      })
      const tookMs = clock.monotonic() - began
      if (tookMs > STEP_MS) rows = Math.max(1, Math.floor(rows / 2))
      else if (!last) rows = Math.min(MOST_ROWS, rows * 2)
      await sleep(pauseMs, signal)
    }
    return last
  }

  async function takeOldest(ageMs: number, wanted: () => boolean): Promise<void> {
    while (!signal.aborted && wanted()) {
      const candidates = ledger.retention.candidates(before(ageMs), CANDIDATES)
      if (candidates.length === 0) return
      for (const sessionId of candidates) {
        if (signal.aborted || !wanted()) return
        if (await takeAll(sessionId)) sessions += 1
      }
    }
  }

  const { retentionDays, maxSizeMb } = limits
  if (retentionDays > 0 || maxSizeMb > 0)
    for (const sessionId of ledger.retention.lastPruned()) await takeAll(sessionId)
  if (retentionDays > 0) await takeOldest(retentionDays * DAY_MS, () => true)
  if (maxSizeMb > 0) await takeOldest(0, () => ledger.retention.size().usedBytes > maxSizeMb * MB)
  return { sessions, lines }
}
