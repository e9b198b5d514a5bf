import type { OwnEventType } from '../core/envelope.ts'

/** An event of Drover's own, before it has a `seq`. */
export interface OwnEvent {
  readonly type: OwnEventType
  readonly payload: object
}

/** Events as the session script takes them: line ('' for an own event), time, type and payload of each. */
export function eventArgs(events: readonly OwnEvent[]): string[] {
  const ts = new Date().toISOString()
  return events.flatMap((event) => ['', ts, event.type, JSON.stringify(event.payload)])
}
