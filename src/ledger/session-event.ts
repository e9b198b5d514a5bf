/** Table `session_event`: what happened in a session, once each. */
import type { RawEvent } from '../core/envelope.ts'
import type { Db } from './database.ts'

/** What became of an event that was to be added. */
export type Appended =
  | 'new'
  /** It is here already, word for word: a repeat, which changes nothing. */
  | 'repeat'
  /** Its place (session and `seq`, or agent and line) is taken by another event. */
  | 'conflict'

export interface SessionEventTable {
  append(event: RawEvent): Appended
  /** Of an event whose `seq` was recorded before: the same one, also where retention took it away, or another. */
  compare(event: RawEvent): 'repeat' | 'conflict'
  /** The highest `seq` of a session that is here; 0 where nothing is. */
  lastSeq(sessionId: string): number
}

export function createSessionEventTable(db: Db): SessionEventTable {
  const insert = db.prepare(`
    INSERT INTO session_event (session_id, seq, agent_id, agent_type, epoch, line, ts, type, late, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
  const selectSame = db
    .prepare<unknown[], number>(
      `SELECT count(*) FROM session_event
       WHERE session_id = ? AND seq = ? AND type = ? AND payload = ? AND epoch = ? AND agent_id IS ? AND line IS ?`,
    )
    .pluck()
  const selectPlace = db
    .prepare<[string, number], number>('SELECT count(*) FROM session_event WHERE session_id = ? AND seq = ?')
    .pluck()
  const selectLast = db
    .prepare<[string], number | null>('SELECT max(seq) FROM session_event WHERE session_id = ?')
    .pluck()

  function isSame({ header, payloadText }: RawEvent): boolean {
    const { session_id, seq, agent_id, epoch, line, type } = header
    return selectSame.get(session_id, seq, type, payloadText, epoch, agent_id, line) === 1
  }

  return {
    append(event) {
      const { header, payloadText } = event
      const { session_id, seq, agent_id, agent_type, epoch, line, ts, type, late } = header
      const added = insert.run(
        session_id,
        seq,
        agent_id,
        agent_type,
        epoch,
        line,
        ts,
        type,
        late ? 1 : 0,
        payloadText,
      )
      if (added.changes === 1) return 'new'
      return isSame(event) ? 'repeat' : 'conflict'
    },
    compare(event) {
      const { session_id, seq } = event.header
      const isTaken = selectPlace.get(session_id ?? '', seq ?? 0) === 1
      return isTaken && !isSame(event) ? 'conflict' : 'repeat'
    },
    lastSeq: (sessionId) => selectLast.get(sessionId) ?? 0,
  }
}
