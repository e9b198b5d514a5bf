/** Events as lines for a terminal: what the agent says and does in front, Drover's own in the background. */
import type { Envelope } from '../core/envelope.ts'
import type { Colors } from './output.ts'
import { renderClaude } from './render-claude.ts'
import { renderDrover } from './render-drover.ts'
import { layOut } from './render-line.ts'

/** How events are laid out. */
export interface RenderOptions {
  /** Columns; lines are cut there, the agent's words go on in the next line. Infinity leaves them whole. */
  readonly width: number
  readonly colors: Colors
  /** Stands before each line, in a colour of its own: tells agents apart that speak at the same time. */
  readonly prefix?: string | null
}

/** The narrowest text beside a prefix. */
const LEAST_TEXT = 20

/**
 * A session's renderer: from an event to its lines, none for what only programs need. It remembers the working
 * directory, to show paths below it as relative. The payload is untrusted: control characters and escape sequences
 * are made visible.
 */
export function createEventRenderer({
  width,
  colors,
  prefix = null,
}: RenderOptions): (event: Envelope) => string[] {
  const front = prefix === null ? '' : `${colorOfName(prefix, colors)(prefix)} `
  const room = prefix === null ? width : Math.max(width - prefix.length - 1, LEAST_TEXT)

  let cwd: string | null = null

  return (event) => {
    cwd = workingDirectory(event) ?? cwd
    const lines = event.type.startsWith('claude.')
      ? renderClaude(event.type, event.payload, cwd)
      : renderDrover(event)
    return lines.flatMap((line) => layOut(line, room, colors)).map((line) => `${front}${line}`)
  }
}

/** The CLI says it at the start of each turn. */
function workingDirectory({ type, payload }: Envelope): string | null {
  if (type !== 'claude.system.init' || typeof payload !== 'object' || payload === null) return null
  return 'cwd' in payload && typeof payload.cwd === 'string' ? payload.cwd : null
}

/** The same name has the same colour everywhere; the five shipped types have five. */
function colorOfName(name: string, colors: Colors): (text: string) => string {
  // Neither green, yellow, red nor the tools' cyan: those have a meaning in the lines.
  const palette = [
    colors.magenta,
    colors.blue,
    colors.magentaBright,
    colors.blueBright,
    colors.cyanBright,
    colors.whiteBright,
  ]
  let hash = 0
  for (const character of name) hash = (Math.imul(hash, 33) + (character.codePointAt(0) ?? 0)) >>> 0
  return palette[hash % palette.length] ?? colors.magenta
}
