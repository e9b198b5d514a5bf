/** Full-text search over what was said: prompts, the agent's words, tools' input and results. */
import { randomUUID } from 'node:crypto'
import type { Db } from './database.ts'
import { createEventRange, cursorPlace, type EventPlace, type EventRange } from './event-walk.ts'
import type { SaidFilter, SaidHit, SaidPage } from './ledger.ts'
import { encodeCursor, limitOf } from './list.ts'
import { wordsQuery } from './search-words.ts'
import { walk } from './walk.ts'

interface HitRow extends EventPlace {
  readonly session_id: string
  readonly seq: number
}

/** Words of the text around the first match. */
const SNIPPET_WORDS = 24
/** Some words are 4,000 characters long. */
const SNIPPET_LIMIT = 400
/** What is left of a snippet's text before its first match when it is cut. */
const LEAD = 80

export function createSaidSearch(db: Db): (filter: SaidFilter) => SaidPage {
  // Nobody can have said it.
  const mark = randomUUID()
  const rangeOf = createEventRange(db)
  // The casts: JavaScript's numbers are bound as reals, and FTS5 reads past a bound that is no integer (25 ms instead of
  // 0.4 for 500,000 hits).
  const select = db.prepare<[Pick<EventRange, 'before' | 'floor'> & { words: string }], HitRow>(`
    SELECT e.event_id, e.session_id, e.agent_id, e.agent_type, e.seq, e.ts, e.type
    FROM said_search AS f CROSS JOIN session_event AS e ON e.event_id = f.rowid
    WHERE f.text MATCH @words AND f.rowid < CAST(@before AS INTEGER) AND f.rowid >= CAST(@floor AS INTEGER)
    ORDER BY f.rowid DESC`)
  // The unary plus: one way through the index instead of one per hit.
  const selectSnippets = db.prepare<[{ words: string; ids: string; from: number; to: number }], SnippetRow>(`
    SELECT rowid AS event_id, snippet(said_search, 0, '${mark}', '${mark}', '…', ${SNIPPET_WORDS}) AS snippet
    FROM said_search
    WHERE text MATCH @words AND rowid BETWEEN CAST(@from AS INTEGER) AND CAST(@to AS INTEGER)
      AND +rowid IN (SELECT value FROM json_each(@ids))
    ORDER BY rowid DESC`)
  const selectPending = db
    .prepare<[], number>(
      `SELECT coalesce((SELECT max(event_id) FROM session_event), 0) - event_id FROM search_position`,
    )
    .pluck()

  function snippetsOf(words: string, found: readonly HitRow[]): ReadonlyMap<number, string> {
    const ids = found.map((row) => row.event_id)
    const [to = 0] = ids
    const from = ids.at(-1) ?? 0
    const rows = selectSnippets.all({ words, ids: JSON.stringify(ids), from, to })
    return new Map(rows.map((row) => [row.event_id, row.snippet]))
  }

  const search = (filter: SaidFilter): SaidPage => {
    const words = wordsQuery(filter.q)
    const limit = limitOf(filter.limit)
    const range = rangeOf(filter)
    const pending = Math.max(0, selectPending.get() ?? 0)
    if (range === null) return { rows: [], nextCursor: null, pending }
    const { before, floor, isMeant } = range
    const { found, last } = walk(select.iterate({ words, before, floor }), limit, isMeant)
    const snippets = found.length === 0 ? new Map<number, string>() : snippetsOf(words, found)
    return {
      rows: found.map(({ event_id, ...row }) => ({ ...row, ...shown(snippets.get(event_id) ?? '', mark) })),
      nextCursor: last === null ? null : encodeCursor(cursorPlace({ before: last.event_id })),
      pending,
    }
  }
  // One snapshot for both looks.
  return (filter) => db.transaction(() => search(filter))()
}

interface SnippetRow {
  readonly event_id: number
  readonly snippet: string
}

/** The text without marks, and where they were. */
function shown(marked: string, mark: string): Pick<SaidHit, 'snippet' | 'matches'> {
  // Text, match, text, match, …, text.
  const parts = marked.split(mark)
  let text = ''
  const matches: (readonly [number, number])[] = []
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 1) matches.push([text.length, text.length + part.length])
    text += part
  }
  return cutAround(text, matches)
}

function cutAround(
  text: string,
  matches: readonly (readonly [number, number])[],
): Pick<SaidHit, 'snippet' | 'matches'> {
  if (text.length <= SNIPPET_LIMIT) return { snippet: text, matches }
  const first = matches[0]?.[0] ?? 0
  const start = Math.max(0, Math.min(first - LEAD, text.length - SNIPPET_LIMIT))
  const end = start + SNIPPET_LIMIT
  const front = start > 0 ? '…' : ''
  const shift = front.length - start
  return {
    snippet: `${front}${text.slice(start, end)}${end < text.length ? '…' : ''}`.toWellFormed(),
    matches: matches.flatMap(([from, to]) =>
      from < start || from >= end ? [] : [[from + shift, Math.min(to, end) + shift] as const],
    ),
  }
}
