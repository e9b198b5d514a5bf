/** What is recorded of messages and answers to a session (`redacted.ts` has the same for what it is asked to do). */
import { digestOf } from './ids.ts'
import type { TakesOut } from './redacted.ts'
import type { MessageAnswered, MessageSent } from './talk-payloads.ts'

/** What makes a message another one under the same id. */
export function digestOfMessage({ text, priority }: Pick<MessageSent, 'text' | 'priority'>): string {
  return digestOf({ text, priority })
}

/** What makes an answer to a question another one. */
export function digestOfAnswer(answer: AnswerSaid): string {
  const { behavior, message, updated_input, interrupt } = answer
  return digestOf([behavior, message, updated_input, interrupt])
}
type AnswerSaid = Pick<MessageAnswered, 'behavior' | 'message' | 'updated_input' | 'interrupt'>

/** Of two answers to one question, the first as it is recorded: are they the same? */
export function isSameAnswer(recorded: MessageAnswered, given: AnswerSaid): boolean {
  return (recorded.redacted?.digest ?? digestOfAnswer(recorded)) === digestOfAnswer(given)
}

/** A message as it is recorded: the very same object where nothing is taken out. */
export function redactMessage(message: MessageSent, redactor: TakesOut): MessageSent {
  const text = redactor.text(message.text)
  if (text === message.text) return message
  return { ...message, text, redacted: { members: ['text'], digest: digestOfMessage(message) } }
}

/** An answer as it is recorded: the very same object where nothing is taken out. */
export function redactAnswer(answer: MessageAnswered, redactor: TakesOut): MessageAnswered {
  const message = answer.message === null ? null : redactor.text(answer.message)
  const input = JSON.stringify(answer.updated_input)
  const redactedInput = redactor.json(input)
  const members = [
    ...(message === answer.message ? [] : ['message']),
    ...(redactedInput === input ? [] : ['updated_input']),
  ]
  if (members.length === 0) return answer
  return {
    ...answer,
    message,
    updated_input: JSON.parse(redactedInput) as MessageAnswered['updated_input'],
    redacted: { members, digest: digestOfAnswer(answer) },
  }
}
