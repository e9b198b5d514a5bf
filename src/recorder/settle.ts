/**
 * Totals at the end of a batch, inside its transaction.
 *
 * What an agent used beyond its results is worked out when it has ended, and again when a line of it comes late. It
 * depends on nothing but the lines that are recorded, so that batches, repeats and the order in which agents end make
 * no difference. Lines of running agents are never parsed for it.
 */
import type { EventHeader } from '../core/envelope.ts'
import type { Tables } from '../ledger/tables.ts'
import type { Effects } from './handler.ts'

/** The agent has ended, or said something after it: `line`. */
export function markUnbilled(effects: Effects, agentId: string, line = Number.POSITIVE_INFINITY): void {
  effects.unbilled.set(agentId, Math.min(line, effects.unbilled.get(agentId) ?? line))
}

/**
 * Any line, since only the rows tell whether its agent has ended: one that a pod sends late, that fills a gap, or that
 * comes after all behind a closing event that knew no tail. Of a running agent it changes nothing.
 */
export function markLine(effects: Effects, { agent_id, session_id, line }: EventHeader): void {
  if (line !== null && agent_id !== null && session_id !== null) markUnbilled(effects, agent_id, line)
}

/** Brings the totals of all that the batch touched up to date. */
export function settle(tables: Tables, effects: Effects): void {
  for (const [agentId, fromLine] of effects.unbilled) {
    const unbilled = tables.unbilled.of(agentId, fromLine)
    if (unbilled === null) continue
    tables.modelUsage.estimate(unbilled.sessionId, agentId, unbilled.models)
    effects.unsettled.add(unbilled.sessionId)
  }
  for (const sessionId of effects.unsettled) {
    tables.modelUsage.price(sessionId)
    tables.invocations.settle(sessionId)
    tables.sessions.settle(sessionId)
  }
}
