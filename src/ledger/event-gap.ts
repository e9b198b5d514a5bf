/** Table `event_gap`: numbers of a session's events, or of an agent's lines, that were skipped. */
import type { Db } from './database.ts'
import type { GapView, GapViews } from './ledger.ts'

export type GapReason = 'not_on_stream' | 'not_sent' | 'cut_tail'

/** What is counted: the events of a session (`agent_id` null), or the lines of one of its agents. */
export interface GapKey {
  readonly session_id: string
  readonly agent_id: string | null
  readonly epoch: number | null
}

export interface EventGap extends GapKey {
  readonly first: number
  readonly last: number
  readonly reason: GapReason
}

export interface EventGapTable {
  note(gap: EventGap, ts: string): void
  /** A number that was missing is here: its gap shrinks or splits. False where it was in none. */
  fill(key: GapKey, number: number, ts: string): boolean
  /** Is anything of the session's own numbers missing? */
  hasOpen(sessionId: string): boolean
  /** Is this number missing? */
  has(key: GapKey, number: number): boolean
  /** The sessions of which something is missing. */
  sessionIds(): readonly string[]
}

type Row = EventGap & { readonly gap_id: number; readonly noticed_at: string }

const OF_KEY = 'session_id = @session_id AND agent_id IS @agent_id AND epoch IS @epoch'

export function createEventGapTable(db: Db): EventGapTable {
  const insert = db.prepare(`
    INSERT INTO event_gap (session_id, agent_id, epoch, first, last, reason, noticed_at, filled_at)
    VALUES (@session_id, @agent_id, @epoch, @first, @last, @reason, @noticed_at, @filled_at)`)
  const selectAround = db.prepare<[GapKey & { number: number }], Row>(`
    SELECT gap_id, session_id, agent_id, epoch, first, last, reason, noticed_at FROM event_gap
    WHERE ${OF_KEY} AND first <= @number AND last >= @number AND filled_at IS NULL`)
  const remove = db.prepare<[number]>('DELETE FROM event_gap WHERE gap_id = ?')
  // What comes in order makes one filled row and not one for each number.
  const extendFilled = db.prepare(`
    UPDATE event_gap SET last = @number, filled_at = @ts
    WHERE ${OF_KEY} AND last = @number - 1 AND noticed_at = @noticed_at AND filled_at IS NOT NULL`)
  const selectOpen = db
    .prepare<[string], number>(
      `SELECT EXISTS (SELECT 1 FROM event_gap WHERE session_id = ? AND agent_id IS NULL AND filled_at IS NULL)`,
    )
    .pluck()

  const selectSessions = db
    .prepare<[], string>('SELECT DISTINCT session_id FROM event_gap WHERE filled_at IS NULL ORDER BY 1')
    .pluck()

  return {
    has: (key, number) => selectAround.get({ ...key, number }) !== undefined,
    sessionIds: () => selectSessions.all(),
    note: (gap, ts) => void insert.run({ ...gap, noticed_at: ts, filled_at: null }),
    fill(key, number, ts) {
      const gap = selectAround.get({ ...key, number })
      if (gap === undefined) return false
      remove.run(gap.gap_id)
      if (gap.first < number) insert.run({ ...gap, last: number - 1, filled_at: null })
      if (number < gap.last) insert.run({ ...gap, first: number + 1, filled_at: null })
      if (extendFilled.run({ ...gap, number, ts }).changes === 0)
        insert.run({ ...gap, first: number, last: number, filled_at: ts })
      return true
    },
    hasOpen: (sessionId) => selectOpen.get(sessionId) === 1,
  }
}

export function createGapViews(db: Db): GapViews {
  const selectOpen = db.prepare<[string], GapView>(`
    SELECT agent_id, first, last, reason, noticed_at FROM event_gap WHERE session_id = ? AND filled_at IS NULL
    ORDER BY agent_id IS NOT NULL, agent_id, epoch, first`)

  return {
    ofSession: (sessionId) => selectOpen.all(sessionId),
  }
}
