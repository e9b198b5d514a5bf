/** Untrusted text on a terminal: what an agent or a repository wrote can neither move the cursor nor hide anything. */
import { visible } from '../core/visible.ts'

export { visible }

/** The same over several lines: `\n` and `\r\n` stay line ends. */
export function visibleLines(text: string): string[] {
  return text.split(/\r?\n/).map((line) => visible(line))
}

/** Untrusted text of several lines: made visible for a terminal, as it is for a file or a program. */
export function shownText(text: string, toTerminal: boolean): string {
  return toTerminal ? visibleLines(text).join('\n') : text
}

/** At most `width` characters; what was cut shows as "…". Surrogate pairs stay whole. */
export function cut(text: string, width: number): string {
  // Twice the width in code units holds at least the width in characters; the rest need not be looked at.
  if (text.length <= width) return text
  const characters = Array.from(text.slice(0, 2 * width + 2))
  return characters.length <= width ? text : `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`
}
