/**
 * What searches look into: `said_search` (words of what was said) and `asked_search` (parts of what sessions were
 * asked for), over the views `said` and `asked` of `session_event`, and how far both are filled.
 *
 * They are filled in transactions of their own, after what they index was committed. Dying before such a commit
 * leaves both and their position as they were, dying after it goes on behind it, and two that fill at once are told
 * apart by the write lock: the later one finds the position moved. Whoever takes events away calls `forget` first,
 * in the same transaction; whoever writes events anew calls `clear`.
 */
import type { Db } from './database.ts'

export interface SearchIndex {
  /**
   * Indexes events that are recorded and not indexed, in their order: up to `limit`, and no more after `bytes` of
   * payload. Answers how many are left.
   */
  fill(limit: number, bytes?: number): number
  /** Takes the events of these ids (JSON array) out. Call it while they are still in `session_event`. */
  forget(eventIds: readonly number[]): void
  /** Empties both; `fill` begins at the first event. */
  clear(): void
}

const INDEXES = ['said', 'asked'] as const

export function createSearchIndex(db: Db): SearchIndex {
  const selectPosition = db.prepare<[], number>('SELECT event_id FROM search_position WHERE id = 1').pluck()
  const selectLast = db.prepare<[], number>('SELECT coalesce(max(event_id), 0) FROM session_event').pluck()
  // Ids may have holes, where events were taken away: the step ends at the event, not at the number.
  const selectSizes = db.prepare<[number, number], { readonly event_id: number; readonly bytes: number }>(
    `SELECT event_id, octet_length(payload) AS bytes FROM session_event
     WHERE event_id > ? ORDER BY event_id LIMIT ?`,
  )
  const moveTo = db.prepare<[number]>('UPDATE search_position SET event_id = ? WHERE id = 1')
  const inserts = INDEXES.map((name) =>
    db.prepare<[number, number]>(
      `INSERT INTO ${name}_search (rowid, text)
       SELECT event_id, text FROM ${name} WHERE event_id > ? AND event_id <= ?`,
    ),
  )
  const deletes = INDEXES.map((name) =>
    db.prepare<[string, number]>(
      `INSERT INTO ${name}_search (${name}_search, rowid, text)
       SELECT 'delete', event_id, text FROM ${name}
       WHERE event_id IN (SELECT value FROM json_each(?)) AND event_id <= ?`,
    ),
  )
  const clears = INDEXES.map((name) =>
    db.prepare(`INSERT INTO ${name}_search (${name}_search) VALUES ('delete-all')`),
  )
  const position = (): number => selectPosition.get() ?? 0
  const last = (): number => selectLast.get() ?? 0

  function endOf(from: number, limit: number, bytes: number): number {
    let [end, size] = [from, 0]
    for (const next of selectSizes.iterate(from, limit)) {
      end = next.event_id
      size += next.bytes
      if (size >= bytes) break
    }
    return end
  }

  const step = db.transaction((limit: number, bytes: number): number => {
    const from = position()
    const to = endOf(from, limit, bytes)
    if (to <= from) return from
    for (const insert of inserts) insert.run(from, to)
    moveTo.run(to)
    return to
  })

  return {
    fill(limit, bytes = Number.MAX_SAFE_INTEGER) {
      // Looked at without the write lock, which the recorder may want.
      if (last() <= position()) return 0
      return Math.max(0, last() - step.immediate(limit, bytes))
    },
    forget(eventIds) {
      const filled = position()
      const ids = JSON.stringify(eventIds)
      for (const remove of deletes) remove.run(ids, filled)
    },
    clear() {
      for (const empty of clears) empty.run()
      moveTo.run(0)
    },
  }
}
