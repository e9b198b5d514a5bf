/** How far a session is, in a few words. */
import type { AcceptedAnswer } from './answer.ts'
import type { Envelope } from './envelope.ts'

/** While it waits in its queue, or for tasks. */
export function queuedText({
  queue_position,
  waiting_for,
}: Pick<AcceptedAnswer, 'queue_position' | 'waiting_for'>): string {
  if (waiting_for.length > 0) return `queued, waits for ${waiting_for.join(', ')}`
  return queue_position > 0 ? `queued, place ${queue_position}` : 'queued'
}

/** After an event that changes it; null after any other. */
export function stateAfter({ type, agent_id }: Envelope): string | null {
  switch (type) {
    case 'drover.session.claimed':
      return 'taken by a pod'
    case 'drover.agent.spawned':
      return `starting ${agent_id ?? 'an agent'}`
    case 'drover.agent.started':
      return `running ${agent_id ?? ''}`
    case 'drover.session.restarting':
      return 'restarting'
    case 'drover.session.paused_limit':
      return 'paused by a usage limit'
    case 'drover.session.waiting_input':
      return 'waiting for an answer'
    default:
      return null
  }
}
