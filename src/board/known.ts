/** What a request names must exist; where it does not, the answer says what may have been meant. */
import { DroverError, type ErrorCode } from '../core/errors.ts'
import { nearest } from '../core/ids.ts'
import type { AgentView, LedgerReader, TaskView } from '../ledger/ledger.ts'

/** Names are compared with so many of the newest. */
const COMPARED = 200

/** `session_not_found`; says also where the id is that of an agent. */
export function sessionNotFound(ledger: LedgerReader, sessionId: string): DroverError {
  const agent = ledger.agents.get(sessionId)
  const known = ledger.sessions.list({ limit: COMPARED }).rows.map((row) => row.session_id)
  const hint =
    agent === null
      ? (ofType(ledger, sessionId) ?? meant(sessionId, known))
      : ` It is an agent of the session ${agent.session_id}.`
  return notFound('session_not_found', 'session', sessionId, hint, { session_id: sessionId })
}

/** Throws `agent_not_found`. */
export function requireAgent(ledger: LedgerReader, agentId: string): AgentView {
  const found = ledger.agents.get(agentId)
  if (found !== null) return found
  const known = ledger.agents.list({ limit: COMPARED }).rows.map((row) => row.agent_id)
  const hint = ofType(ledger, agentId) ?? meant(agentId, known)
  throw notFound('agent_not_found', 'agent', agentId, hint, { agent_id: agentId })
}

/** Throws `task_not_found`. `others`: tasks that exist beside those of the ledger. */
export function requireTask(ledger: LedgerReader, taskId: string, others: readonly string[] = []): TaskView {
  const found = ledger.tasks.get(taskId)
  if (found !== null) return found
  const known = ledger.tasks.list({ limit: COMPARED }).rows.map((row) => row.task_id)
  throw notFound('task_not_found', 'task', taskId, meant(taskId, [...others, ...known]), { task_id: taskId })
}

/** Where the name of an agent type stands for one of its agents. */
function ofType(ledger: LedgerReader, name: string): string | null {
  const [newest] = ledger.sessions.list({ limit: 1, agentType: name }).rows
  if (newest === undefined) return null
  return ` It is an agent type; its newest session is ${newest.session_id} (${newest.status}).`
}

function meant(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === null ? '' : ` Did you mean "${near}"?`
}

function notFound(code: ErrorCode, noun: string, name: string, hint: string, details: object): DroverError {
  return new DroverError(code, `There is no ${noun} "${name}".${hint}`, { ...details })
}
