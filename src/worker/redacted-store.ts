/**
 * A store whose own events hold no secret: messages, ends of standard error, command lines, prompts. Nor does what the
 * hash keeps of them.
 */
import type { OwnEvent } from '../queue/own-event.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { SecretKeeper } from '../telemetry/secret-keeper.ts'

/** Fields of the hash that are read out to people, as JSON. */
const TOLD = new Set(['ended', 'killed'])

/** Lines come redacted already: in their order, from the first one on (`session/redact-line.ts`). */
export function redactedStore(store: SessionStore, secrets: Pick<SecretKeeper, 'json'>): SessionStore {
  const redacted = (events: readonly OwnEvent[]): OwnEvent[] =>
    events.map((event) => {
      const text = JSON.stringify(event.payload)
      const without = secrets.json(text)
      return without === text ? event : { ...event, payload: JSON.parse(without) as object }
    })
  const redactedSet = (set: Readonly<Record<string, string | number>>): Record<string, string | number> =>
    Object.fromEntries(
      Object.entries(set).map(([field, value]) => [
        field,
        typeof value === 'string' && TOLD.has(field) ? secrets.json(value) : value,
      ]),
    )
  return {
    ...store,
    change: (session, change) =>
      store.change(session, {
        ...change,
        events: redacted(change.events),
        ...(change.set === undefined ? {} : { set: redactedSet(change.set) }),
      }),
    start: (session, start) => store.start(session, { ...start, events: redacted(start.events) }),
    close: (agent, events) => store.close(agent, redacted(events)),
  }
}
