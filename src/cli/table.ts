/** Plain tables: columns under heads, no lines. Imported by the commands that show one. */
import { stripVTControlCharacters } from 'node:util'
import Table from 'cli-table3'
import type { Output } from './output.ts'
import { cut } from './safe-text.ts'

const GAP = 2
const NO_LINES = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
  'middle',
] as const

/** The last column is never cut below this. */
const LEAST_LAST_COLUMN = 12
/** Of what goes on below its row. */
const INDENT = '    '
/** The beginning of a session's id, which commands take for the whole (`session-id.ts`). */
const SHORT_ID = /\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g

/** A line of a table: its heads, or a row. */
type Cells = readonly string[]

/** What a table is made for: where it is shown decides what becomes of one that is too wide. */
export type Shown = Pick<Output, 'width' | 'isTerminal'>

/**
 * The table as text. Cells may have colours; untrusted text is made visible (`safe-text.ts`) before.
 *
 * Nothing is cut. On a terminal where it is too wide, session ids are shortened, and columns that still do not fit stand
 * below their row: the terminal would break the lines anywhere. A pipe or a file gets all as it is.
 */
export function table(heads: Cells, rows: readonly Cells[], { width, isTerminal }: Shown): string {
  if (!isTerminal || widthOf(heads, rows) <= width) return lines(heads, rows).join('\n')
  return folded(heads, rows.map(shortened), width)
}

/** The same where the last column is a text of any length, without colours: it is cut so that the line fits. */
export function textTable(heads: Cells, rows: readonly Cells[], { width, isTerminal }: Shown): string {
  const asIs = cutLast(heads, rows, width)
  if (!isTerminal || widthOf(heads, asIs) <= width) return lines(heads, asIs).join('\n')
  const short = rows.map(shortened)
  const fitted = cutLast(heads, short, width)
  if (widthOf(heads, fitted) <= width) return lines(heads, fitted).join('\n')
  // Below its row it has a line for itself.
  return folded(
    heads,
    short.map((row) => cutLastTo(row, width - INDENT.length)),
    width,
  )
}

function shortened(row: Cells): Cells {
  return row.map((cell) => cell.replaceAll(SHORT_ID, '$1'))
}

/** As many columns in each line as fit, the others below. */
function folded(heads: Cells, rows: readonly Cells[], width: number): string {
  const parts: string[][] = []
  for (let from = 0; from < heads.length;) {
    const indent = from === 0 ? '' : INDENT
    const of = (until: number): [Cells, readonly Cells[]] => [
      heads.slice(from, until),
      rows.map((row) => row.slice(from, until)),
    ]
    let until = heads.length
    while (until > from + 1 && indent.length + widthOf(...of(until)) > width) until -= 1
    parts.push(lines(...of(until)).map((line) => indent + line))
    from = until
  }
  const [first = []] = parts
  return first
    .flatMap((_, index) => parts.map((part) => part[index] ?? '').filter((line) => line.trim() !== ''))
    .join('\n')
}

function lines(heads: Cells, rows: readonly Cells[]): string[] {
  const view = new Table({
    head: [...heads],
    chars: Object.fromEntries(NO_LINES.map((name) => [name, ''])),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
  })
  view.push(...rows.map((row) => [...row]))
  return view
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
}

function cutLast(heads: Cells, rows: readonly Cells[], width: number): readonly Cells[] {
  const before = widthsOf(heads, rows).slice(0, -1)
  const left = width - before.reduce((sum, columns) => sum + columns + GAP, 0)
  return rows.map((row) => cutLastTo(row, Math.max(left, LEAST_LAST_COLUMN)))
}

function cutLastTo(row: Cells, width: number): Cells {
  return [...row.slice(0, -1), cut(row.at(-1) ?? '', width)]
}

function widthOf(heads: Cells, rows: readonly Cells[]): number {
  return widthsOf(heads, rows).reduce((sum, columns) => sum + columns + GAP, -GAP)
}

function widthsOf(heads: Cells, rows: readonly Cells[]): number[] {
  return heads.map((head, column) =>
    rows.reduce(
      (longest, row) => Math.max(longest, stripVTControlCharacters(row[column] ?? '').length),
      head.length,
    ),
  )
}
