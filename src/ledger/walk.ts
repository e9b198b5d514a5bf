/**
 * Going back through rows that no index can sort out, for a bounded time: a page then ends where the time was over,
 * with fewer rows than asked for and a cursor to go on from. So no question stops the process that answers it.
 */

/** One page may look at rows for so long; the first one is always looked at. */
const PATIENCE_MS = 50

export interface Walked<Row> {
  readonly found: readonly Row[]
  /** The row that the next page begins behind; null where there is nothing more. */
  readonly last: Row | null
}

/** The first `limit` rows that are wanted. Stops reading `rows` as soon as it has them, or when its time is over. */
export function walk<Row>(rows: Iterable<Row>, limit: number, isWanted: (row: Row) => boolean): Walked<Row> {
  const over = performance.now() + PATIENCE_MS
  const found: Row[] = []
  let last: Row | null = null
  for (const row of rows) {
    // Only now it is known that there is more behind the last one.
    if (found.length === limit) return { found, last }
    if (isWanted(row)) found.push(row)
    last = row
    if (performance.now() > over) return { found, last }
  }
  return { found, last: null }
}
