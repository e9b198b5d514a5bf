/** From a session's hash to the answers of CONTRACT §3. */
import type { CompletedAnswer, StartedAnswer } from '../core/answer.ts'
import type { SessionRecord } from '../queue/session-store.ts'

export function startedAnswer(record: SessionRecord): StartedAnswer {
  return {
    success: true,
    agent_id: record.agentId ?? '',
    session_id: record.sessionId,
    agent_type: record.agentType,
    task_id: record.request.task_id ?? null,
    status: record.state,
    pid: record.pid,
    created_at: record.createdAt,
    started_at: record.startedAt ?? record.createdAt,
    expected_completion: expectedCompletion(record.startedAt ?? record.createdAt, record.timeoutSeconds),
    timeout_seconds: record.timeoutSeconds,
  }
}

/** @param record of an ended session */
export function completedAnswer(record: SessionRecord): CompletedAnswer {
  const { ended } = record
  if (ended === null) throw new Error(`session ${record.sessionId} has not ended`)
  const answer: CompletedAnswer = {
    success: ended.status === 'completed',
    agent_id: record.agentId,
    session_id: record.sessionId,
    agent_type: record.agentType,
    task_id: record.request.task_id ?? null,
    status: ended.status,
    pid: record.pid,
    created_at: record.createdAt,
    started_at: record.startedAt,
    expected_completion:
      record.startedAt === null ? null : expectedCompletion(record.startedAt, record.timeoutSeconds),
    timeout_seconds: record.timeoutSeconds,
    completed_at: ended.completed_at,
    output: ended.output,
    cost: ended.cost_micros / 1e6,
    usage: ended.usage,
    num_turns: ended.num_turns,
    duration_ms: ended.duration_ms,
    restarts: ended.restarts,
    permission_denials: ended.permission_denials,
  }
  if (answer.success) return answer
  return {
    ...answer,
    error: 'session_failed',
    failure_reason: ended.failure_reason ?? 'agent_error',
    message: ended.message ?? 'The session failed.',
  }
}

function expectedCompletion(startedAt: string, timeoutSeconds: number): string {
  return new Date(Date.parse(startedAt) + timeoutSeconds * 1000).toISOString()
}
