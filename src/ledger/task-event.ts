/**
 * Table `task_event`: events that belong to no session, of tasks and of messages. The same text is the same event.
 *
 * `after_event_id` gives them their place among the session events, for whoever projects all of them again. So a
 * session event that came before must be in its table by then, and one that comes later must not.
 */
import { composeEvent, type RawEvent } from '../core/envelope.ts'
import { sha256 } from '../core/ids.ts'
import type { Db } from './database.ts'

export interface TaskEventTable {
  /** False for a repeat, which changes nothing. */
  append(subjectId: string, event: RawEvent): boolean
}

export function createTaskEventTable(db: Db): TaskEventTable {
  const insert = db.prepare(`
    INSERT INTO task_event (digest, task_id, ts, type, payload, after_event_id)
    VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(event_id), 0) FROM session_event))
    ON CONFLICT (digest) DO NOTHING`)

  return {
    append(subjectId, { header, payloadText }) {
      const digest = sha256(composeEvent(header, payloadText))
      return insert.run(digest, subjectId, header.ts, header.type, payloadText).changes === 1
    },
  }
}
