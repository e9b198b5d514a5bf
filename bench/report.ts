/** What a benchmark measured: the statistics over its pairs, and how they are printed. */

/** Of at least one value. */
export interface Summary {
  readonly median: number
  readonly p10: number
  readonly p90: number
  readonly p99: number
  readonly min: number
  readonly max: number
  readonly n: number
}

/** Median, 10th, 90th and 99th percentile, between two values in proportion; the smallest and the largest. */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new Error('a benchmark measured nothing')
  const sorted = values.toSorted((a, b) => a - b)
  return {
    median: at(sorted, 0.5),
    p10: at(sorted, 0.1),
    p90: at(sorted, 0.9),
    p99: at(sorted, 0.99),
    min: at(sorted, 0),
    max: at(sorted, 1),
    n: sorted.length,
  }
}

function at(sorted: readonly number[], quantile: number): number {
  const place = quantile * (sorted.length - 1)
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

export const median = (values: readonly number[]): number => summarize(values).median

/** `×` is a ratio of ours to the bare thing. */
export type Unit = '×' | 'ms' | 'events/s' | 'commands/s' | 'sessions/s' | 'MB' | 'cores'

/** A number beside the measured one, for whoever asks where it comes from. */
export interface Detail {
  readonly label: string
  readonly value: number
  readonly unit: string
}

/** One for the 99th percentile is an upper bound. */
export interface Goal {
  readonly op: '>=' | '<='
  readonly value: number
  /** For the worst value too, not for the median alone. @default false */
  readonly always?: boolean
  /** For 99 of 100 values, not for the median. @default false */
  readonly p99?: boolean
}

export interface Result {
  readonly bench: string
  readonly title: string
  readonly unit: Unit
  readonly measured: Summary
  /** null where there is none. */
  readonly goal: Goal | null
  readonly details: readonly Detail[]
}

/** Whether the median, the 99th percentile or all values meet the goal; null without one. */
export function isMet({ measured, goal }: Result): boolean | null {
  if (goal === null) return null
  const { median, min, max, p99 } = measured
  if (goal.p99 === true) return p99 <= goal.value
  return goal.op === '>='
    ? (goal.always === true ? min : median) >= goal.value
    : (goal.always === true ? max : median) <= goal.value
}

const DIGITS: Readonly<Record<Unit, number>> = {
  '×': 2,
  ms: 1,
  'events/s': 0,
  'commands/s': 2,
  'sessions/s': 0,
  MB: 1,
  cores: 2,
}

/** A result as lines for people. */
export function format(result: Result): string {
  const { bench, title, unit, measured, goal } = result
  const show = (value: number): string => value.toFixed(DIGITS[unit])
  const { p10, p90, p99, min, max, n } = measured
  const slowest = goal?.p99 === true ? `, p99 ${show(p99)}` : ''
  const spread = `p10 ${show(p10)}, p90 ${show(p90)}${slowest}, least ${show(min)}, most ${show(max)}, n ${n}`
  const verdict = goal === null ? '' : ` · goal ${wordsOf(goal, unit)}: ${isMet(result) ? 'met' : 'MISSED'}`
  const beside = besideOf(result)
  return [
    `${bench}: ${title}`,
    `  ${show(measured.median)} ${unit} (${spread})${verdict}`,
    ...(beside.length > 0 ? [`  ${beside.join(' · ')}`] : []),
  ].join('\n')
}

/** Results as a Markdown table, and what stands beside them as a list: what docs/benchmarks.md has. */
export function formatMarkdown(results: readonly Result[]): string {
  const rows = results.map((result) => {
    const { bench, title, unit, measured, goal } = result
    const show = (value: number): string => value.toFixed(DIGITS[unit])
    const { median, p10, p90, p99, min, max, n } = measured
    const worst = goal?.p99 === true ? `p99 ${show(p99)}` : show(goal?.op === '>=' ? min : max)
    const met = { true: 'met', false: '**missed**', null: '' }[
      String(isMet(result)) as 'true' | 'false' | 'null'
    ]
    const cells =
      n === 1
        ? [`${show(median)} ${unit}`, '', '']
        : [`${show(median)} ${unit}`, `${show(p10)} … ${show(p90)}`, worst]
    const aim = goal === null ? '–' : signs(wordsOf(goal, unit))
    return `| \`${bench}\` | ${title} | ${cells.join(' | ')} | ${n} | ${aim} | ${met} |`
  })
  const beside = results
    .filter(({ details }) => details.length > 0)
    .map((result) => `- \`${result.bench}\`, ${result.title}: ${besideOf(result).join(', ')}.`)
  return [
    '| name | what | median | p10 … p90 | worst | n | goal | |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    ...(beside.length > 0 ? ['', 'Beside them:', '', ...beside] : []),
  ].join('\n')
}

const signs = (text: string): string => text.replace('<=', '≤').replace('>=', '≥')

const besideOf = ({ details }: Result): string[] =>
  details.map(({ label, value, unit }) => `${label} ${value.toFixed(digitsOf(value))} ${unit}`.trimEnd())

function wordsOf({ op, value, always = false, p99 = false }: Goal, unit: Unit): string {
  return `${p99 ? 'p99 ' : ''}${op} ${value} ${unit}${always ? ' always' : ''}`
}

/** Three figures or so. */
function digitsOf(value: number): number {
  const size = Math.abs(value)
  return size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2
}
