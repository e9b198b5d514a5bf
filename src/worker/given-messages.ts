/** The messages that one agent was given, and what it has made of them as far as its CLI says so. */
import type { MessageDelivered } from '../core/events.ts'
import type { MessageProgress } from '../core/talk-facts.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { WaitingMessage } from '../queue/talk.ts'
import { userMessage } from '../session/message.ts'
import { isLost } from './first-words.ts'

export interface GivenMessages {
  /** Gives it, in their order, those that it has not got yet. */
  give(messages: readonly WaitingMessage[]): void
  /** It has started, and with that taken up what it was given as its prompt. */
  begin(): void
  /** What its lines say, all in all. */
  observe(said: ReadonlyMap<string, MessageProgress>): void
  /** Those that it has taken up, and those that its conversation has, as far as this was not asked before. */
  news(): { readonly started: string[]; readonly done: string[] }
  /** Those that its conversation has, asked before or not. */
  done(): string[]
  all(): string[]
  /** Those of which its CLI has said nothing. */
  silent(): string[]
  /** Those of them that are not told as taken up. */
  unsaid(): string[]
  /** Of these nothing is news any more, whatever the CLI says later. */
  countAsStarted(ids: readonly string[]): void
  /** That the agent has taken these up; not `confirmed`: by its turn's end, and not by its word. */
  deliveries(ids: readonly string[], confirmed?: boolean): OwnEvent[]
}

/**
 * @param prompt messages that are its prompt
 * @param input writes to its standard input
 */
export function createGivenMessages(prompt: readonly string[], input: (line: string) => void): GivenMessages {
  const given = new Set(prompt)
  const asRecorded = new Set<string>()
  const told = { started: new Set<string>(), done: new Set<string>() }
  let withStart: readonly string[] = []
  let said: ReadonlyMap<string, MessageProgress> = new Map()

  function progress(): ReadonlyMap<string, MessageProgress> {
    const all = new Map<string, MessageProgress>(withStart.map((id) => [id, 'started']))
    for (const [id, how] of said) if (given.has(id)) all.set(id, how)
    return all
  }

  const done = (): string[] => [...progress()].filter(([, how]) => how === 'done').map(([id]) => id)

  function silent(): string[] {
    const heardOf = progress()
    return [...given].filter((id) => !heardOf.has(id))
  }

  return {
    give(messages) {
      for (const message of messages) {
        const { message_id: id, text, unredacted, priority } = message
        if (given.has(id)) continue
        given.add(id)
        if (isLost(message)) asRecorded.add(id)
        input(userMessage(unredacted ?? text, id, priority))
      }
    },
    begin() {
      withStart = prompt
    },
    observe(facts) {
      said = facts
    },
    news: () => ({
      started: [...progress().keys()].filter((id) => isFresh(told.started, id)),
      done: done().filter((id) => isFresh(told.done, id)),
    }),
    done,
    all: () => [...given],
    silent,
    unsaid: () => silent().filter((id) => !told.started.has(id)),
    countAsStarted(ids) {
      for (const id of ids) told.started.add(id)
    },
    deliveries: (ids, confirmed = true) => deliveries(ids, confirmed, asRecorded),
  }
}

/** As `GivenMessages` has it, of whatever agent; `asRecorded`: those that it did not get as they were given. */
export function deliveries(
  ids: readonly string[],
  confirmed = true,
  asRecorded: ReadonlySet<string> = new Set(),
): OwnEvent[] {
  return ids.map((id) => {
    const payload: MessageDelivered = {
      message_id: id,
      ...(confirmed ? {} : { confirmed: false }),
      ...(asRecorded.has(id) ? { redacted: true } : {}),
    }
    return { type: 'drover.message.delivered', payload }
  })
}

function isFresh(seen: Set<string>, id: string): boolean {
  if (seen.has(id)) return false
  seen.add(id)
  return true
}
