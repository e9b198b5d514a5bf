/**
 * The written forms of a secret: what to look for in a text so that the value is found however it was quoted,
 * escaped or encoded on its way there.
 *
 * A form is a row of units, one for each character of the written value; a unit is the source of a regular
 * expression that takes that character in every usual spelling. Rows serve two ends: joined they find the whole value,
 * and one by one they tell whether a text ends in the beginning of one (`beginsAt`).
 */

/** One way in which a value may be written. */
export interface Form {
  readonly units: readonly string[]
  /** Rows of four characters of which one is in every text that has the form; null where there are none. */
  readonly grams: readonly string[] | null
}

/** Lines of a value in several lines (a private key) are looked for alone from this length on. */
const LINE_LENGTH = 16
/** A value is looked for in these many bytes before it in base64: where it stands modulo 3 decides how it looks. */
const BASE64_OFFSETS = [0, 1, 2]
/** Line breaks with an indentation, plain or escaped to any depth: `base64` wraps after 76 characters. */
const BREAKS = String.raw`(?:(?:[\r\n]|\\+[rn])(?:\s|\\+[rnt])*)?`
/** Between the bytes of a hex dump: `73:6b`, `73 6b`, `\x73\x6b`, `%73%6b`. */
const HEX_BREAKS = String.raw`(?:\r\n|[ \t\r\n:%-]|(?:,? ?|,\s)0x|, ?|\\+[xrn])?`

/**
 * All forms of a value: as it is, quoted for JSON or a shell to any depth and URL-encoded in any part; base64 and
 * base64url at each of the three offsets, with or without padding and line breaks; hex in both cases. A long line of a
 * value in several lines is a form of its own.
 */
export function formsOf(value: string): Form[] {
  const bytes = Buffer.from(value, 'utf8')
  const lines = value.split(/[\r\n]+/)
  const parts = lines.length === 1 ? [] : lines.map((line) => line.trim()).filter(isTelling)
  return [
    written(value),
    ...BASE64_OFFSETS.map((offset) => base64(bytes, offset)),
    hex(bytes),
    ...parts.map(written),
  ]
}

/** The frame of a private key says nothing. */
function isTelling(line: string): boolean {
  return line.length >= LINE_LENGTH && !line.startsWith('-----')
}

function written(value: string): Form {
  // Quoting doubles backslashes, so a run of them is one unit of any length.
  const characters = value.match(/\\+|[^\\]/gsu) ?? []
  // From the end: keys and tokens begin with what they are (`drover_…`, `sk-ant-…`), which many a text says too.
  const plain = value.match(/[A-Za-z0-9]{4}/g)?.at(-1)
  return { units: characters.map(spellings), grams: plain === undefined ? null : [plain] }
}

/** What no encoder touches. Forms write `~` as `%7E`, some encoders `_`, `.` and `-` too. */
const PLAIN = /^[A-Za-z0-9]$/
const NAMED: Readonly<Record<string, string>> = { '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f' }

function spellings(character: string): string {
  if (PLAIN.test(character)) return literal(character)
  const url = [...Buffer.from(character, 'utf8')].map((byte) => `%${anyCase(hexByte(byte))}`).join('')
  const json = utf16(character)
    .map((unit) => `\\\\+u${anyCase(unit)}`)
    .join('')
  if (character.startsWith('\\')) return String.raw`(?:\\+u005[cC]|%5[cC]|\\+)`
  const escape = NAMED[character]
  if (escape !== undefined) return `(?:${literal(character)}|\\\\+${escape}|${url}|${json})`
  const plus = character === ' ' ? '|\\+' : ''
  return `(?:\\\\*${literal(character)}|${url}|${json}${plus})`
}

function base64(bytes: Buffer, offset: number): Form {
  const text = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .replace(/=+$/, '')
  // What the bytes before and after it have a part in can be any character.
  const known = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
  return { units: withBreaks(known.split('').map(base64Character), BREAKS), grams: twoGrams(known) }
}

/** Lines of nine characters and more break one of the two at most. */
function twoGrams(text: string): readonly string[] | null {
  const grams = /([A-Za-z0-9]{4})([A-Za-z0-9]{4})/.exec(text)
  return grams === null ? null : grams.slice(1)
}

function base64Character(character: string): string {
  if (character === '+') return String.raw`(?:[+-]|%2[bB]|\\+u002[bB])`
  if (character === '/') return String.raw`(?:\\*\/|_|%2[fF]|\\+u002[fF])`
  return character
}

