/** What Redis has of the messages, as far as the ledger knows it: for the write-back after Redis lost data. */
import type { Db } from './database.ts'

/** A message that waits, or was taken lately. */
export interface OpenMail {
  readonly message_id: string
  readonly thread_id: string
  readonly in_reply_to: string | null
  readonly broadcast_id: string | null
  readonly from_session: string | null
  readonly from_agent_type: string | null
  readonly to_session: string | null
  readonly to_agent_type: string | null
  readonly text: string
  /** JSON */
  readonly actor: string
  readonly created_at: string
  readonly delivered_to: string | null
  readonly delivered: 0 | 1
  readonly open: 0 | 1
  /** Grows with the order in which they were sent. */
  readonly place: number
}

export interface OpenMails {
  /** Those behind `after` (a place), oldest first, at most `limit`; taken ones only where it was at or after `since`. */
  page(after: number, since: string, limit: number): readonly OpenMail[]
}

export function createOpenMails(db: Db): OpenMails {
  const select = db.prepare<[{ after: number; since: string; limit: number }], OpenMail>(`
    SELECT message_id, thread_id, in_reply_to, broadcast_id, from_session, from_agent_type, to_session, to_agent_type,
      text, actor, created_at, delivered_to, status = 'delivered' AS delivered,
      status IN ('waiting', 'delivered') AS open, rowid AS place
    FROM agent_message
    WHERE rowid > @after AND (status IN ('waiting', 'delivered') OR completed_at >= @since)
    ORDER BY rowid LIMIT @limit`)

  return { page: (after, since, limit) => select.all({ after, since, limit }) }
}
