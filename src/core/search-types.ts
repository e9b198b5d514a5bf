/** Finding an agent type by words. */

/** What is searched. */
export interface SearchableType {
  readonly name: string
  readonly description: string
  readonly use_cases: readonly string[]
}

/** How much of a type is answered. */
export const DETAIL_LEVELS = ['name', 'summary', 'full'] as const
export type DetailLevel = (typeof DETAIL_LEVELS)[number]

/** Weights of a word by where it stands: a name is chosen with care, a use case is one of several. */
const IN_NAME = 8
const IN_DESCRIPTION = 3
const IN_USE_CASES = 2
/** A word that only begins with the one that was asked for: `audit` in `auditing`. */
const PREFIX_SHARE = 0.5
/** Shorter words begin too many others. */
const SHORTEST_PREFIX = 3
/** They are in every sentence. */
const SMALL_WORDS: ReadonlySet<string> = new Set(
  'a an and are as at be by for from i in is it me of on or my some that the this to us we with you'.split(
    ' ',
  ),
)

/**
 * Those types that have at least one of the words, best first: more of the words before fewer, then by where they
 * stand. Without words all of them, by name. Types that are equal stand by name.
 */
export function searchTypes<T extends SearchableType>(types: readonly T[], query: string): T[] {
  const words = [...new Set(wordsOf(query))]
  const asked = words.filter((word) => !SMALL_WORDS.has(word))
  const byName = types.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  if (words.length === 0) return byName
  return byName
    .map((type) => ({ type, ...rank(type, asked.length > 0 ? asked : words) }))
    .filter(({ found }) => found > 0)
    .toSorted((a, b) => b.found - a.found || b.score - a.score)
    .map(({ type }) => type)
}

function rank(type: SearchableType, asked: readonly string[]): { found: number; score: number } {
  const places: readonly (readonly [readonly string[], number])[] = [
    [wordsOf(type.name), IN_NAME],
    [wordsOf(type.description), IN_DESCRIPTION],
    [type.use_cases.flatMap(wordsOf), IN_USE_CASES],
  ]
  const scores = asked.map((word) =>
    places.reduce((sum, [words, weight]) => sum + weight * shareOf(word, words), 0),
  )
  return {
    found: scores.filter((score) => score > 0).length,
    score: scores.reduce((sum, score) => sum + score, 0),
  }
}

function shareOf(asked: string, words: readonly string[]): number {
  if (words.includes(asked)) return 1
  const begins = words.some(
    (word) => word.length >= SHORTEST_PREFIX && asked.length >= SHORTEST_PREFIX && haveOneStem(asked, word),
  )
  return begins ? PREFIX_SHARE : 0
}

/** One begins with the other: `doc` and `docs`, `reviewing` and `review`. */
function haveOneStem(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

/** `code_developer`, `doc-keeper-haiku` and sentences alike. */
function wordsOf(text: string): string[] {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
}
