/**
 * What an agent's lines say about what was said to it: which messages it has taken up, what it asks, which requests it
 * has confirmed. Folded line by line, in bounded memory; nothing throws, whatever the lines are.
 *
 * Of a message given with a uuid the CLI prints `command_lifecycle` (measured with 2.1.329): `queued` when it has read
 * it, `started` when the model is about to be told, `completed` or `cancelled` when that turn is over. Only the
 * conversation's file survives the process, and a message is in there soon after `started`; certainly once its turn is
 * over.
 */
import { isJsonObject } from './json-object.ts'

/** `started`: the model is told of it. `done`: the turn that took it up is over, so its conversation has it. */
export type MessageProgress = 'started' | 'done'

/** A tool call that the agent may not make without being told. */
export interface Question {
  readonly requestId: string
  readonly toolName: string
  readonly toolUseId: string | null
  /** As it was printed, so without secrets; cut where it is long. */
  readonly input: unknown
  readonly description: string | null
}

export interface TalkFacts {
  readonly messages: ReadonlyMap<string, MessageProgress>
  /** Those that are not settled, oldest first. */
  readonly questions: readonly Question[]
  /** Control requests that were answered with a success. */
  readonly confirmed: ReadonlySet<string>
}

export const NO_TALK: TalkFacts = { messages: new Map(), questions: [], confirmed: new Set() }

/** Of each kind; the oldest are forgotten. More than a session may have waiting at once. */
const MOST = 1000
const MOST_QUESTIONS = 100
const NAME_LIMIT = 200
/** Characters of JSON: what an event, a page and an answer show. */
const INPUT_LIMIT = 20_000

/** The facts after one more line (parsed; what is no object changes nothing). */
export function observeTalk(talk: TalkFacts, message: Readonly<Record<string, unknown>> | null): TalkFacts {
  switch (message?.['type']) {
    case 'command_lifecycle':
      return observeLifecycle(talk, message)
    case 'control_request':
      return observeQuestion(talk, message)
    case 'control_cancel_request':
      return withoutQuestions(talk, ({ requestId }) => requestId === message['request_id'])
    case 'control_response':
      return observeConfirmation(talk, message['response'])
    case 'user':
      return observeToolResults(talk, message['message'])
    default:
      return talk
  }
}

function observeLifecycle(talk: TalkFacts, message: Readonly<Record<string, unknown>>): TalkFacts {
  const { command_uuid: id, state } = message
  if (typeof id !== 'string' || id.length > NAME_LIMIT) return talk
  const progress =
    state === 'started' ? 'started' : state === 'completed' || state === 'cancelled' ? 'done' : null
  if (progress === null) return talk
  const messages = new Map(talk.messages).set(id, progress)
  if (messages.size > MOST) messages.delete(messages.keys().next().value ?? '')
  return { ...talk, messages }
}

function observeQuestion(talk: TalkFacts, message: Readonly<Record<string, unknown>>): TalkFacts {
  const { request_id: requestId, request } = message
  if (typeof requestId !== 'string' || requestId === '' || requestId.length > NAME_LIMIT) return talk
  if (!isJsonObject(request) || request['subtype'] !== 'can_use_tool') return talk
  if (talk.questions.some((question) => question.requestId === requestId)) return talk
  const question: Question = {
    requestId,
    toolName: nameOf(request['tool_name']) ?? 'unknown',
    toolUseId: nameOf(request['tool_use_id']),
    input: shortened(request['input']),
    description: nameOf(request['description']),
  }
  return { ...talk, questions: [...talk.questions, question].slice(-MOST_QUESTIONS) }
}

function observeConfirmation(talk: TalkFacts, response: unknown): TalkFacts {
  if (!isJsonObject(response) || response['subtype'] !== 'success') return talk
  const { request_id: id } = response
  if (typeof id !== 'string' || id.length > NAME_LIMIT) return talk
  const confirmed = new Set(talk.confirmed).add(id)
  if (confirmed.size > MOST) confirmed.delete(confirmed.keys().next().value ?? '')
  return { ...talk, confirmed }
}

/** A call that has its result is no question any more, whoever decided it. */
function observeToolResults(talk: TalkFacts, message: unknown): TalkFacts {
  if (talk.questions.length === 0 || !isJsonObject(message) || !Array.isArray(message['content'])) return talk
  const answered = new Set<unknown>(
    message['content']
      .filter(isJsonObject)
      .filter((block) => block['type'] === 'tool_result')
      .map((block) => block['tool_use_id']),
  )
  return withoutQuestions(talk, ({ toolUseId }) => toolUseId !== null && answered.has(toolUseId))
}

function withoutQuestions(talk: TalkFacts, isSettled: (question: Question) => boolean): TalkFacts {
  const questions = talk.questions.filter((question) => !isSettled(question))
  return questions.length === talk.questions.length ? talk : { ...talk, questions }
}

function shortened(input: unknown): unknown {
  try {
    const text = JSON.stringify(input ?? null)
    return text.length <= INPUT_LIMIT
      ? (input ?? null)
      : { cut: `${text.slice(0, INPUT_LIMIT).toWellFormed()} … [${text.length} characters in all]` }
  } catch {
    return { cut: '[nested too deeply]' }
  }
}

function nameOf(value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, NAME_LIMIT).toWellFormed() : null
}
