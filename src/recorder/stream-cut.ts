/**
 * What of the recorded part of the stream is taken away. Never anything that is not recorded: the cut is at or
 * before an entry that is committed.
 */
import { compareStreamIds, timeOf } from './stream-id.ts'

/** Recorded entries stay this long, so that other services and late watchers can read them from Redis. */
export const KEEP_MS = 10 * 60_000
/** Yet no more of them than this: about 100 MB at 500 bytes each. */
export const KEEP_ENTRIES = 200_000
/** Distance of the marks from which a cut by number is found: 200 of them cover what is kept. */
const MARK_EVERY = 1000

export interface StreamCut {
  /** Notes a committed batch. */
  recorded(lastId: string, entries: number): void
  /** Everything before this id may go; null where nothing is recorded. */
  minId(): string | null
}

/**
 * Counts what this recorder committed. A new one knows nothing of what its predecessor did: that part goes by age.
 * Time is the stream's own, so that no clock of ours matters.
 */
export function createStreamCut(keepMs: number = KEEP_MS, keepEntries: number = KEEP_ENTRIES): StreamCut {
  const marks: { readonly id: string; readonly total: number }[] = []
  let total = 0
  let last: string | null = null

  return {
    recorded(lastId, entries) {
      total += entries
      last = lastId
      if (total - (marks.at(-1)?.total ?? 0) >= Math.min(MARK_EVERY, keepEntries))
        marks.push({ id: lastId, total })
    },
    minId() {
      if (last === null) return null
      const byAge = `${Math.max(0, timeOf(last) - keepMs)}-0`
      while (marks[0] !== undefined && total - marks[0].total > keepEntries) marks.shift()
      const byNumber = total > keepEntries ? marks[0]?.id : undefined
      return byNumber !== undefined && compareStreamIds(byNumber, byAge) > 0 ? byNumber : byAge
    },
  }
}
