/**
 * Fills the search indexes behind the recorder: in small steps after its commits, never inside its transaction. So
 * recording neither waits for them nor stops because one is broken. While the recorder has much to do a step comes
 * only now and then; what is left over is done as soon as it rests.
 */
import { createBell } from '../core/bell.ts'
import { sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { sqliteCode } from '../ledger/database.ts'
import type { SearchIndex } from '../ledger/search-index.ts'
import type { ErrorLimiter } from '../telemetry/error-limiter.ts'

/** About 5 ms of CPU each; more than that is a share of a long text, which costs some 25 µs per 1,000 characters. */
const STEP_EVENTS = 400
const STEP_BYTES = 200_000
/** After a commit there may be another one at once: larger steps are cheaper than many. */
const GATHER_MS = 100
/** Between steps while the recorder goes on committing. */
const GIVE_WAY_MS = 50
const RETRY_MS = 5000
/** What another board recorded, which this one takes over from. */
const LOOK_AGAIN_MS = 60_000

export interface SearchFillerParts {
  readonly search: Pick<SearchIndex, 'fill' | 'clear'>
  readonly limiter: ErrorLimiter
}

export interface SearchFiller {
  /** Goes on where it ended. Safe to call twice. */
  start(): void
  /** There may be something new. */
  afterCommit(): void
  /** Resolves when truly stopped; safe to call twice. */
  stop(): Promise<void>
}

export function createSearchFiller({ search, limiter }: SearchFillerParts): SearchFiller {
  const bell = createBell()
  const stopping = new AbortController()
  const { signal } = stopping
  let running: Promise<void> | null = null
  let committed = false
  let mended = false

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await sleep(GATHER_MS, signal)
      committed = false
      await fillAll()
      if (!committed) await bell.wait(LOOK_AGAIN_MS, signal)
    }
  }

  async function fillAll(): Promise<void> {
    while (!signal.aborted) {
      const left = step()
      if (left === 0) return
      const pause = left === null ? RETRY_MS : committed ? GIVE_WAY_MS : 0
      committed = false
      await sleep(pause, signal)
    }
  }

  /** How many events are left; null where it could not be done now. */
  function step(): number | null {
    try {
      return search.fill(STEP_EVENTS, STEP_BYTES)
    } catch (error) {
      limiter.warn('search', `Search is behind: ${messageOf(error)}. Recording goes on; it is tried again.`)
      if (sqliteCode(error) === 'SQLITE_CORRUPT_VTAB' && !mended) beginAgain()
      return null
    }
  }

  /** All that an index holds is in the events as well. */
  function beginAgain(): void {
    mended = true
    try {
      search.clear()
    } catch (error) {
      limiter.warn('search_clear', `The search index could not be made anew: ${messageOf(error)}.`)
    }
  }

  return {
    start() {
      running ??= run()
    },
    afterCommit() {
      committed = true
      bell.ring()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
