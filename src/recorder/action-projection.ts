/**
 * Events that name an actor → `actions`. What follows from an action (a kill's signal, the session's end) names the
 * actor too, but is no further action.
 */
import type { Actor, EventHeader } from '../core/envelope.ts'
import type { Tables } from '../ledger/tables.ts'

/** Of the payloads of `core/events.ts`, what is read here. */
interface Asked {
  readonly actor?: Partial<Actor> | null
  readonly task_id?: string | null
  /** Of a worktree: its events belong to no session, since that has ended. */
  readonly session_id?: string
  readonly request?: { readonly task_id?: string }
  readonly restart_of?: string | null
  readonly reason?: string
  readonly force?: boolean
  readonly run?: number
  readonly added_dependencies?: readonly string[]
}

const ACTIONS = new Map<string, (asked: Asked) => string>([
  ['drover.session.accepted', ({ restart_of }) => (restart_of ? 'restart' : 'spawn')],
  ['drover.session.restarting', () => 'restart'],
  ['drover.session.cancel_requested', ({ force }) => (force === true ? 'force_kill' : 'kill')],
  ['drover.session.interrupt_requested', () => 'interrupt'],
  ['drover.task.pending', ofPending],
  ['drover.task.ended', () => 'cancel_task'],
  ['drover.roadmap.priority', () => 'name_priority'],
  ['drover.message.sent', () => 'send'],
  ['drover.message.answered', () => 'answer'],
  ['drover.worktree.merged', () => 'merge_worktree'],
  ['drover.worktree.removed', ({ force }) => (force === true ? 'force_clean_worktree' : 'clean_worktree')],
])

function ofPending({ run = 0, added_dependencies }: Asked): string {
  if (added_dependencies !== undefined) return 'add_dependencies'
  return run > 0 ? 'retry_task' : 'add_task'
}

export function isAction(type: string): boolean {
  return ACTIONS.has(type)
}

/** Adds a row where somebody asked for it; a restart after a crash, for one, nobody did. */
export function noteAction(tables: Tables, header: EventHeader, payload: Asked | null): void {
  const name = ACTIONS.get(header.type)
  if (name === undefined || payload === null || typeof payload.actor !== 'object' || payload.actor === null)
    return
  tables.actions.add({
    at: header.ts,
    action: name(payload),
    actor_via: textOrNull(payload.actor.via),
    actor_name: textOrNull(payload.actor.name),
    session_id: header.session_id ?? textOrNull(payload.session_id),
    agent_id: header.agent_id,
    task_id: textOrNull(payload.task_id ?? payload.request?.task_id),
    agent_type: header.agent_type,
    detail: textOrNull(payload.reason),
    seq: header.seq,
    event_type: header.type,
  })
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
