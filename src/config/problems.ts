/** Problems of files and settings, gathered and reported together. */
import { DroverError, type Issue } from '../core/errors.ts'

/**
 * `invalid_request` with every problem: `details.issues` has them all, the message lists them, one to a line.
 * Each issue's message stands alone: it names its source, what is wrong and what is expected.
 */
export function refuse(what: string, issues: readonly Issue[]): DroverError {
  // Keys and values of a file are quoted, and a terminal would obey the control characters in them.
  const problems = issues.map(({ message }) => message.replaceAll(/\p{Cc}/gu, '\uFFFD'))
  const list =
    problems.length === 1 ? ` ${problems.join('')}` : problems.map((problem) => `\n  - ${problem}`).join('')
  return new DroverError('invalid_request', `${what}:${list}`, { issues })
}

/** A refused value as a message shows it: short and quoted. */
export function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
