/**
 * What is said to one agent, and what it asks: brings messages, interrupts and answers to the CLI's standard input,
 * and what the CLI says of them to the session's hash. It also decides when the agent has heard everything, so that
 * its input may be closed.
 *
 * A message is kept in Redis until the agent's conversation has it, as the CLI's lines say. When this worker dies
 * anywhere in between, the next agent is given what its conversation does not have (`undelivered.ts`), under the same
 * uuid. Interrupts and answers mean this agent: with it they are over.
 *
 * While a person is waited for (`waiting_input`) neither a stall nor the session's timeout counts. A question that
 * nobody answers in time is denied; an interrupted agent that no message follows is ended.
 */
import type { Clock } from '../core/clock.ts'
import type { AgentInterrupted, SessionResumed, SessionWaitingInput } from '../core/events.ts'
import type { StreamFacts } from '../core/outcome.ts'
import type { SessionState } from '../core/state.ts'
import { NO_TALK, observeTalk, type TalkFacts } from '../core/talk-facts.ts'
import type { GuardedAgent } from '../guard/client.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { Said } from '../queue/session-record.ts'
import type { AgentRef, SessionStore, TalkChange } from '../queue/session-store.ts'
import type { Talk, TalkStore } from '../queue/talk.ts'
import type { SpoolLine } from '../session/line.ts'
import { interruptRequest } from '../session/message.ts'
import { createAlarm } from './alarm.ts'
import { createGivenMessages } from './given-messages.ts'
import { createQuestions } from './questions.ts'
import { createStopwatch } from './stopwatch.ts'

/** How long a person is waited for, in milliseconds. */
export interface Patience {
  /** For the answer to a question. */
  readonly permissionMs: number
  /** For a message after an interrupt. */
  readonly messageMs: number
}

export interface CorrespondenceParts {
  readonly store: Pick<SessionStore, 'change'>
  readonly talk: Pick<TalkStore, 'read' | 'answer'>
  readonly clock: Clock
  readonly agent: AgentRef
  readonly guarded: Pick<GuardedAgent, 'input' | 'onSample' | 'exited'>
  /** Messages that the agent was given as its prompt. */
  readonly given: readonly string[]
  /** Waits for people before this agent, in milliseconds. */
  readonly waitedMs: number
  readonly patience: Patience
  /** A message that the CLI says nothing of for so long after its last turn is taken for delivered. */
  readonly silenceMs: number
  /** Redis refused what cannot be left out: the agent must end. */
  readonly onFailure: (error: unknown) => void
}

export interface Correspondence {
  /** The CLI has confirmed its start, and the session is `running`. */
  begin(): void
  /** What stands in the session's hash, at each beat and ring. */
  hear(said: Said): void
  /** Lines were taken. */
  observe(lines: readonly SpoolLine[]): void
  /** What the lines said of the agent; to be told after `observe`. */
  settle(facts: StreamFacts, isSettled: boolean): void
  /** A person is waited for. */
  isWaiting(): boolean
  /** Of this agent and those before it, up to now. */
  waitedMs(): number
  /** The agent has ended; resolves with what its lines said last. */
  finish(): Promise<LastSaid>
}

/** What is left to write of an agent that has ended, together with its end. */
export interface LastSaid {
  /** All waits for people, where it ends in one that ends with it; null else. A message is waited for all the same. */
  readonly waitedMs: number | null
  /** Messages that it had taken up, and those that its conversation has. */
  readonly talk: Pick<TalkChange, 'started' | 'done'>
  /** That it had taken them up, where that is not on the stream yet. */
  readonly events: readonly OwnEvent[]
}

/** A change of the session's hash, with what is recorded of it. */
interface News {
  readonly to: SessionState
  readonly set: Readonly<Record<string, string | number>>
  readonly talk: TalkChange
  readonly events: readonly OwnEvent[]
}

