/**
 * Takes secrets out of text before it is stored, published or logged.
 *
 * Two kinds are found: values that are known (`formsOf`: in every usual spelling and encoding) and patterns. What is
 * found becomes `[redacted:<name>]`. Text without a find comes back as it is, the same string.
 *
 * What is found is a pure function of the text and of the redactor, so a line that is sent twice is the same twice.
 */
import { createFilter } from './redact-filter.ts'
import { createBeginningFinder, formsOf, type BeginningFinder } from './redact-forms.ts'
import { boundedSource, gramOf, KNOWN_PATTERNS, type Pattern } from './redact-patterns.ts'

/** A value that must not be seen. */
export interface Secret {
  /** Shown in its place. */
  readonly name: string
  readonly value: string
}

/** Shorter values are not looked for: they are found in words and numbers everywhere. */
export const SHORTEST_SECRET = 8

export interface RedactorOptions {
  readonly secrets: readonly Secret[]
  /** Configured ones, checked by `patternProblem`. */
  readonly patterns?: readonly Pattern[]
  /** Drover's own patterns too. @default true */
  readonly known?: boolean
}

export interface Redactor {
  /** Plain text. */
  text(text: string): string
  /**
   * A JSON text, whatever it holds: valid again, and the same but for what was found in its strings and numbers. What
   * is not quite JSON is redacted all the same.
   */
  json(text: string): string
  /** What `text` takes out of a text, in its order. */
  find(text: string): readonly Secret[]
  /** Text in pieces. */
  pieces(): Pieces
}

/**
 * Text that comes in pieces. What could be the beginning of a secret is held back until the next piece tells; only
 * the first three characters of a secret may have been given out by then, its rest is redacted.
 */
export interface Pieces {
  /** What of the text so far may be given out, and was not yet. */
  push(piece: string): string
  /** The rest. The beginning of a known value is redacted too: its end may be elsewhere. */
  end(): string
}

/** A redactor. Building one takes some milliseconds; it is to be used for long. */
export function createRedactor(options: RedactorOptions): Redactor {
  const secrets = usable(options.secrets).map(({ name, value }) => ({ name, forms: formsOf(value) }))
  const known = (options.known === false ? [] : KNOWN_PATTERNS).map((pattern) => ({
    ...pattern,
    source: edged(pattern.source),
    open: edged(pattern.open),
    hint: pattern.hint ?? pattern.source.replaceAll('\\b', ''),
  }))
  const own = (options.patterns ?? []).map(({ name, source }) => ({
    name,
    source: edged(boundedSource(source)),
  }))
  const values = secrets.map(({ name, forms }) => ({
    name,
    source: forms.map(({ units }) => units.join('')).join('|'),
  }))
  const finders = [...values, ...known, ...own].map(({ name, source }) => ({
    name,
    find: new RegExp(source, 'g'),
  }))
  const mayHold = createFilter([
    secrets.flatMap(({ forms }) => forms.map(({ units, grams }) => ({ source: units.join(''), grams }))),
    known.map(({ hint, grams }) => ({ source: hint, grams })),
    // By its gram alone: in JSON text the rest may be escaped.
    own.map(({ source }) => ({ source: gramOf(source) ?? source, grams: gramsOf(source) })),
  ])
  const isOwnVeiled = own.some(({ source }) => gramOf(source) === null)

  // Compiling an expression for a long value takes tens of milliseconds, which is done when it first runs: for most
  // agents never.
  const spansOf = (text: string): Span[] =>
    mayHold(text)
      ? finders.flatMap(({ name, find }) =>
          [...text.matchAll(find)].map(({ index, 0: { length } }) => ({
            start: index,
            end: index + length,
            name,
          })),
        )
      : []
  const text = (plain: string): string => cutOut(plain, 0, plain.length, spansOf(plain))
  /** A string of the JSON text may hold what the JSON text as it is does not show. */
  const isVeiled = (json: string): boolean =>
    json.includes('\\') &&
    (isOwnVeiled || ((json.includes('\\u') || json.includes('\\/')) && VEIL.test(json)))

  let pieceParts: PieceParts | null = null
  const partsOfPieces = (): PieceParts =>
    (pieceParts ??= {
      spansOf,
      beginningOf: createBeginningFinder(secrets),
      open: anyOf([...known.map(({ open }) => open), ...(own.length > 0 ? [UNFINISHED_WORD] : [])]),
    })

  return {
    text,
    find: (plain) =>
      merged(spansOf(plain)).map(({ start, end, name }) => ({ name, value: plain.slice(start, end) })),
    json: (json) => (mayHold(json) || isVeiled(json) ? redactTokens(json, text) : json),
    pieces: () => createPieces(partsOfPieces()),
  }
}

/** Within JSON in a string a line feed is a letter too: what follows it begins a word all the same. */
const edged = (source: string): string => source.replace(/^\\b/, String.raw`(?:\b|(?<=\\[bfnrt]))`)
const gramsOf = (source: string): string[] | null => {
  const gram = gramOf(source)
  return gram === null ? null : [gram]
}
const anyOf = (sources: readonly string[]): RegExp | null =>
  sources.length === 0 ? null : new RegExp(sources.join('|'))
