/** JSON that people write: the line of a mistake, of each member, and members that occur twice. */
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { messageOf } from '../core/errors.ts'

/** A parsed text, or the line (from 1) and the nature of its first mistake. */
export type JsonText =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly line: number; readonly problem: string }

/** Parses strictly, without comments and trailing commas. Never throws. */
export function parseJson(text: string): JsonText {
  const message = jsonError(text)
  if (message === null) return { ok: true, value: JSON.parse(text) }
  // What V8 adds (a position, an excerpt with line breaks in it) is said better by the line.
  const [what = ''] = message.split(/, (?:\.\.\.)?"| (?:in JSON )?at position /)
  return { ok: false, line: lineOfError(text, message), problem: `is not valid JSON: ${what}` }
}

function jsonError(text: string): string | null {
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    return messageOf(error)
  }
}

function lineOfError(text: string, message: string): number {
  const [, line] = / \(line (\d+) column/.exec(message) ?? []
  if (line !== undefined) return Number(line)
  if (!message.startsWith(UNEXPECTED)) return linesIn(text)

  // V8 gives no position for an unexpected token: the shortest beginning of the text with the same error ends at it.
  let [without, having] = [0, text.length]
  while (having - without > 1) {
    const middle = Math.floor((without + having) / 2)
    if (jsonError(text.slice(0, middle))?.startsWith(UNEXPECTED) === true) having = middle
    else without = middle
  }
  return linesIn(text.slice(0, having))
}

const UNEXPECTED = 'Unexpected token'

function linesIn(text: string): number {
  return text.split('\n').length
}

/** A member that JSON.parse takes and that no file should have. */
interface BadMember {
  /** `agent_types.architect.model` */
  readonly key: string
  /** From 1. */
  readonly line: number
  /** Completes the sentence "`key` …". */
  readonly problem: string
}

/** The lines of a JSON text's members. */
export interface JsonPositions {
  /** The line of a key, or of the nearest member around it that exists; 1 where none does. */
  lineOf(path: readonly PropertyKey[]): number
  /** Names that occur twice (JSON.parse takes the last and says nothing), and `__proto__` (zod leaves it out and says nothing). */
  readonly badMembers: readonly BadMember[]
}

/** The positions in `text`, which must be valid JSON: any JSON is YAML too, whose parser keeps positions. */
export function jsonPositions(text: string): JsonPositions {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: false, schema: 'json' })
  const lines = new Map<string, number>()
  const badMembers: BadMember[] = []

  const visit = (node: unknown, path: readonly string[]): void => {
    if (isSeq(node)) node.items.forEach((item, index) => visit(item, [...path, String(index)]))
    if (!isMap(node)) return
    const names = new Set<string>()
    for (const pair of node.items) {
      if (!isScalar(pair.key)) continue
      const name = String(pair.key.value)
      const at = [...path, name]
      const line = counter.linePos(pair.key.range?.[0] ?? 0).line
      if (names.has(name)) badMembers.push({ key: at.join('.'), line, problem: 'is there a second time' })
      if (name === '__proto__')
        badMembers.push({ key: at.join('.'), line, problem: 'is not a name that can be used' })
      names.add(name)
      lines.set(keyOf(at), line)
      visit(pair.value, at)
    }
  }
  visit(document.contents, [])

  return {
    badMembers,
    lineOf(path) {
      for (let depth = path.length; depth > 0; depth--) {
        const line = lines.get(keyOf(path.slice(0, depth)))
        if (line !== undefined) return line
      }
      return 1
    },
  }
}

function keyOf(path: readonly PropertyKey[]): string {
  return path.map(String).join('\0')
}