/** @param onDone called once: the agent has nothing more to do or to hear, and its input may be closed */
export function createCorrespondence(parts: CorrespondenceParts, onDone: () => void): Correspondence {
  const { store, talk, clock, agent, guarded, patience } = parts
  let facts: TalkFacts = NO_TALK
  let begun = false
  let over = false
  let heard: Said = { version: -1, interrupt: null }
  /** Redis may have more than `kept`. */
  let isUnread = false
  let kept: Talk = { messages: [], questions: [], answers: new Map() }
  let interruptId: string | null = null
  let confirmedInterrupt: string | null = null
  /** Somebody has stopped the turn that runs, or ran last. */
  let stopped = false
  /** The agent's last turn is over, and it has nothing to do; since when. */
  let idleSince: number | null = null
  /** Its last turn was stopped by a person, whose message is waited for; since when. */
  let expectingSince: number | null = null
  /** It takes no message any more. */
  let isClosed = false
  let state: SessionState = 'running'
  let running: Promise<void> = Promise.resolve()
  let queued = false
  let isThere = true
  /** The last look at its process. */
  let seenAt = Number.NEGATIVE_INFINITY

  const input = (line: string): void => guarded.input(line)
  const alarm = createAlarm(clock, wake)
  const waited = createStopwatch(clock, parts.waitedMs)
  const messages = createGivenMessages(parts.given, input)
  const questions = createQuestions({
    talk,
    clock,
    agent,
    input,
    waitMs: patience.permissionMs,
    alarm,
    onStop: () => (stopped = true),
  })
  void guarded.exited.then(() => (isThere = false))
  guarded.onSample(() => {
    seenAt = clock.monotonic()
    if (idleSince !== null) wake()
  })

  function wake(): void {
    if (queued || over || !begun) return
    queued = true
    running = running
      .then(async () => {
        queued = false
        for (let isMore = true; isMore;) isMore = await step()
      })
      .catch(parts.onFailure)
  }

  /**
   * One thing, the most urgent one; answers whether there may be more. It decides by what is so now and waits for Redis
   * once, at its end: what came meanwhile (a whole turn, a question, an interrupt) is seen by the step that follows, and
   * nothing is decided by what was so before.
   */
  async function step(): Promise<boolean> {
    if (over) return false
    if (isUnread) return await read()
    messages.give(kept.messages)
    interrupt()
    questions.passOn(kept.answers)
    const news = whatIsNew()
    if (news !== null) return await write(news)
    const late = questions.late()
    if (late !== null) return await questions.deny(late)
    return idleSince !== null && (await rest())
  }

  async function read(): Promise<true> {
    isUnread = false
    kept = await talk.read(agent.sessionId)
    return true
  }

  function interrupt(): void {
    const asked = heard.interrupt
    if (asked === null || asked.epoch !== agent.epoch || asked.request_id === interruptId) return
    interruptId = asked.request_id
    stopped = true
    input(interruptRequest(interruptId))
  }

  /** That the CLI has taken the interrupt, said once. */
  function interrupts(): OwnEvent[] {
    if (interruptId === null || interruptId === confirmedInterrupt || !facts.confirmed.has(interruptId))
      return []
    confirmedInterrupt = interruptId
    const payload: AgentInterrupted = { request_id: interruptId }
    return [{ type: 'drover.agent.interrupted', payload }]
  }

  const isWaitedFor = (): boolean => questions.hasOpen() || expectingSince !== null

  /** What the lines said, and the state that fits; null where Redis has all that. Each is new once. */
  function whatIsNew(): News | null {
    const { started, done } = messages.news()
    const { asked, settled, events: asks } = questions.news()
    const events = [...messages.deliveries(started), ...interrupts(), ...asks]
    // A question in the turn that began with the message that was waited for: its wait has another end.
    const set: Record<string, string | number> = expectingSince === null ? { interrupted_until: '' } : {}
    const waits = isWaitedFor()
    const to: SessionState = waits ? 'waiting_input' : 'running'
    if (waits) waited.start()
    else waited.stop()
    // Where this worker dies, the next one knows it by that.
    if (to !== state && waits) set['waiting_since'] = clock.now().getTime()
    if (to !== state && !waits) {
      const resumed: SessionResumed = { waited_ms: Math.round(waited.totalMs()) }
      set['waited_ms'] = resumed.waited_ms
      set['waiting_since'] = ''
      events.push({ type: 'drover.session.resumed', payload: resumed })
    }
    // A turn has begun in the moment in which it was to take no more messages.
    if (isClosed && idleSince === null) set['inbox_closed'] = ''
    if (confirmedInterrupt !== null) set['interrupt_done'] = confirmedInterrupt
    const isNews =
      to !== state ||
      events.length > 0 ||
      set['inbox_closed'] !== undefined ||
      [started, done, settled].some((ids) => ids.length > 0)
    return isNews ? { to, set, talk: { started, done, asked, settled }, events } : null
  }

  async function write(news: News): Promise<boolean> {
    if (news.set['inbox_closed'] !== undefined) isClosed = false
    const changed = await store.change(agent, { from: ['running', 'waiting_input'], ...news })
    if (changed.ok) state = news.to
    // It is ended, or somebody else's: whoever noticed that ends the agent too.
    else if (changed.refused !== 'state') over = true
    return changed.ok
  }

  /** The agent's turn is over, and nothing is left that it has been given. */
  async function rest(): Promise<boolean> {
    if (questions.hasOpen() || isOnItsWay()) return false
    if (stopped && expectingSince === null) return await write(expectation())
    if (expectingSince !== null) {
      const leftMs = patience.messageMs - (clock.monotonic() - expectingSince)
      if (leftMs > 0) {
        alarm.setIn(leftMs)
        return false
      }
    }
    if (!isClosed) return await close()
    over = true
    onDone()
    return false
  }

  /** A person has stopped the turn: what they want instead is waited for. */
  function expectation(): News {
    expectingSince = clock.monotonic()
    waited.start()
    const until = new Date(clock.now().getTime() + patience.messageMs).toISOString()
    const payload: SessionWaitingInput = { reason: 'interrupted', until }
    return {
      to: 'waiting_input',
      set: {
        inbox_closed: '',
        interrupted_until: Date.parse(until),
        ...(state === 'waiting_input' ? {} : { waiting_since: clock.now().getTime() }),
      },
      talk: {},
      events: [{ type: 'drover.session.waiting_input', payload }],
    }
  }

  /** From now on it takes no message. Its last turn is over, so its conversation has what it was given. */
  async function close(): Promise<true> {
    const unsaid = messages.unsaid()
    const closed = await store.change(agent, {
      close: true,
      talk: { done: messages.all() },
      events: messages.deliveries(unsaid, false),
    })
    // A message came in this moment: it is read, and given.
    if (!closed.ok && closed.refused === 'waiting') isUnread = true
    else isClosed = true
    // A CLI that says it later than this was waited for has nothing new to say.
    if (closed.ok) messages.countAsStarted(unsaid)
    return true
  }

  /** Given, and the CLI has not said that it took it up: not for long, where it has nothing else to do. */
  function isOnItsWay(): boolean {
    if (messages.silent().length === 0) return false
    const now = clock.monotonic()
    const until = (idleSince ?? now) + parts.silenceMs
    if (until > now) alarm.setIn(until - now)
    // Silence tells something of a process that is there: the end of one that is not may be on its way to us.
    return until > now || !isThere || seenAt < until
  }

  /** Of an agent that has ended, before the step that would have said it: that it was stopped, or that a wait is over. */
  function whatIsLeft(): News | null {
    if (idleSince !== null && stopped && !isWaitedFor()) return expectation()
    return state === 'waiting_input' && !isWaitedFor() ? whatIsNew() : null
  }

  function beginTurn(): void {
    idleSince = null
    if (expectingSince !== null) stopped = false
    expectingSince = null
    wake()
  }

  return {
    begin() {
      begun = true
      messages.begin()
      wake()
    },
    hear(said) {
      const isNews = said.version !== heard.version
      const isInterrupt = said.interrupt?.request_id !== heard.interrupt?.request_id
      isUnread ||= isNews
      heard = said
      if (isNews || isInterrupt) wake()
    },
    observe(lines) {
      const before = facts
      for (const { message } of lines) {
        facts = observeTalk(facts, message)
        // A turn has begun: what was stopped was another one.
        if (message?.['type'] === 'system' && message['subtype'] === 'init') beginTurn()
      }
      if (facts === before) return
      messages.observe(facts.messages)
      questions.observe(facts.questions)
      wake()
    },
    settle({ lastResult }, isSettled) {
      if (!isSettled) {
        if (idleSince !== null) beginTurn()
        return
      }
      if (idleSince !== null) return
      idleSince = clock.monotonic()
      // A turn that came to its end by itself was not stopped any more.
      stopped &&= lastResult?.terminalReason?.startsWith('aborted_') === true && lastResult.isError
      wake()
    },
    isWaiting: waited.isRunning,
    waitedMs: waited.totalMs,
    async finish() {
      over = true
      await running
      alarm.stop()
      const news = whatIsLeft()
      if (news !== null) await write(news)
      const { started } = messages.news()
      const isAsking = waited.isRunning() && expectingSince === null
      return {
        waitedMs: isAsking ? waited.totalMs() : null,
        talk: { started, done: messages.done() },
        events: messages.deliveries(started),
      }
    },
  }
}
