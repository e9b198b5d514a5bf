/**
 * Tells fast that a text holds no secret. Every find has some telling rows of four characters (`grams`), of which one
 * is in every text that the find is in; one pass over a text looks them all up in a table. A hit means nothing yet:
 * only then the regular expressions run.
 */

/** Something to be found, with the grams that tell of it; null: it can be in any text. */
export interface Findable {
  readonly source: string
  /** Of four characters, or of three: then any fourth may follow. */
  readonly grams: readonly string[] | null
}

/** Whether one of the finds may be in the text; never false for a text that has one. */
export type Filter = (text: string) => boolean

const GRAM = 4
const TABLE_BITS = 16

/** A filter over groups of finds; a group's regular expression runs only for texts with a gram of that group. */
export function createFilter(groups: readonly (readonly Findable[])[]): Filter {
  const known = groups.map((finds) => finds.filter(({ grams }) => grams !== null))
  const look = createGramTable(known.map((finds) => finds.flatMap(({ grams }) => grams ?? [])))
  const expressions = known.map(anyOf)
  const always = anyOf(groups.flat().filter(({ grams }) => grams === null))

  return (text) => {
    const found = look(text)
    if (found !== 0 && expressions.some((find, group) => (found & (1 << group)) !== 0 && find?.test(text)))
      return true
    return always?.test(text) ?? false
  }
}

function anyOf(finds: readonly Findable[]): RegExp | null {
  return finds.length === 0 ? null : new RegExp(finds.map(({ source }) => source).join('|'))
}

/** Answers the groups of which a text has a gram, one bit each. */
function createGramTable(groups: readonly (readonly string[])[]): (text: string) => number {
  const grams = new Map<number, number>()
  for (const [group, rows] of groups.entries()) {
    for (const row of rows.flatMap(rowsOf)) grams.set(row, (grams.get(row) ?? 0) | (1 << group))
  }
  // Most characters are done with a look into an array that fits into the processor's cache.
  const isMarked = new Uint8Array(1 << TABLE_BITS)
  for (const row of grams.keys()) isMarked[slotOf(row)] = 1
  return (text) => {
    let found = 0
    let row = 0
    for (let at = 0; at < text.length; at++) {
      row = (row << 8) | (text.charCodeAt(at) & 0xff)
      if (isMarked[slotOf(row)] === 1) found |= grams.get(row) ?? 0
    }
    return found
  }
}

/** A gram as a number; of three characters, with each fourth. */
function rowsOf(gram: string): number[] {
  let row = 0
  for (let at = 0; at < gram.length; at++) row = (row << 8) | (gram.charCodeAt(at) & 0xff)
  return gram.length === GRAM ? [row] : Array.from({ length: 256 }, (_, last) => (row << 8) | last)
}

function slotOf(row: number): number {
  return Math.imul(row, 0x9e3779b1) >>> (32 - TABLE_BITS)
}
