/** Untrusted text on a terminal: what an agent or a repository wrote can neither move the cursor nor hide anything. */

/** C0 and C1 controls, DEL, line separators, direction overrides and invisible marks ("Trojan Source"), lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/gu
const CONTROL_PICTURES = 0x2400
const DELETE = 0x7f
const TAB = '\t'

/** One line of text with everything that acts instead of being seen made visible: ESC is "␛". */
export function visible(text: string): string {
  return text.replaceAll(UNSAFE, pictureOf)
}

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

function pictureOf(character: string): string {
  if (character === TAB) return '  '
  const code = character.codePointAt(0) ?? 0
  if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code)
  if (code === DELETE) return '␡'
  return `<${code.toString(16).toUpperCase().padStart(4, '0')}>`
}
