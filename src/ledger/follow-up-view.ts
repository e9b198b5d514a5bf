/** What was said to a session and what it asked, for its page; and what Redis must have of it. */
import type { SessionMessageView, SessionQuestionView } from '../core/follow-up-view.ts'
import type { Db } from './database.ts'
import type { FollowUpViews } from './ledger.ts'

const MOST = 200

type QuestionRow = Omit<SessionQuestionView, 'input' | 'open'> & {
  readonly input: string
  readonly open: 0 | 1
}

export function createFollowUpViews(db: Db): FollowUpViews {
  const selectMessages = db.prepare<[string, number], SessionMessageView>(`
    SELECT m.message_id, m.text, m.priority, m.actor_via, m.actor_name, m.seq, m.sent_at, m.delivered_at, m.agent_id,
      CASE WHEN m.delivered_at IS NOT NULL THEN 'delivered' WHEN s.completed_at IS NULL THEN 'waiting'
        ELSE 'undelivered' END AS status
    FROM session_message AS m LEFT JOIN agent_sessions AS s USING (session_id)
    WHERE m.session_id = ? ORDER BY m.seq DESC LIMIT ?`)
  const selectQuestions = db.prepare<[string, number], QuestionRow>(`
    SELECT request_id, agent_id, tool_name, input, description, asked_at, until, closed_at IS NULL AS open, behavior,
      message, answered_at, actor_via, actor_name
    FROM session_question WHERE session_id = ? ORDER BY asked_at DESC, request_id LIMIT ?`)

  return {
    messages: (sessionId) => selectMessages.all(sessionId, MOST).toReversed(),
    questions: (sessionId) =>
      selectQuestions
        .all(sessionId, MOST)
        .toReversed()
        .map((row) => ({ ...row, input: JSON.parse(row.input) as unknown, open: row.open === 1 })),
  }
}
