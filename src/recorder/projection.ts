/**
 * From an event to the rows that show what it changed.
 *
 * Each event is projected once, when it is new to the ledger, and in the order of its session. A handler looks at
 * nothing but the event and the rows, so that the same events give the same rows, however they were batched.
 * Events that no handler names (the CLI's lines but its results, types of a newer Drover) are recorded and change
 * no row; their payload is not even parsed.
 */
import type { RawEvent } from '../core/envelope.ts'
import type { Tables } from '../ledger/open.ts'
import { AGENT_HANDLERS } from './agent-projection.ts'
import type { AgentHeader, Effects, Handler } from './handler.ts'
import { onLateLine, onResult } from './line-projection.ts'
import { SESSION_HANDLERS } from './session-projection.ts'
import { TASK_HANDLERS } from './task-projection.ts'

/** Projects one new event. Throws what the ledger throws, and on a payload that is not what its type says. */
export function project(tables: Tables, event: RawEvent, effects: Effects): void {
  const { header, payloadText } = event
  const { type, session_id, seq, agent_id } = header
  const run = <Header>(handler: Handler<Header & typeof header>, full: Header & typeof header): void =>
    handler(tables, full, JSON.parse(payloadText), effects)

  const taskHandler = TASK_HANDLERS[type]
  if (taskHandler !== undefined) return run(taskHandler, header)

  if (session_id === null || seq === null) {
    throw new Error(`An event ${type} belongs to no session and is none of a task.`)
  }
  const sessionHandler = SESSION_HANDLERS[type]
  if (sessionHandler !== undefined) return run(sessionHandler, { ...header, session_id, seq })

  const agentHandler = AGENT_HANDLERS[type] ?? (isResult(type) ? onResult : undefined)
  const lateLine = header.late === true && header.line !== null
  if (agentHandler === undefined && !lateLine) return
  if (agent_id === null) throw new Error(`An event ${type} names no agent.`)
  const ofAgent: AgentHeader = { ...header, session_id, seq, agent_id }
  if (lateLine) onLateLine(tables, ofAgent, effects)
  if (agentHandler !== undefined) run(agentHandler, ofAgent)
}

function isResult(type: string): boolean {
  return type === 'claude.result' || type.startsWith('claude.result.')
}
