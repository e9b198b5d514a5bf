/**
 * What a reader of a session's events got live and has not taken yet: in order, each event once, and bounded.
 * Whatever it cannot hold, or has never seen, is only remembered as a `seq` that exists: the ledger has the event.
 */
export interface LiveEvent {
  readonly seq: number
  readonly text: string
}

export interface LiveInbox {
  /** Takes an event in; repeats and events out of order are left to the ledger. */
  push(event: LiveEvent): void
  /** Notes that an event with this `seq` exists. */
  expect(seq: number): void
  /** The event after `cursor`, where it is here. What is at or before `cursor` is dropped. */
  take(cursor: number): LiveEvent | null
  /** After `take(cursor)` gave nothing: is an event known that only the ledger can give? */
  misses(cursor: number): boolean
}

/** Together with the next bound: what a reader that does not read may cost us. */
const MAX_EVENTS = 1000
/** Characters. A single line may have 16 MB: it is kept when it is alone. */
const MAX_CHARS = 4 * 1024 * 1024

export function createLiveInbox(maxEvents: number = MAX_EVENTS, maxChars: number = MAX_CHARS): LiveInbox {
  let held: LiveEvent[] = []
  let chars = 0
  let expected = 0

  const drop = (): void => {
    expected = Math.max(expected, held.at(-1)?.seq ?? 0)
    held = []
    chars = 0
  }

  return {
    push(event) {
      if (event.seq <= (held.at(-1)?.seq ?? 0)) return
      const full = held.length >= maxEvents || chars + event.text.length > maxChars
      if (full && held.length > 0) drop()
      held.push(event)
      chars += event.text.length
    },
    expect(seq) {
      expected = Math.max(expected, seq)
    },
    take(cursor) {
      for (let next = held[0]; next !== undefined && next.seq <= cursor + 1; next = held[0]) {
        held.shift()
        chars -= next.text.length
        if (next.seq === cursor + 1) return next
      }
      return null
    },
    misses(cursor) {
      return Math.max(expected, held.at(-1)?.seq ?? 0) > cursor
    },
  }
}
