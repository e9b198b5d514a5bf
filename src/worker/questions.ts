/**
 * What one agent asks people: which of its questions are open, who has answered them, and the denial of those that
 * nobody answers in time.
 */
import type { Clock } from '../core/clock.ts'
import type { Actor } from '../core/envelope.ts'
import { isDroverError } from '../core/errors.ts'
import type { MessageAnswered, SessionWaitingInput } from '../core/events.ts'
import type { Question } from '../core/talk-facts.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { AgentRef } from '../queue/session-store.ts'
import type { Answered, OpenQuestion, TalkStore } from '../queue/talk.ts'
import { permissionAnswer } from '../session/message.ts'
import type { Alarm } from './alarm.ts'

export interface QuestionsParts {
  readonly talk: Pick<TalkStore, 'answer'>
  readonly clock: Clock
  readonly agent: AgentRef
  /** Writes to its CLI's standard input. */
  readonly input: (line: string) => void
  /** How long an answer is waited for, in milliseconds. */
  readonly waitMs: number
  /** Rings when a question may be late. */
  readonly alarm: Pick<Alarm, 'setIn'>
  /** An answer was given that stops its turn. */
  readonly onStop: () => void
}

export interface Questions {
  /** Those that its lines have not settled, oldest first. */
  observe(unsettled: readonly Question[]): void
  /** Gives it the answers to what it asks. */
  passOn(answers: ReadonlyMap<string, MessageAnswered>): void
  /** One that nobody has answered in time. */
  late(): Question | null
  /**
   * Denies it; an answer that was faster by a moment is passed on instead. Answers false where nothing came of it: Redis
   * is to be asked again later, or the CLI asks no more.
   */
  deny(question: Question): Promise<boolean>
  hasOpen(): boolean
  /** Since the last call: those asked (by id, as JSON), those that are open no longer, and what to record of them. */
  news(): {
    readonly asked: Readonly<Record<string, string>>
    readonly settled: string[]
    readonly events: OwnEvent[]
  }
}

/** Until Redis is asked again. */
const AGAIN_MS = 1000
/** Who denies what nobody answered. */
const NOBODY: Actor = { via: 'drover', name: 'permission_wait' }

export function createQuestions(parts: QuestionsParts): Questions {
  const { talk, clock, agent, input, waitMs, alarm } = parts
  let unsettled: readonly Question[] = []
  const answered = new Set<string>()
  const told = new Set<string>()
  /** When each open one was told, by the monotonic clock. */
  const askedAt = new Map<string, number>()

  const open = (): readonly Question[] => unsettled.filter(({ requestId }) => !answered.has(requestId))

  function give(answer: MessageAnswered): void {
    answered.add(answer.request_id)
    if (answer.interrupt) parts.onStop()
    input(permissionAnswer(answer))
  }

  /** null where Redis has lost data and is not written back yet: a person is waited for so much longer. */
  async function answerLater(denial: MessageAnswered): Promise<Answered | null> {
    try {
      return await talk.answer(agent, denial)
    } catch (error) {
      if (!isDroverError(error)) throw error
      alarm.setIn(AGAIN_MS)
      return null
    }
  }

  function denialOf({ requestId, toolName }: Question): MessageAnswered {
    return {
      request_id: requestId,
      tool_name: toolName,
      behavior: 'deny',
      message: `Nobody answered within ${Math.round(waitMs / 1000)} s, so this tool call is denied.`,
      updated_input: null,
      interrupt: false,
      actor: NOBODY,
    }
  }

  return {
    observe(questions) {
      unsettled = questions
    },
    passOn(answers) {
      for (const { requestId } of open()) {
        const answer = answers.get(requestId)
        if (answer !== undefined) give(answer)
      }
    },
    late() {
      const now = clock.monotonic()
      let late: Question | null = null
      for (const question of open()) {
        const since = askedAt.get(question.requestId)
        if (since === undefined) continue
        const leftMs = waitMs - (now - since)
        if (leftMs > 0) alarm.setIn(leftMs)
        else late ??= question
      }
      return late
    },
    async deny(question) {
      const denial = denialOf(question)
      const result = await answerLater(denial)
      // Settled by its CLI meanwhile.
      if (result === null || !open().some(({ requestId }) => requestId === question.requestId)) return false
      if (result.ok || result.refused === 'unknown') give(denial)
      else if (result.refused === 'answered') give(result.given)
      else {
        // Cancelled, ended or lost: whoever notices that ends the agent, after its grace maybe.
        alarm.setIn(AGAIN_MS)
        return false
      }
      return true
    },
    hasOpen: () => open().length > 0,
    news() {
      const now = open()
      const ids = new Set(now.map(({ requestId }) => requestId))
      const settled = [...askedAt.keys()].filter((id) => !ids.has(id))
      for (const id of settled) askedAt.delete(id)
      const asked: Record<string, string> = {}
      const events: OwnEvent[] = []
      for (const question of now) {
        if (told.has(question.requestId)) continue
        told.add(question.requestId)
        askedAt.set(question.requestId, clock.monotonic())
        alarm.setIn(waitMs)
        const until = new Date(clock.now().getTime() + waitMs).toISOString()
        const kept: OpenQuestion = { ...question, agentId: agent.agentId, until }
        asked[question.requestId] = JSON.stringify(kept)
        events.push({ type: 'drover.session.waiting_input', payload: askedFor(question, until) })
      }
      return { asked, settled, events }
    },
  }
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