function hex(bytes: Buffer): Form {
  const digits = [...bytes].map(hexByte)
  const [first = '', second = ''] = digits
  return {
    units: withBreaks(digits.map(anyCase), HEX_BREAKS),
    grams: [second, ...HEX_GAPS.map((gap) => gap + second)]
      .map((next) => (first + next).slice(0, 4))
      .flatMap(inCases),
  }
}

/** How what `HEX_BREAKS` takes begins. */
const HEX_GAPS = [
  ' ',
  '\t',
  '\r',
  '\n',
  ':',
  '%',
  '-',
  ',',
  '\r\n',
  '0x',
  ',0',
  ' 0',
  ', ',
  ',\n',
  ',\t',
  ',\r',
  '\\x',
  '\\r',
  '\\n',
  '\\\\',
]

function inCases(text: string): string[] {
  return [text, text.replaceAll(/[a-f]/g, (digit) => digit.toUpperCase())]
}

function withBreaks(units: readonly string[], breaks: string): string[] {
  return units.map((unit, index) => (index === 0 ? unit : breaks + unit))
}

const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0')

function utf16(character: string): string[] {
  return Array.from({ length: character.length }, (_, at) =>
    character.charCodeAt(at).toString(16).padStart(4, '0'),
  )
}

function anyCase(digits: string): string {
  return digits.replaceAll(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)
}

/** The source that takes exactly this text. */
function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)
}

/** Units that must have come before a text counts as the beginning of a value. */
export const LEAST_BEGINNING = 4

/** Where a text runs out in the middle of a value, and whose. */
export interface Beginning {
  readonly index: number
  readonly name: string
}

/** The first place of a text where it could go on to become one of the values; null for none. */
export type BeginningFinder = (text: string) => Beginning | null

/** Over all forms of the named values. */
export function createBeginningFinder(
  values: readonly { readonly name: string; readonly forms: readonly Form[] }[],
): BeginningFinder {
  const all = values.flatMap(({ name, forms }) => forms.map(({ units }) => ({ name, units })))
  const known = all.filter(({ units }) => units.length > LEAST_BEGINNING)
  if (known.length === 0) return () => null
  const head = new RegExp(known.map(({ units }) => units.slice(0, LEAST_BEGINNING).join('')).join('|'), 'g')
  return (text) => {
    for (head.lastIndex = 0; ;) {
      const index = head.exec(text)?.index
      if (index === undefined) return null
      const found = known.find(({ units }) => runsOut(units, text, index))
      if (found !== undefined) return { index, name: found.name }
      head.lastIndex = index + 1
    }
  }
}

/** Whether the text ends within the units, which begin at `start`. */
function runsOut(units: readonly string[], text: string, start: number): boolean {
  let places = [start]
  for (const unit of units) {
    const next = new Set<number>()
    for (const at of places) {
      const ends = endsOf(unit, text, at)
      if (ends.length === 0 && isCutSpelling(text, at)) return true
      for (const end of ends) next.add(end)
    }
    if (next.size === 0) return false
    places = [...next]
  }
  return false
}

/** A spelling may be cut too: `%2`, `\u00`, a line break before the next character. */
function isCutSpelling(text: string, at: number): boolean {
  return text.length - at <= LONGEST_SPELLING && CUT_SPELLING.test(text.slice(at))
}

const PERCENT = spellings('%')

/** Where the unit may end. Of all spellings only those of `%` begin alike: `%25` is it encoded, or it and two digits. */
function endsOf(unit: string, text: string, at: number): number[] {
  if (unit === PERCENT && text.startsWith('%25', at)) return [at + 1, at + 3]
  const expression = new RegExp(unit, 'y')
  expression.lastIndex = at
  return expression.test(text) ? [expression.lastIndex] : []
}

/** Of an unfinished character: `\\\\u00e`, a wrapped line with its indentation. */
const LONGEST_SPELLING = 32
const CUT_SPELLING =
  /^(?:[ \t\r\n:,%-]|\\+[rntx]|0x)*(?:(?:\\+u[\da-fA-F]{4})?\\*(?:u[\da-fA-F]{0,3})?|(?:%[\da-fA-F]{2})*(?:%[\da-fA-F]?)?|[\da-fA-F]|0)$/
