/**
 * From an event to the rows that show what it changed.
 *
 * Each event is projected once, when it is new to the ledger, and in the order of its session. A handler looks at
 * nothing but the event and the rows, so that the same events give the same rows, however they were batched.
 * Events that no handler names (the CLI's lines but its results, types of a newer Drover) are recorded and change
 * no row; their payload is not even parsed.
 */
import type { EventHeader, RawEvent } from '../core/envelope.ts'
import type { Tables } from '../ledger/tables.ts'
import { isAction, noteAction } from './action-projection.ts'
import { AGENT_HANDLERS } from './agent-projection.ts'
import type { AgentHeader, Effects, Handler, SessionHeader } from './handler.ts'
import { onResult } from './line-projection.ts'
import { MESSAGE_HANDLERS } from './message-projection.ts'
import { SESSION_HANDLERS } from './session-projection.ts'
import { TASK_HANDLERS } from './task-projection.ts'

/** One look per event, whatever its type; a map, because the names come from outside. */
const HANDLERS = new Map<string, Handler<EventHeader>>([
  ...Object.entries(TASK_HANDLERS),
  ...Object.entries(MESSAGE_HANDLERS),
  ...Object.entries(SESSION_HANDLERS).map(([type, handler]) => [type, ofSession(handler)] as const),
  ...Object.entries(AGENT_HANDLERS).map(([type, handler]) => [type, ofAgent(handler)] as const),
])
const RESULT = ofAgent(onResult)
/** They are actions, and change no other row: what becomes of a worktree is in its repository. */
const OF_WORKTREES = 'drover.worktree.'

/** Projects one new event. Throws what the ledger throws, and on a payload that is not what its type says. */
export function project(tables: Tables, event: RawEvent, effects: Effects): void {
  const { header, payloadText } = event
  const { type } = header
  if (
    header.session_id === null &&
    !Object.hasOwn(TASK_HANDLERS, type) &&
    !Object.hasOwn(MESSAGE_HANDLERS, type) &&
    !type.startsWith(OF_WORKTREES)
  )
    throw new Error(`An event ${type} belongs to no session and is none of a task, a message or a worktree.`)
  const handler = HANDLERS.get(type) ?? (isResult(type) ? RESULT : undefined)
  if (handler === undefined && !isAction(type)) return
  const payload: any = JSON.parse(payloadText)
  handler?.(tables, header, payload, effects)
  noteAction(tables, header, payload)
}

function ofSession(handler: Handler<SessionHeader>): Handler<EventHeader> {
  return (tables, header, payload, effects) => {
    handler(tables, sessionHeader(header), payload, effects)
  }
}

function ofAgent(handler: Handler<AgentHeader>): Handler<EventHeader> {
  return (tables, header, payload, effects) => {
    const { agent_id } = header
    if (agent_id === null) throw new Error(`An event ${header.type} names no agent.`)
    handler(tables, { ...sessionHeader(header), agent_id }, payload, effects)
  }
}

function sessionHeader(header: EventHeader): SessionHeader {
  const { session_id, seq } = header
  if (session_id === null || seq === null) throw new Error(`An event ${header.type} belongs to no session.`)
  return { ...header, session_id, seq }
}

function isResult(type: string): boolean {
  return type === 'claude.result' || type.startsWith('claude.result.')
}
