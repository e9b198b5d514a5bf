/** Pods for people: what each takes, and why one takes nothing. */
import type { PodRow } from '../core/pod-row.ts'
import type { Colors, Output } from './output.ts'
import { visible } from './safe-text.ts'
import { textTable } from './table.ts'

/** Green: it takes sessions. Red: somebody should look. */
const STATE_COLORS = {
  starting: 'dim',
  ready: 'green',
  draining: 'dim',
  no_room: 'yellow',
  no_guard: 'red',
  waiting_redis: 'red',
} as const satisfies Record<PodRow['state'], keyof Colors>

const HEADS = ['pod', 'state', 'sessions', 'free cpu', 'free memory', 'agent types']
const NO_POD = 'No pod is there, so nothing starts: drover up, or drover worker, brings one.'

/** `drover pods list` */
export function podsText(pods: readonly PodRow[], output: Output): string {
  if (pods.length === 0) return NO_POD
  const rows = pods.map((pod) => [
    visible(pod.pod_id),
    output.colors[STATE_COLORS[pod.state]](pod.state),
    pod.max_sessions === null ? String(pod.running) : `${pod.running} of ${pod.max_sessions}`,
    pod.free_cpu_percent === null ? '' : `${Math.round(pod.free_cpu_percent)} %`,
    pod.free_memory_mb === null ? '' : `${Math.round(pod.free_memory_mb)} MB`,
    visible(pod.agent_types.join(', ')),
  ])
  return [textTable(HEADS, rows, output), ...spaced(podNotes(pods))].join('\n')
}

/** A line for each pod that takes no session, and one where none is there. What starts is ready in a moment. */
export function podNotes(pods: readonly PodRow[]): string[] {
  if (pods.length === 0) return [NO_POD]
  return pods
    .filter(({ state }) => state !== 'ready' && state !== 'starting')
    .map(({ pod_id, why, state }) => visible(`${pod_id} takes no session: ${why ?? state}`))
}

/** Why a queued session of this type does not start; nothing where it is merely not its turn. */
export function whyQueued(pods: readonly PodRow[], agentType: string): string[] {
  const serving = pods.filter(({ agent_types }) => agent_types.includes(agentType))
  if (pods.length > 0 && serving.length === 0) {
    return [`No pod serves ${visible(agentType)}, so it waits.`]
  }
  return serving.some(({ state }) => state === 'ready') ? [] : podNotes(serving)
}

/** With an empty line before them, where there are some. */
export const spaced = (lines: readonly string[]): string[] => (lines.length === 0 ? [] : ['', ...lines])
