/** A line before it has colours and a width. */
import type { Colors } from './output.ts'
import { cut, visible } from './safe-text.ts'

/** `dim`: Drover's own and what is in passing; `plain`: the agent's words; the rest by their meaning. */
const STYLES = {
  plain: 'reset',
  dim: 'dim',
  tool: 'cyan',
  good: 'green',
  warn: 'yellow',
  bad: 'red',
} as const satisfies Record<string, keyof Colors>
/** What a line means; its colour follows. */
export type Style = keyof typeof STYLES

/** A line of a terminal before its layout. */
export interface Line {
  readonly style: Style
  /** Untrusted; made visible when it is laid out. */
  readonly text: string
  /** Goes on in the next line instead of being cut at the width. */
  readonly wrap: boolean
}

/** A line that is cut at the width. */
export function paint(style: Style, text: string): Line {
  return { style, text, wrap: false }
}

/** The lines of a terminal that one line becomes. */
export function layOut({ style, text, wrap }: Line, width: number, colors: Colors): string[] {
  const shown = visible(text)
  const lines = wrap ? wrapped(shown, width) : [cut(shown, width)]
  return style === 'plain' ? lines : lines.map((line) => (line === '' ? '' : colors[STYLES[style]](line)))
}

/** Broken at spaces where there are some; the indentation of the line is kept, so that lists and code stay readable. */
function wrapped(text: string, width: number): string[] {
  if (text.length <= width) return [text]
  const indent = (/^ */.exec(text)?.[0] ?? '').slice(0, Math.floor(width / 2))
  const lines: string[] = []
  let rest = text
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width)
    const end = space > indent.length ? space : wholeCharacters(rest, width)
    lines.push(rest.slice(0, end))
    rest = `${indent}${rest.slice(end).trimStart()}`
  }
  return [...lines, rest]
}

/** Not between the halves of a surrogate pair. */
function wholeCharacters(text: string, width: number): number {
  const code = text.charCodeAt(width - 1)
  return code >= 0xd800 && code <= 0xdbff ? width - 1 : width
}
