/**
 * Metrics in Prometheus' text format 0.0.4. Written by hand, because Drover's figures are read at the moment of the
 * question from where they live (Redis, the ledger, the process): a registry would be a second copy of them.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The content type of `exposition`. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export interface Sample {
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
  /** `_bucket`, `_sum`, `_count` of a histogram. */
  readonly suffix?: string
}

export interface Metric {
  /** `drover_…`, with its unit at the end; a counter ends in `_total`. */
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** A metric of one sample without labels. */
export function metric(type: 'gauge' | 'counter', name: string, help: string, value: number): Metric {
  return { name, type, help, samples: [{ value }] }
}

/** The page that a Prometheus server reads. Whatever a label's value holds, it stays one line. */
export function exposition(metrics: readonly Metric[]): string {
  return metrics
    .flatMap(({ name, type, help, samples }) => [
      `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
      `# TYPE ${name} ${type}`,
      ...samples.map(
        ({ value, labels, suffix = '' }) => `${name}${suffix}${labelsOf(labels)} ${textOf(value)}`,
      ),
    ])
    .map((line) => `${line}\n`)
    .join('')
}

function labelsOf(labels: Sample['labels'] = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function textOf(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}

export interface Histogram {
  observe(value: number): void
  samples(): readonly Sample[]
}

/** @param bounds ascending upper bounds of the buckets; the one without a bound is added */
export function createHistogram(bounds: readonly number[]): Histogram {
  const limits = [...bounds, Number.POSITIVE_INFINITY]
  const counts = limits.map(() => 0)
  let sum = 0

  return {
    observe(value) {
      sum += value
      // Buckets are cumulative: each counts everything up to its bound.
      for (const [index, limit] of limits.entries())
        if (value <= limit) counts[index] = (counts[index] ?? 0) + 1
    },
    samples: () => [
      ...limits.map((limit, index) => ({
        suffix: '_bucket',
        labels: { le: textOf(limit) },
        value: counts[index] ?? 0,
      })),
      { suffix: '_sum', value: sum },
      { suffix: '_count', value: counts.at(-1) ?? 0 },
    ],
  }
}

export interface ProcessMetrics {
  read(): readonly Metric[]
  stop(): void
}

/** What every process of Drover says of itself, under the names that Prometheus' own clients use. */
export function createProcessMetrics(): ProcessMetrics {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const startedAt = Date.now() / 1000 - process.uptime()

  return {
    read() {
      const cpu = process.cpuUsage()
      const { rss, heapUsed } = process.memoryUsage()
      const delaySeconds = (nanoseconds: number): number =>
        Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0
      const metrics = [
        metric(
          'counter',
          'process_cpu_seconds_total',
          'CPU time that the process used, in seconds.',
          (cpu.user + cpu.system) / 1e6,
        ),
        metric('gauge', 'process_resident_memory_bytes', 'Memory of the process, in bytes.', rss),
        metric('gauge', 'nodejs_heap_size_used_bytes', 'JavaScript heap in use, in bytes.', heapUsed),
        metric(
          'gauge',
          'process_start_time_seconds',
          'When the process started, in seconds since 1970.',
          startedAt,
        ),
        metric(
          'gauge',
          'nodejs_eventloop_lag_p99_seconds',
          'How late the event loop was in one of a hundred turns since the last question, in seconds.',
          delaySeconds(delay.percentile(99)),
        ),
      ]
      delay.reset()
      return metrics
    },
    stop: () => void delay.disable(),
  }
}
