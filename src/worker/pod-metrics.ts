/** What a worker's own `/metrics` says. */
import { metric, type Metric, type ProcessMetrics } from '../telemetry/exposition.ts'
import type { Flow } from './flow.ts'

export interface PodMetricsParts {
  readonly podId: string
  /** Sessions that are claimed. */
  readonly running: number
  readonly flow: Pick<Flow, 'isSlowed' | 'unsentBytes'>
  readonly processMetrics: Pick<ProcessMetrics, 'read'>
}

export function podMetrics({ podId, running, flow, processMetrics }: PodMetricsParts): readonly Metric[] {
  return [
    {
      name: 'drover_pod_info',
      type: 'gauge',
      help: 'Which pod this is.',
      samples: [{ labels: { pod_id: podId }, value: 1 }],
    },
    metric('gauge', 'drover_pod_sessions_running', 'Sessions that this pod has claimed.', running),
    metric(
      'gauge',
      'drover_pod_spool_unsent_bytes',
      'What agents of this pod have printed and Redis has not taken yet, in bytes.',
      flow.unsentBytes(),
    ),
    metric(
      'gauge',
      'drover_pod_back_pressure',
      '1 while what agents print is sent slowly, because too much waits for a recorder.',
      Number(flow.isSlowed),
    ),
    ...processMetrics.read(),
  ]
}
