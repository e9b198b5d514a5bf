/**
 * One line of an agent's standard output as an event. The child is untrusted: a line may be anything, and whatever
 * it is, it becomes exactly one event with a valid JSON payload, so that event numbers equal the file's lines.
 *
 * | line | type | payload |
 * |---|---|---|
 * | a JSON object with a `type` | `claude.<type>[.<subtype>]` | the line, verbatim |
 * | other JSON | `claude.untyped` | the line, verbatim |
 * | empty or blank | `claude.blank` | `{"raw": "<text>"}` |
 * | anything else, or nested deeper than 500 | `claude.unparsed` | `{"raw": "<text>"}` |
 * | over 16 MB | `claude.oversize` | `{"bytes": n, "sha256": "…"}` |
 *
 * Verbatim: the text between two line feeds, a carriage return at its end included. A byte order mark at its start
 * is left out, because no JSON parser takes it. Bytes that are not UTF-8 become U+FFFD.
 */
import { cutText } from '../core/cut-text.ts'
import { isJsonObject } from '../core/json-object.ts'

/** Longest line that is kept. Lines of 5.6 MB were seen (a big Write). */
export const LINE_LIMIT_BYTES = 16 * 1024 * 1024

/** One line of the spool. */
export interface SpoolLine {
  /** 1-based, blank lines counted. */
  readonly line: number
  readonly type: string
  /** Valid JSON text. */
  readonly payloadText: string
  /** The parsed object of a typed line, else null. Its members may be anything. */
  readonly message: Readonly<Record<string, unknown>> | null
  /** Length in the file, without the line feed. */
  readonly bytes: number
  /** The last line of a process that ended in the middle of it. */
  readonly partial: boolean
}

/** Deeper JSON is refused by readers of the ledger (SQLite's own limit is 1000) and by nobody's intention. */
const NESTING_LIMIT = 500
/** The most characters that are kept of a line that is no JSON. */
export const RAW_LIMIT = 1_000_000
const TYPE_PART_LIMIT = 64

/** What a line says. Never throws. */
export function readLine(raw: Buffer, line: number, partial: boolean): SpoolLine {
  const text = withoutMark(raw.toString('utf8'))
  const common = { line, bytes: raw.length, partial, message: null }
  const unusable = (type: string): SpoolLine => ({
    ...common,
    type,
    payloadText: JSON.stringify({ raw: cutText(text, RAW_LIMIT) }),
  })
  if (text.trim() === '') return unusable('claude.blank')
  const parsed = parse(text)
  if (parsed === undefined || isTooDeep(text)) return unusable('claude.unparsed')
  if (!isJsonObject(parsed) || typeof parsed['type'] !== 'string') {
    return { ...common, type: 'claude.untyped', payloadText: text }
  }
  const subtype = typeof parsed['subtype'] === 'string' ? `.${typePart(parsed['subtype'])}` : ''
  return {
    ...common,
    type: `claude.${typePart(parsed['type'])}${subtype}`,
    payloadText: text,
    message: parsed,
  }
}

/** A line that was too long to be kept: what is known of it. */
export function oversizeLine(line: number, bytes: number, sha256: string, partial: boolean): SpoolLine {
  const payloadText = JSON.stringify({ bytes, sha256 })
  return { line, type: 'claude.oversize', payloadText, message: null, bytes, partial }
}

/** Event types are our names: nothing of the child gets into them but a few letters. */
function typePart(text: string): string {
  return (
    text
      .slice(0, TYPE_PART_LIMIT)
      .toLowerCase()
      .replaceAll(/[^a-z0-9_.-]/g, '_') || '_'
  )
}

function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

/** undefined is what no JSON text gives. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Counts brackets outside strings of a valid JSON text; recursion over it could overflow. */
function isTooDeep(text: string): boolean {
  // Each level has an opening and a closing bracket.
  if (text.length <= 2 * NESTING_LIMIT) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at)
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    if (depth > NESTING_LIMIT) return true
  }
  return false
}

function endOfString(text: string, start: number): number {
  let at = text.indexOf('"', start + 1)
  while (at >= 0 && isEscaped(text, at)) at = text.indexOf('"', at + 1)
  return at < 0 ? text.length : at
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text[at - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}
