/** What a ledger's file says of itself, read without changing it. */
import { statSync } from 'node:fs'
import { openDatabaseReadOnly } from './database.ts'
import { schemaVersion } from './migrate.ts'

export interface FileFacts {
  readonly bytes: number
  readonly schema: number
  /** The stream that it records; null in one that nothing was recorded into. */
  readonly streamKey: string | null
  /** How far it was recorded: an id of the event stream. */
  readonly position: string | null
  readonly sessions: number
  readonly events: number
}

/** @throws SqliteError where it is no ledger */
export function readFileFacts(path: string): FileFacts {
  const db = openDatabaseReadOnly(path)
  try {
    const recorded = db
      .prepare<[], { streamKey: string; position: string }>(
        'SELECT stream_key AS streamKey, stream_id AS position FROM recorder_position',
      )
      .get()
    const count = (table: string): number =>
      db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0
    return {
      bytes: statSync(path).size,
      schema: schemaVersion(db),
      streamKey: recorded?.streamKey ?? null,
      position: recorded?.position ?? null,
      sessions: count('agent_sessions'),
      events: count('session_event') + count('task_event'),
    }
  } finally {
    db.close()
  }
}