const markOf = (name: string): string => `[redacted:${name}]`

/** Escapes that no JSON writer needs, of characters that stand for themselves. */
const VEIL = /\\(?:\/|u(?!00[01]|[dD][89abAB]))/
/** Of a configured pattern nothing is known but the whole, so the last word waits until it is whole. */
const UNFINISHED_WORD = String.raw`\S{1,512}$`

/** Each value once; of two with one beginning the longer one is taken. */
function usable(secrets: readonly Secret[]): readonly Secret[] {
  const byValue = new Map<string, Secret>()
  for (const { name, value } of secrets) {
    const trimmed = value.trim()
    if (trimmed.length < SHORTEST_SECRET || byValue.has(trimmed)) continue
    const shown = name.replaceAll(/[^\w.-]/g, '_').slice(0, 64)
    // A value that is its own name would be seen in the mark.
    byValue.set(trimmed, { name: markOf(shown).includes(trimmed) ? 'secret' : shown, value: trimmed })
  }
  return [...byValue.values()].toSorted((a, b) => b.value.length - a.value.length)
}

/** A part of a text that must not be seen. */
interface Span {
  readonly start: number
  readonly end: number
  readonly name: string
}

/** The text from `from` to `to` with a mark in the place of each row of spans that touch. */
function cutOut(text: string, from: number, to: number, spans: readonly Span[]): string {
  let result = ''
  let at = from
  for (const { start, end, name } of merged(spans)) {
    if (end <= at || start >= to) continue
    result += text.slice(at, Math.max(at, start)) + markOf(name)
    at = Math.min(end, to)
  }
  return result + text.slice(at, to)
}

/** Where two overlap nothing of either stays. */
function merged(spans: readonly Span[]): Span[] {
  const rows: Span[] = []
  for (const span of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = rows.at(-1)
    if (last === undefined || span.start >= last.end) rows.push(span)
    else if (span.end > last.end) rows[rows.length - 1] = { ...last, end: span.end }
  }
  return rows
}

/** Redacts each string and number of a JSON text. */
function redactTokens(json: string, redact: (text: string) => string): string {
  let result = ''
  let at = 0
  for (;;) {
    const start = json.indexOf('"', at)
    result += redactNumbers(json.slice(at, start < 0 ? json.length : start), redact)
    if (start < 0) return result
    at = endOfString(json, start)
    result += redactString(json.slice(start, at), redact)
  }
}

/** The place after the closing quote. Without a regular expression: a string may be of many megabytes. */
function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at >= 0; at = json.indexOf('"', at + 1)) {
    let backslashes = 0
    while (json[at - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return at + 1
  }
  return json.length
}

function redactString(token: string, redact: (text: string) => string): string {
  const value = stringOf(token)
  // Not JSON after all (a line that was cut): then it is text.
  if (value === null) return redact(token)
  const redacted = redact(value)
  return redacted === value ? token : JSON.stringify(redacted)
}

function stringOf(token: string): string | null {
  if (!token.includes('\\')) return token.length > 1 && token.endsWith('"') ? token.slice(1, -1) : null
  try {
    return String(JSON.parse(token))
  } catch {
    return null
  }
}

function redactNumbers(between: string, redact: (text: string) => string): string {
  return between.replace(/-?\d[\d.eE+-]*/g, (number) => {
    const redacted = redact(number)
    return redacted === number ? number : JSON.stringify(redacted)
  })
}

/** Of what was given out, so much is looked at again: the beginning of a secret that was too short to be held. */
const LOOK_BACK = 64
/** More is not held: what is longer is no secret that is known. */
const LONGEST_HELD = 32 * 1024

interface PieceParts {
  readonly spansOf: (text: string) => Span[]
  readonly beginningOf: BeginningFinder
  /** Takes the end of a text that may be the beginning of what a pattern finds. */
  readonly open: RegExp | null
}

function createPieces({ spansOf, beginningOf, open }: PieceParts): Pieces {
  /** The last that was given out, as it was, and what is held after it. */
  let given = ''
  let held = ''

  function giveOut(window: string, upTo: number, spans: readonly Span[]): string {
    const from = given.length
    given = window.slice(Math.max(0, upTo - LOOK_BACK), upTo)
    held = window.slice(upTo)
    return cutOut(window, from, upTo, spans)
  }

  return {
    push(piece) {
      const window = given + held + piece
      const spans = spansOf(window)
      const places = [beginningOf(window)?.index, open?.exec(window)?.index ?? undefined]
      const hold = Math.min(window.length, ...places.filter((place) => place !== undefined))
      // What was found is given out whole or not at all.
      const start = Math.min(hold, ...spans.filter(({ end }) => end > hold).map((span) => span.start))
      const isTooLong = window.length - start > LONGEST_HELD
      return giveOut(window, isTooLong ? window.length : Math.max(given.length, start), spans)
    },
    end() {
      const window = given + held
      const cut = beginningOf(window)
      const beginning = cut === null ? [] : [{ start: cut.index, end: window.length, name: cut.name }]
      return giveOut(window, window.length, [...spansOf(window), ...beginning])
    },
  }
}
