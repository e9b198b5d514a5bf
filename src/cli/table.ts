/** Plain tables: columns under heads, no lines. Imported by the commands that show one. */
import { stripVTControlCharacters } from 'node:util'
import Table from 'cli-table3'
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

/**
 * The table as text. Cells may have colours; untrusted text is made visible (`safe-text.ts`) before. With `width` the
 * last column's cells, which must have no colour then, are cut so that a line fits.
 */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  width?: number,
): string {
  const fitted = width === undefined ? rows : cutLast(heads, rows, width)
  const view = new Table({
    head: [...heads],
    chars: Object.fromEntries(NO_LINES.map((name) => [name, ''])),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
  })
  view.push(...fitted.map((row) => [...row]))
  return view
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

function cutLast(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): readonly (readonly string[])[] {
  const before = heads.slice(0, -1).map((head, column) => {
    const longest = Math.max(...rows.map((row) => stripVTControlCharacters(row[column] ?? '').length), 0)
    return Math.max(head.length, longest) + GAP
  })
  const left = width - before.reduce((sum, columns) => sum + columns, 0)
  return rows.map((row) => [...row.slice(0, -1), cut(row.at(-1) ?? '', Math.max(left, LEAST_LAST_COLUMN))])
}
