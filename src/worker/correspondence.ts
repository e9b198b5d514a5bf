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
import type { Actor } from '../core/envelope.ts'
import { isDroverError } from '../core/errors.ts'
import type {
  AgentInterrupted,
  MessageAnswered,
  MessageDelivered,
  SessionResumed,
  SessionWaitingInput,
} from '../core/events.ts'
import type { StreamFacts } from '../core/outcome.ts'
import type { SessionState } from '../core/state.ts'
import { NO_TALK, observeTalk, type Question, type TalkFacts } from '../core/talk-facts.ts'
import type { GuardedAgent } from '../guard/client.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { Said } from '../queue/session-record.ts'
import type { AgentRef, Changed, SessionStore, TalkChange } from '../queue/session-store.ts'
import type { Answered, OpenQuestion, Talk, TalkStore } from '../queue/talk.ts'
import type { SpoolLine } from '../session/line.ts'
import { interruptRequest, permissionAnswer, userMessage } from '../session/message.ts'

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

/** Until Redis is asked again. */
const AGAIN_MS = 1000
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** Who denies what nobody answered. */
const NOBODY: Actor = { via: 'drover', name: 'permission_wait' }

/** @param onDone called once: the agent has nothing more to do or to hear, and its input may be closed */
export function createCorrespondence(parts: CorrespondenceParts, onDone: () => void): Correspondence {
  const { store, talk, clock, agent, guarded, patience } = parts
  let facts: TalkFacts = NO_TALK
  let begun = false
  let over = false
  let heard: Said = { version: -1, interrupt: null }
  let readVersion = -1
  let kept: Talk = { messages: [], questions: [], answers: new Map() }

  const given = new Set(parts.given)
  const answered = new Set<string>()
  const written = { started: new Set<string>(), done: new Set<string>(), asked: new Set<string>() }
  let interruptId: string | null = null
  let confirmedInterrupt: string | null = null
  /** Somebody has stopped the turn that runs, or ran last. */
  let stopped = false
  /** The agent's last turn is over, and it has nothing to do; since when. */
  let idleSince: number | null = null
  /** Its last turn was stopped by a person, whose message is waited for; since when. */
  let expectingSince: number | null = null
  let waitsSince: number | null = null
  let waited = parts.waitedMs
  let state: SessionState = 'running'
  let running: Promise<void> = Promise.resolve()
  let queued = false
  let alarm: { readonly timer: NodeJS.Timeout; readonly at: number } | null = null

  let isThere = true
  /** The last look at its process. */
  let seenAt = Number.NEGATIVE_INFINITY
  void guarded.exited.then(() => (isThere = false))
  guarded.onSample(() => {
    seenAt = clock.monotonic()
    if (idleSince !== null) wake()
  })

  /** One step at a time; what happens meanwhile is seen by the next one. */
  function wake(): void {
    if (queued || over || !begun) return
    queued = true
    running = running
      .then(async () => {
        queued = false
        await step()
      })
      .catch(parts.onFailure)
  }

  /** One alarm at a time: whoever is woken sets the next one. */
  function wakeIn(ms: number): void {
    const at = clock.monotonic() + ms
    if (alarm !== null && alarm.at <= at) return
    if (alarm !== null) clearTimeout(alarm.timer)
    const timer = setTimeout(
      () => {
        alarm = null
        wake()
      },
      Math.max(1, Math.min(ms, LONGEST_TIMER_MS)),
    )
    alarm = { timer, at }
  }

  async function step(): Promise<void> {
    if (heard.version !== readVersion) {
      const { version } = heard
      kept = await talk.read(agent.sessionId)
      readVersion = version
    }
    if (over) return
    passOn()
    await denyLate()
    await write()
    if (idleSince !== null) await rest()
  }

  /** To the CLI: messages in their order, the interrupt, answers. */
  function passOn(): void {
    for (const { message_id: id, text, priority } of kept.messages) {
      if (given.has(id)) continue
      given.add(id)
      guarded.input(userMessage(text, id, priority))
    }
    const { interrupt } = heard
    if (interrupt !== null && interrupt.epoch === agent.epoch && interrupt.request_id !== interruptId) {
      interruptId = interrupt.request_id
      stopped = true
      guarded.input(interruptRequest(interruptId))
    }
    for (const { requestId } of facts.questions) {
      const answer = kept.answers.get(requestId)
      if (answer === undefined || answered.has(requestId)) continue
      answered.add(requestId)
      stopped ||= answer.interrupt
      guarded.input(permissionAnswer(answer))
    }
  }

  const openQuestions = (): readonly Question[] =>
    facts.questions.filter(({ requestId }) => !answered.has(requestId))

  /** When each question was asked here, by the monotonic clock. */
  const askedAt = new Map<string, number>()

  /** A question that nobody has answered in time. Somebody who was faster by a moment is heard instead. */
  async function denyLate(): Promise<void> {
    for (const question of openQuestions()) {
      const since = askedAt.get(question.requestId)
      if (since === undefined) continue
      const leftMs = patience.permissionMs - (clock.monotonic() - since)
      if (leftMs > 0) {
        wakeIn(leftMs)
        continue
      }
      const denial: MessageAnswered = {
        request_id: question.requestId,
        tool_name: question.toolName,
        behavior: 'deny',
        message: `Nobody answered within ${Math.round(patience.permissionMs / 1000)} s, so this tool call is denied.`,
        updated_input: null,
        interrupt: false,
        actor: NOBODY,
      }
      const result = await answerLater(denial)
      if (result === null) continue
      if (!result.ok && result.refused !== 'answered' && result.refused !== 'unknown') continue
      const answer = !result.ok && result.refused === 'answered' ? result.given : denial
      answered.add(question.requestId)
      stopped ||= answer.interrupt
      guarded.input(permissionAnswer(answer))
    }
  }

  /** null where Redis has lost data and is not written back yet: a person is waited for so much longer. */
  async function answerLater(denial: MessageAnswered): Promise<Answered | null> {
    try {
      return await talk.answer(agent, denial)
    } catch (error) {
      if (!isDroverError(error)) throw error
      wakeIn(AGAIN_MS)
      return null
    }
  }

  /** To Redis: what the lines said, and whether a person is waited for. */
  async function write(): Promise<void> {
    const { started, done, events } = progress()
    const open = openQuestions()
    const asked = open.filter(({ requestId }) => isFresh(written.asked, requestId))
    const stillOpen = new Set(open.map(({ requestId }) => requestId))
    const settled = [...askedAt.keys()].filter((id) => !stillOpen.has(id))
    for (const id of settled) askedAt.delete(id)
    if (interruptId !== null && interruptId !== confirmedInterrupt && facts.confirmed.has(interruptId)) {
      confirmedInterrupt = interruptId
      const interrupted: AgentInterrupted = { request_id: interruptId }
      events.push({ type: 'drover.agent.interrupted', payload: interrupted })
    }
    const questions: Record<string, string> = {}
    for (const question of asked) {
      const until = inMs(patience.permissionMs)
      questions[question.requestId] = JSON.stringify({
        ...question,
        agentId: agent.agentId,
        until,
      } satisfies OpenQuestion)
      askedAt.set(question.requestId, clock.monotonic())
      wakeIn(patience.permissionMs)
      events.push({ type: 'drover.session.waiting_input', payload: askedFor(question, until) })
    }
    const change: TalkChange = { started, done, asked: questions, settled }
    await moveTo(open.length > 0 || expectingSince !== null, change, events)
  }

  /** What the lines said of messages, and is not written yet. */
  function progress(): { readonly started: string[]; readonly done: string[]; readonly events: OwnEvent[] } {
    const mine = [...facts.messages].filter(([id]) => given.has(id))
    const started = mine.map(([id]) => id).filter((id) => isFresh(written.started, id))
    const done = mine
      .filter(([, how]) => how === 'done')
      .map(([id]) => id)
      .filter((id) => isFresh(written.done, id))
    return { started, done, events: deliveries(started) }
  }

  /** Into the state that fits, with what there is to say; nothing is sent where there is nothing new. */
  async function moveTo(waits: boolean, change: TalkChange, events: OwnEvent[]): Promise<void> {
    const next: SessionState = waits ? 'waiting_input' : 'running'
    const set: Record<string, string | number> = {}
    if (waits) waitsSince ??= clock.monotonic()
    else if (waitsSince !== null) {
      waited += clock.monotonic() - waitsSince
      waitsSince = null
    }
    // Where this worker dies, the next one knows it by that.
    if (next !== state && waits) set['waiting_since'] = clock.now().getTime()
    if (next !== state && !waits) {
      set['waited_ms'] = Math.round(waited)
      set['waiting_since'] = ''
      set['interrupted_until'] = ''
      const resumed: SessionResumed = { waited_ms: Math.round(waited) }
      events.push({ type: 'drover.session.resumed', payload: resumed })
    }
    if (confirmedInterrupt !== null) set['interrupt_done'] = confirmedInterrupt
    const isNews =
      next !== state ||
      events.length > 0 ||
      [change.started, change.done, change.settled].some((ids) => (ids ?? []).length > 0)
    if (!isNews) return
    const changed = await store.change(agent, {
      from: ['running', 'waiting_input'],
      to: next,
      set,
      talk: change,
      events,
    })
    if (changed.ok) state = next
    else giveUpWhere(changed.refused)
  }

  /** The agent's turn is over, and nothing is left that it has been given. */
  async function rest(): Promise<void> {
    if (openQuestions().length > 0 || isOnItsWay()) return
    if (stopped && expectingSince === null) return await expect()
    if (expectingSince !== null) {
      const leftMs = patience.messageMs - (clock.monotonic() - expectingSince)
      if (leftMs > 0) return wakeIn(leftMs)
    }
    // Its last turn is over, so its conversation has what it was given.
    const unsaid = silent().filter((id) => !written.started.has(id))
    const closed = await store.change(agent, {
      close: true,
      talk: { done: [...given] },
      events: deliveries(unsaid, false),
    })
    if (!closed.ok && closed.refused === 'waiting') {
      // A message came in this moment: it is read, and given.
      readVersion = -1
      kept = await talk.read(agent.sessionId)
      return wake()
    }
    // A CLI that says it later than this was waited for has nothing new to say.
    if (closed.ok) for (const id of unsaid) written.started.add(id)
    if (idleSince === null) return
    over = true
    onDone()
  }

  /** A person has stopped the turn: what they want instead is waited for. */
  async function expect(): Promise<void> {
    expectingSince = clock.monotonic()
    waitsSince ??= expectingSince
    const until = inMs(patience.messageMs)
    const payload: SessionWaitingInput = { reason: 'interrupted', until }
    const changed = await store.change(agent, {
      from: ['running', 'waiting_input'],
      to: 'waiting_input',
      set: {
        interrupted_until: Date.parse(until),
        ...(state === 'waiting_input' ? {} : { waiting_since: clock.now().getTime() }),
      },
      events: [{ type: 'drover.session.waiting_input', payload }],
    })
    if (changed.ok) state = 'waiting_input'
    else giveUpWhere(changed.refused)
    wake()
  }

  const silent = (): string[] => [...given].filter((id) => !facts.messages.has(id))

  /** Given, and the CLI has not said that it took it up: not for long, where it has nothing else to do. */
  function isOnItsWay(): boolean {
    if (silent().length === 0) return false
    const now = clock.monotonic()
    const until = (idleSince ?? now) + parts.silenceMs
    if (until > now) wakeIn(until - now)
    // Silence tells something of a process that is there: the end of one that is not may be on its way to us.
    return until > now || !isThere || seenAt < until
  }

  function giveUpWhere(refused: Extract<Changed, { ok: false }>['refused']): void {
    // It is ended, or somebody else's: whoever noticed that ends the agent too.
    if (refused !== 'state') over = true
  }

  const waitedSoFar = (): number => waited + (waitsSince === null ? 0 : clock.monotonic() - waitsSince)

  const inMs = (ms: number): string => new Date(clock.now().getTime() + ms).toISOString()

  return {
    begin() {
      begun = true
      // What it was given as its prompt it has with its start.
      const messages = new Map(facts.messages)
      for (const id of parts.given) if (!messages.has(id)) messages.set(id, 'started')
      facts = { ...facts, messages }
      wake()
    },
    hear(said) {
      const isNews =
        said.version !== heard.version || said.interrupt?.request_id !== heard.interrupt?.request_id
      heard = said
      if (isNews) wake()
    },
    observe(lines) {
      const before = facts
      for (const { message } of lines) {
        facts = observeTalk(facts, message)
        // A turn has begun: what was stopped was another one.
        if (message?.['type'] === 'system' && message['subtype'] === 'init') beginTurn()
      }
      if (facts !== before) wake()
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
    isWaiting: () => waitsSince !== null,
    waitedMs: waitedSoFar,
    async finish() {
      over = true
      if (alarm !== null) clearTimeout(alarm.timer)
      await running
      const { started, events } = progress()
      const isAsking = waitsSince !== null && expectingSince === null
      return {
        waitedMs: isAsking ? waitedSoFar() : null,
        talk: {
          started,
          done: [...facts.messages].filter(([id, how]) => how === 'done' && given.has(id)).map(([id]) => id),
        },
        events,
      }
    },
  }

  function beginTurn(): void {
    idleSince = null
    if (expectingSince !== null) stopped = false
    expectingSince = null
    wake()
  }
}

/** That the agent has taken these messages up; not `confirmed`: by its turn's end, and not by its word. */
export function deliveries(ids: readonly string[], confirmed = true): OwnEvent[] {
  return ids.map((id) => {
    const payload: MessageDelivered = { message_id: id, ...(confirmed ? {} : { confirmed: false }) }
    return { type: 'drover.message.delivered', payload }
  })
}

function isFresh(seen: Set<string>, id: string): boolean {
  if (seen.has(id)) return false
  seen.add(id)
  return true
}

function askedFor(question: Question, until: string): SessionWaitingInput {
  return {
    reason: 'permission',
    until,
    request_id: question.requestId,
    tool_name: question.toolName,
    tool_use_id: question.toolUseId,
    input: question.input,
    description: question.description,
  }
}
