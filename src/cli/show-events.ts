/** Events of all sessions, and what was found in them, for people. */
import type { Envelope } from '../core/envelope.ts'
import type { SaidHit } from '../ledger/ledger.ts'
import type { Colors, Output } from './output.ts'
import { visible } from './safe-text.ts'
import { table, type Shown } from './table.ts'

const HEADS = ['time', 'session', 'seq', 'event', 'agent']

/** `events list`: nothing of it is cut, since all of it may be asked for by name. */
export function eventsTable(events: readonly Envelope[], nextCursor: string | null, shown: Shown): string {
  if (events.length === 0) return 'No events.'
  const rows = events.map(({ ts, session_id, seq, agent_id, agent_type, type }) => [
    ts,
    session_id ?? '',
    String(seq ?? ''),
    visible(type),
    agent_id ?? agent_type,
  ])
  return `${table(HEADS, rows, shown)}${more(nextCursor)}`
}

/** `sessions search`: where it was said, then the text around it with the words in front. */
export function hitsText(
  hits: readonly SaidHit[],
  nextCursor: string | null,
  { colors }: Pick<Output, 'colors'>,
): string {
  if (hits.length === 0) return `Nothing was found.${more(nextCursor)}`
  const shown = hits.map((hit) => {
    const head = `${hit.session_id}  ${hit.agent_id ?? hit.agent_type}  ${hit.ts}  ${hit.type} ${hit.seq}`
    return `${colors.dim(visible(head))}\n  ${marked(hit, colors)}`
  })
  return `${shown.join('\n\n')}${more(nextCursor)}`
}

/** On one line; each piece is made visible by itself, so that nothing moves the marks. */
function marked({ snippet, matches }: SaidHit, colors: Colors): string {
  let at = 0
  let text = ''
  const piece = (from: number, to: number): string => visible(snippet.slice(from, to).replaceAll(/\s+/g, ' '))
  for (const [from, to] of matches) {
    text += `${piece(at, from)}${colors.bold(colors.yellow(piece(from, to)))}`
    at = to
  }
  return `${text}${piece(at, snippet.length)}`
}

function more(nextCursor: string | null): string {
  return nextCursor === null ? '' : `\n\nMore with --cursor ${nextCursor}`
}
