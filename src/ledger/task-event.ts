/** Table `task_event`: events of tasks that belong to no session. The same text is the same event. */
import { composeEvent, type RawEvent } from '../core/envelope.ts'
import { sha256 } from '../core/ids.ts'
import type { Db } from './database.ts'

export interface TaskEventTable {
  /** False for a repeat, which changes nothing. */
  append(taskId: string, event: RawEvent): boolean
}

export function createTaskEventTable(db: Db): TaskEventTable {
  const insert = db.prepare(`
    INSERT INTO task_event (digest, task_id, ts, type, payload) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (digest) DO NOTHING`)

  return {
    append(taskId, { header, payloadText }) {
      const digest = sha256(composeEvent(header, payloadText))
      return insert.run(digest, taskId, header.ts, header.type, payloadText).changes === 1
    },
  }
}
