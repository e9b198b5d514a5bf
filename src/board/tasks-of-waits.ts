/** Which sessions a session waits for by way of tasks, as the ledger has it. */
import type { LedgerReader } from '../ledger/ledger.ts'
import type { TasksOfWaits } from '../producer/waits.ts'

/** Of more tasks the wait is let be: it costs its timeout at most. */
const MOST_TASKS = 1000

export function createTasksOfWaits(ledger: Pick<LedgerReader, 'sessions' | 'tasks'>): TasksOfWaits {
  return {
    waitingFor: (sessionId) => ledger.sessions.get(sessionId)?.waiting_for ?? [],
    sessionsOf(taskIds) {
      const seen = new Set(taskIds)
      const sessions: string[] = []
      // A set is gone through with what is added meanwhile.
      for (const id of seen) {
        if (seen.size > MOST_TASKS) return []
        const task = ledger.tasks.get(id)
        if (task === null || task.status === 'completed') continue
        if (task.session_id !== null) sessions.push(task.session_id)
        for (const before of task.waiting_for) seen.add(before)
      }
      return sessions
    },
  }
}
