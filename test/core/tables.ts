import { readFileSync } from 'node:fs'

/** A document of `docs/`. */
export function readDoc(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
}

/** Rows of the Markdown tables whose first column has this heading: cells by heading, without back-ticks. */
export function tableRows(markdown: string, firstHeading: string): Record<string, string>[] {
  const lines = markdown.split('\n').map((line) => (line.startsWith('|') ? cellsOf(line) : null))
  const rows: Record<string, string>[] = []
  let headings: string[] | null = null
  for (const [index, cells] of lines.entries()) {
    if (cells === null) headings = null
    else if (lines[index - 1] === null || index === 0) headings = cells[0] === firstHeading ? cells : null
    else if (headings !== null && !cells.every((cell) => /^-+$/.test(cell))) {
      rows.push(Object.fromEntries(headings.map((heading, column) => [heading, cells[column] ?? ''])))
    }
  }
  return rows
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1'))
}
