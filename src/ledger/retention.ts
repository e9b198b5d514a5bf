/**
 * What retention takes away, one small statement each: the raw lines of sessions that have ended. Never a result,
 * never one of Drover's own events, never a total, nor the lines that an estimate was made from; and never the newest
 * event, neither of a session nor of the file, because what comes next is numbered and ordered by it.
 *
 * Each step is a transaction of its own and may be repeated: dying between two of them leaves a session with its mark
 * and some of its lines. It is the last one that was marked, and the next run goes on there.
 */
import type { Db } from './database.ts'
import { createSearchIndex } from './search-index.ts'

/** How much of the file is in use. */
export interface FileSize {
  readonly fileBytes: number
  /** Without the pages that deleted rows have left; they are used again, and `compact` gives them back. */
  readonly usedBytes: number
}

export interface Retention {
  /** The sessions that ended longest ago, before `endedBefore` (ISO), and have all their lines. */
  candidates(endedBefore: string, limit: number): readonly string[]
  /** Takes at most `rows` lines away; answers how many went. Fewer than `rows`: these were the last. */
  takeLines(sessionId: string, rows: number): number
  /** The session's lines go from now on; the first mark stays. */
  markPruned(sessionId: string, ts: string): void
  /** Those that were marked last, as they come in the order of their ends: one of them may have lines left. */
  lastPruned(): readonly string[]
  size(): FileSize
}

/** Sessions that may have ended in the same moment. */
const LAST = 10

/** An event that is a line of the CLI and no result. */
const RAW = `line IS NOT NULL AND type <> 'claude.result' AND type NOT GLOB 'claude.result.*'`

export function createRetention(db: Db): Retention {
  const selectCandidates = db
    .prepare<[string, number], string>(
      `SELECT session_id FROM agent_sessions
       WHERE completed_at IS NOT NULL AND pruned_at IS NULL AND completed_at < ?
       ORDER BY completed_at LIMIT ?`,
    )
    .pluck()
  const selectLines = db
    .prepare<unknown[], number>(
      `SELECT event_id FROM session_event
       WHERE session_id = @sessionId AND ${RAW}
         AND seq < (SELECT max(seq) FROM session_event WHERE session_id = @sessionId)
         AND event_id < (SELECT max(event_id) FROM session_event)
         AND agent_id NOT IN (
           SELECT invocation_id FROM claude_invocations WHERE session_id = @sessionId AND cost_estimated)
       ORDER BY seq LIMIT @rows`,
    )
    .pluck()
  const deleteLine = db.prepare('DELETE FROM session_event WHERE event_id = ?')
  const search = createSearchIndex(db)
  const updateMark = db.prepare(
    'UPDATE agent_sessions SET pruned_at = ? WHERE session_id = ? AND pruned_at IS NULL',
  )
  const selectLast = db
    .prepare<[], string>(
      `SELECT session_id FROM agent_sessions
       WHERE completed_at IS NOT NULL AND pruned_at IS NOT NULL AND completed_at <= coalesce(
         (SELECT min(completed_at) FROM agent_sessions WHERE completed_at IS NOT NULL AND pruned_at IS NULL), '9999')
       ORDER BY completed_at DESC LIMIT ${LAST}`,
    )
    .pluck()
  const pragma = (name: string): number => Number(db.pragma(name, { simple: true }))

  return {
    candidates: (endedBefore, limit) => selectCandidates.all(endedBefore, limit),
    takeLines(sessionId, rows) {
      const ids = selectLines.all({ sessionId, rows })
      search.forget(ids)
      for (const id of ids) deleteLine.run(id)
      return ids.length
    },
    markPruned: (sessionId, ts) => void updateMark.run(ts, sessionId),
    lastPruned: () => selectLast.all(),
    size() {
      const pageSize = pragma('page_size')
      const pages = pragma('page_count')
      return { fileBytes: pages * pageSize, usedBytes: (pages - pragma('freelist_count')) * pageSize }
    },
  }
}
