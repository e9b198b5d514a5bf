/** Untrusted text, made visible: what acts instead of being seen on a terminal or a page is shown as a sign. */

/** C0 and C1 controls, DEL, line separators, direction overrides and invisible marks ("Trojan Source"), lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/gu
const CONTROL_PICTURES = 0x2400
const DELETE = 0x7f
const TAB = '\t'

/** One line of text with everything that acts instead of being seen made visible: ESC is "␛". */
export function visible(text: string): string {
  return text.replaceAll(UNSAFE, pictureOf)
}

function pictureOf(character: string): string {
  if (character === TAB) return '  '
  const code = character.codePointAt(0) ?? 0
  if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code)
  if (code === DELETE) return '␡'
  return `<${code.toString(16).toUpperCase().padStart(4, '0')}>`
}
