/**
 * Text of others within Markdown: in a fence that it cannot close, or in code within a line, with its control
 * characters made visible. It can neither become markup nor reach a terminal.
 */
import { visible } from '../core/visible.ts'

/** What stands within a line is cut at this. */
const LONGEST_CODE = 4000

/** A block that the text cannot end: its fence is longer than any row of backticks in it. What is beyond `longest` is left out. */
export function fence(text: string, longest: number): string {
  const shown = shortened(text, longest).toWellFormed().split(/\r?\n/).map(visible).join('\n')
  const ticks = '`'.repeat(Math.max(3, longestRow(shown) + 1))
  return `${ticks}text\n${shown}\n${ticks}`
}

/** What is left out is in the middle: the end of an output says how it went. */
function shortened(text: string, longest: number): string {
  if (text.length <= longest) return text
  const tail = Math.floor(longest / 4)
  const [head, end] = [text.slice(0, longest - tail), text.slice(text.length - tail)]
  return `${head}\n[cut: ${text.length - longest} of ${text.length} characters are left out here]\n${end}`
}

/** Text within a line. */
export function code(text: string): string {
  const shown = visible(text.slice(0, LONGEST_CODE).toWellFormed().replaceAll(/\s+/g, ' ')).trim()
  if (shown === '') return ''
  const ticks = '`'.repeat(longestRow(shown) + 1)
  const room = shown.startsWith('`') || shown.endsWith('`') ? ' ' : ''
  return `${ticks}${room}${shown}${room}${ticks}`
}

function longestRow(text: string): number {
  return Math.max(0, ...Array.from(text.matchAll(/`+/g), ([row]) => row.length))
}
