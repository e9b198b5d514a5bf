/** `/metrics`: the board's figures for Prometheus. What cannot be asked at the moment is left out; `drover_up` says so. */
import { sleep, systemClock } from '../../core/clock.ts'
import type { Figures, SpentByType } from '../../ledger/figures.ts'
import { readLag } from '../../recorder/lag.ts'
import type { Recorder } from '../../recorder/recorder.ts'
import {
  exposition,
  EXPOSITION_TYPE,
  metric,
  type Metric,
  type ProcessMetrics,
  type Sample,
} from '../../telemetry/exposition.ts'
import type { BoardApp } from '../zod-routes.ts'
import { alarmsOf, type HealthRoutesParts } from './health.ts'

export interface MetricsRoutesParts extends Pick<
  HealthRoutesParts,
  'version' | 'namespace' | 'redis' | 'keys' | 'ledger' | 'alarms'
> {
  readonly recorder: Pick<Recorder, 'recording' | 'position' | 'figures'>
  readonly processMetrics: ProcessMetrics
}

/** Sums over all sessions are read again after this: 50,000 of them take some 20 ms. */
const SPENT_EVERY_MS = 30_000
/** Prometheus itself waits 10 s. */
const ASK_MS = 2000

export function metricsRoutes(app: BoardApp, parts: MetricsRoutesParts): void {
  const spent = cached(() => parts.ledger.figures.spentByType(), SPENT_EVERY_MS)

  const declared = {
    config: { scope: 'read', texts: { 'text/plain': 'Prometheus text format.' } },
    schema: { tags: ['Operation'], summary: 'Figures for Prometheus' },
  } as const
  app.get('/metrics', declared, async (_request, reply) => {
    const stream = await askOrNothing(() => streamMetrics(parts))
    const ledger = await askOrNothing(() => ledgerMetrics(parts, spent()))
    const { version, namespace } = parts
    const text = exposition([
      {
        name: 'drover_build_info',
        type: 'gauge',
        help: 'Which Drover this is.',
        samples: [{ value: 1, labels: { version, namespace } }],
      },
      {
        name: 'drover_up',
        type: 'gauge',
        help: '1 where this could be asked for these figures.',
        samples: [
          { labels: { part: 'redis' }, value: Number(stream !== null) },
          { labels: { part: 'ledger' }, value: Number(ledger !== null) },
        ],
      },
      ...(stream ?? []),
      ...recorderMetrics(parts.recorder),
      ...(ledger ?? []),
      ...parts.processMetrics.read(),
    ])
    return await reply.header('content-type', EXPOSITION_TYPE).header('cache-control', 'no-store').send(text)
  })
}

async function streamMetrics({ redis, keys, recorder }: MetricsRoutesParts): Promise<readonly Metric[]> {
  const lag = await readLag(redis, keys, recorder.position)
  const oldestAt = lag.oldest === null ? 0 : Date.parse(lag.oldest.ts) / 1000
  return [
    metric(
      'gauge',
      'drover_recording_lag_seconds',
      "Age of the oldest event that is not recorded, by Redis' clock; 0 where everything is.",
      lag.lagMs / 1000,
    ),
    metric(
      'gauge',
      'drover_oldest_unrecorded_timestamp_seconds',
      'When the oldest event that is not recorded was published, in seconds since 1970; 0 where everything is.',
      oldestAt,
    ),
    metric('gauge', 'drover_stream_length', 'Events on the stream, recorded ones included.', lag.length),
    metric(
      'gauge',
      'drover_stream_unrecorded',
      'Events on the stream that are not recorded.',
      lag.unrecorded,
    ),
  ]
}

function recorderMetrics(recorder: MetricsRoutesParts['recorder']): readonly Metric[] {
  const { entries, commits, faults, batchSeconds } = recorder.figures()
  return [
    metric(
      'gauge',
      'drover_recorder_active',
      '1 where this board records, 0 where it waits for another one.',
      Number(recorder.recording),
    ),
    metric('counter', 'drover_events_recorded_total', 'Events that this board committed.', entries),
    metric('counter', 'drover_recorder_commits_total', 'Transactions that this board committed.', commits),
    metric(
      'counter',
      'drover_recorder_faults_total',
      'Events that this board could not record as they were.',
      faults,
    ),
    {
      name: 'drover_recorder_batch_seconds',
      type: 'histogram',
      help: 'Seconds of a transaction, waiting for a locked or full disk included.',
      samples: batchSeconds,
    },
  ]
}

function ledgerMetrics(parts: MetricsRoutesParts, spent: readonly SpentByType[]): readonly Metric[] {
  const { figures } = parts.ledger
  const bytes = figures.fileBytes()
  return [
    {
      name: 'drover_sessions',
      type: 'gauge',
      help: 'Sessions in the ledger, by state.',
      samples: figures.sessionsByState().map(({ key, count }) => ({ labels: { state: key }, value: count })),
    },
    {
      name: 'drover_agents_running',
      type: 'gauge',
      help: 'Agents that have not ended, by type, as far as is recorded.',
      samples: figures
        .agentsByType()
        .map(({ key, count }) => ({ labels: { agent_type: key }, value: count })),
    },
    {
      name: 'drover_tokens_total',
      type: 'counter',
      help: 'Tokens that all recorded sessions used, by type and kind; at most 30 s old.',
      samples: spent.flatMap(tokensOf),
    },
    {
      name: 'drover_cost_usd_total',
      type: 'counter',
      help: 'Cost of all recorded sessions in USD, by type; at most 30 s old.',
      samples: spent.map(({ agent_type, cost_micros }) => ({
        labels: { agent_type },
        value: cost_micros / 1e6,
      })),
    },
    metric('gauge', 'drover_ledger_faults', 'Events in recorder_fault.', figures.faults()),
    metric('gauge', 'drover_ledger_gaps', 'Gaps of event_gap that nothing has filled.', figures.gaps()),
    {
      name: 'drover_alarm',
      type: 'gauge',
      help: '1 for each alarm of /readyz.',
      samples: alarmsOf(parts).map(({ name }) => ({ labels: { name }, value: 1 })),
    },
    metric('gauge', 'drover_ledger_file_bytes', "Size of the ledger's file.", bytes.file),
    metric('gauge', 'drover_ledger_wal_bytes', "Size of the ledger's write-ahead log.", bytes.wal),
  ]
}

function tokensOf(row: SpentByType): readonly Sample[] {
  const kinds = {
    input: row.input_tokens,
    output: row.output_tokens,
    cache_read: row.cache_read_tokens,
    cache_creation: row.cache_creation_tokens,
  }
  return Object.entries(kinds).map(([kind, value]) => ({
    labels: { agent_type: row.agent_type, kind },
    value,
  }))
}

/** Null where it cannot be asked, or does not answer in time. */
async function askOrNothing<T>(ask: () => Promise<T> | T): Promise<T | null> {
  const answered = new AbortController()
  const late = sleep(ASK_MS, answered.signal).then(() => null)
  try {
    return await Promise.race([ask(), late])
  } catch {
    return null
  } finally {
    answered.abort()
  }
}

function cached(read: () => ReturnType<Figures['spentByType']>, maxAgeMs: number): typeof read {
  let last: { readonly at: number; readonly value: ReturnType<typeof read> } | null = null
  return () => {
    const now = systemClock.monotonic()
    if (last === null || now - last.at >= maxAgeMs) last = { at: now, value: read() }
    return last.value
  }
}
