/** What somebody typed as a query of FTS5: every word and every "quoted phrase", all of which must be there. */
import { invalidRequest } from '../core/errors.ts'

/** Longest text that is searched for, in characters. */
export const LONGEST_SEARCH = 500
/** A phrase, or what stands between spaces; a quote that is not closed goes to the end. */
const TERM = /"([^"]*)(?:"|$)|[^\s"]+/g
/** What SQLite's `unicode61` makes words of: letters, digits, private use. */
const WORDY = /[\p{L}\p{N}\p{Co}]/u

/**
 * A query that FTS5 accepts, whatever the text: each term is quoted, so that nothing in it is an operator.
 *
 * @throws DroverError `invalid_request` for a text without any word, or one that is too long
 */
export function wordsQuery(text: string): string {
  refuseLong(text)
  const terms = Array.from(text.matchAll(TERM), ([whole, phrase]) => phrase ?? whole).filter((term) =>
    WORDY.test(term),
  )
  if (terms.length === 0)
    throw invalidRequest([{ path: 'q', message: 'needs at least one word: letters or digits' }])
  return terms.map(quoted).join(' ')
}

/** The query for a text that is to be found as it stands, at least three characters of it. */
export function partQuery(text: string): string {
  return quoted(partOf(text))
}

/** The text, when it is not too long. @throws DroverError `invalid_request` */
export function partOf(text: string): string {
  refuseLong(text)
  return text
}

/** Whether a text is long enough for the trigram index, which finds nothing shorter. */
export function hasTrigram(text: string): boolean {
  return Array.from(text).length >= 3
}

function refuseLong(text: string): void {
  if (text.length > LONGEST_SEARCH)
    throw invalidRequest([{ path: 'q', message: `must have at most ${LONGEST_SEARCH} characters` }])
}

/** SQLite's texts end at a NUL. */
function quoted(term: string): string {
  return `"${term.replaceAll('\0', ' ').replaceAll('"', '""')}"`
}
