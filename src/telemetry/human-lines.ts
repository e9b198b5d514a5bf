/** Turns the log's NDJSON into lines for a terminal: `10:30:05.123 WARN  worker Redis is not reachable kind=redis`. */
import type { DestinationStream } from 'pino'
import picocolors from 'picocolors'

/** Shown at the head of the line, or the same in all of them. */
const HEAD = new Set(['level', 'time', 'pid', 'name', 'msg'])

/** Control characters (a child's output could move the cursor or retitle the terminal) and marks that reverse text. */
const UNSAFE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** A destination for pino that writes lines for people to `destination`. Whatever a detail holds, it is safe to show. */
export function createHumanLines(
  destination: DestinationStream,
  { color }: { color: boolean },
): DestinationStream {
  const colors = picocolors.createColors(color)
  const paints: Readonly<Record<string, (text: string) => string>> = {
    info: colors.cyan,
    warn: colors.yellow,
    error: colors.red,
    fatal: colors.red,
  }

  const humanLine = (line: string): string => {
    const record: Record<string, unknown> = JSON.parse(line)
    const level = textOf(record.level)
    const paint = paints[level] ?? colors.dim
    const details = Object.entries(record)
      .filter(([key]) => !HEAD.has(key))
      .map(([key, value]) => ` ${safe(key)}=${safe(detailOf(value))}`)
    return [
      colors.dim(textOf(record.time).slice(11, 23)),
      paint(level.toUpperCase().padEnd(5)),
      colors.dim(safe(textOf(record.name))),
      `${safe(textOf(record.msg))}${colors.dim(details.join(''))}\n`,
    ].join(' ')
  }

  return { write: (line: string) => destination.write(humanLine(line)) }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function detailOf(value: unknown): string {
  // Of an error the sentence is enough for people; the NDJSON has its stack.
  if (isError(value)) return JSON.stringify(value.message)
  return typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value)
}

function isError(value: unknown): value is { message: string } {
  return typeof value === 'object' && value !== null && 'stack' in value && 'message' in value
}

function safe(text: string): string {
  return text.replaceAll(UNSAFE, '\uFFFD')
}
