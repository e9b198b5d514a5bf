/**
 * Which turn of a script a request is about. The request says so itself: the CLI sends the whole conversation
 * with every call, so the number of assistant messages in it is the number of turns that were taken. Nothing is
 * counted here, so a restart of the agent, of the rehearsal or on another pod goes on where the transcript ends.
 */
import { firstLineOf, type Fault, type Turn } from './script.ts'

/** A message of a request, as aimock hands it on: tool calls beside the text, no system prompt needed. */
export interface Message {
  readonly role: string
  readonly content: string | null
  readonly hasToolCalls: boolean
}

/**
 * What the CLI puts into the conversation by itself (measured with 2.1.329). In the model's name, after a turn that
 * was killed; in the user's, behind a part of an answer whose stream broke off. Neither makes a turn.
 */
const SYNTHETIC_ANSWER = 'No response requested.'
const CUT_OFF_NOTICE = 'Your response above was cut off mid-stream.'

/** Context that the CLI puts beside the user's own words. */
const REMINDER = /<system-reminder>.*?<\/system-reminder>/gs

/** The index of the turn to answer with: the number of turns already taken, held at the last one. */
export function turnIndex(messages: readonly Message[], turnCount: number): number {
  const taken = messages.filter((message, index) => isTurn(message, messages[index + 1])).length
  return Math.min(taken, turnCount - 1)
}

function isTurn(message: Message, next: Message | undefined): boolean {
  if (message.role !== 'assistant') return false
  if (next?.role === 'user' && isCutOffNotice(next)) return false
  return message.hasToolCalls || message.content?.trim() !== SYNTHETIC_ANSWER
}

function isCutOffNotice(message: Message): boolean {
  return wordsOf(message).startsWith(CUT_OFF_NOTICE)
}

/** The fault of the nth call (0 = first) for a turn, or null when the turn succeeds. */
export function faultOf(turn: Turn, attempt: number): Fault | null {
  let reached = 0
  for (const fault of turn.faults) {
    reached += fault.times ?? Infinity
    if (attempt < reached) return fault
  }
  return null
}

/** The first line of the first and of the latest message of the user; empty where there is none. */
export function promptsOf(messages: readonly Message[]): { readonly first: string; readonly latest: string } {
  const lines = messages
    .filter((message) => message.role === 'user' && !isCutOffNotice(message))
    .map((message) => firstLineOf(wordsOf(message)))
    .filter((line) => line !== '')
  return { first: lines.at(0) ?? '', latest: lines.at(-1) ?? '' }
}

function wordsOf(message: Message): string {
  return (message.content ?? '').replaceAll(REMINDER, '').trim()
}
