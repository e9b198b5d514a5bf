/** Table `recorder_fault`: stream entries that could not be read or projected, kept whole. */
import { sha256 } from '../core/ids.ts'
import type { Db } from './database.ts'

export interface RecorderFault {
  readonly streamId: string
  readonly sessionId: string | null
  readonly reason: string
  readonly text: string
  readonly ts: string
}

export interface RecorderFaultTable {
  /** False for a repeat. */
  add(fault: RecorderFault): boolean
  count(): number
  /** The sessions that have one. */
  sessionIds(): readonly string[]
}

export function createRecorderFaultTable(db: Db): RecorderFaultTable {
  const insert = db.prepare(`
    INSERT INTO recorder_fault (stream_id, digest, session_id, reason, text, recorded_at)
    VALUES (@streamId, @digest, @sessionId, @reason, @text, @ts) ON CONFLICT DO NOTHING`)
  const selectCount = db.prepare<[], number>('SELECT count(*) FROM recorder_fault').pluck()

  const selectSessions = db
    .prepare<[], string>(
      'SELECT DISTINCT session_id FROM recorder_fault WHERE session_id IS NOT NULL ORDER BY 1',
    )
    .pluck()

  return {
    add: (fault) => insert.run({ ...fault, digest: sha256(fault.text) }).changes === 1,
    count: () => selectCount.get() ?? 0,
    sessionIds: () => selectSessions.all(),
  }
}
