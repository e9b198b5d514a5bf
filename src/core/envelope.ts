/**
 * The event envelope (CONTRACT §9) and its text form.
 *
 * The text is composed by the session script in Redis, header first and `payload` last:
 *
 *     {"session_id":…,"agent_id":…,"agent_type":…,"epoch":…,"seq":…,"line":…,"ts":…,"type":…,"payload":<raw>}
 *
 * Every header value is one of our own ids, numbers or names, so the first `,"payload":` ends the header and the
 * payload can be taken out byte for byte as the CLI printed it, without a parse and a print that would reorder
 * keys or round numbers.
 */
import type { Envelope, EventHeader, Usage } from './event-schema.ts'

export type { Actor, Envelope, EventHeader, Usage } from './event-schema.ts'

/** Drover's own events; `claude.<type>[.<subtype>]` are the CLI's lines. */
export const OWN_EVENTS = [
  'drover.session.accepted',
  'drover.session.claimed',
  'drover.session.restarting',
  'drover.session.paused_limit',
  'drover.session.waiting_input',
  'drover.session.resumed',
  'drover.session.cancel_requested',
  'drover.session.interrupt_requested',
  'drover.session.ended',
  'drover.agent.spawned',
  'drover.agent.started',
  'drover.agent.health',
  'drover.agent.stalled',
  'drover.agent.interrupted',
  'drover.agent.killed',
  'drover.agent.exited',
  'drover.agent.closed',
  'drover.task.pending',
  'drover.task.spawned',
  'drover.task.blocked',
  'drover.task.ended',
  'drover.roadmap.priority',
  'drover.message.sent',
  'drover.message.delivered',
  'drover.message.answered',
  'drover.worktree.merged',
  'drover.worktree.removed',
] as const
export type OwnEventType = (typeof OWN_EVENTS)[number]

/** An event as it came off the wire: the header parsed, the payload still the text that was sent. */
export interface RawEvent {
  readonly header: EventHeader
  readonly payloadText: string
}

const PAYLOAD_MARK = ',"payload":'

/** Splits an event's text. Throws on text that the session script did not compose. */
export function splitEvent(text: string): RawEvent {
  const mark = text.indexOf(PAYLOAD_MARK)
  if (mark < 0 || !text.endsWith('}')) throw new Error('not an event: it has no payload member')
  const header: EventHeader = JSON.parse(`${text.slice(0, mark)}}`)
  return { header, payloadText: text.slice(mark + PAYLOAD_MARK.length, -1) }
}

/** The whole event, parsed. */
export function parseEvent(text: string): Envelope {
  const { header, payloadText } = splitEvent(text)
  return { ...header, payload: JSON.parse(payloadText) as unknown }
}

/** An event's text up to its payload; after the payload a `}` ends it. */
export function openEvent(header: EventHeader): string {
  return `${JSON.stringify(header).slice(0, -1)}${PAYLOAD_MARK}`
}

/** The text form of a header and a payload text, as the session script composes it. */
export function composeEvent(header: EventHeader, payloadText: string): string {
  return `${openEvent(header)}${payloadText}}`
}

export const NO_USAGE: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_creation_tokens: 0,
}
