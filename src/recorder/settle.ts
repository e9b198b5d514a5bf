/**
 * Totals at the end of a batch, inside its transaction.
 *
 * What an agent used beyond its results is worked out when it has ended, and again when a line of it comes late. It
 * depends on nothing but the lines that are recorded, so that batches, repeats and the order in which agents end make
 * no difference. Lines of running agents are never parsed for it.
 */
import type { EventHeader } from '../core/envelope.ts'
import { createUnbilled } from '../core/unbilled.ts'
import type { Tables } from '../ledger/open.ts'
import type { Effects } from './handler.ts'

/** The agent has ended, or said something after it. */
export function markUnbilled(effects: Effects, agentId: string, sessionId: string): void {
  effects.unbilled.set(agentId, sessionId)
  effects.unsettled.add(sessionId)
}

/** A line that comes when its agent may have ended, or behind later ones. Of a running agent it changes nothing. */
export function markLateLine(effects: Effects, { agent_id, session_id, line }: EventHeader): void {
  if (line !== null && agent_id !== null && session_id !== null) markUnbilled(effects, agent_id, session_id)
}

/** Brings the totals of all that the batch touched up to date. */
export function settle(tables: Tables, effects: Effects): void {
  for (const [agentId, sessionId] of effects.unbilled) estimate(tables, agentId, sessionId)
  for (const sessionId of effects.unsettled) {
    tables.modelUsage.price(sessionId)
    tables.invocations.settle(sessionId)
    tables.sessions.settle(sessionId)
  }
}

function estimate(tables: Tables, agentId: string, sessionId: string): void {
  const unbilled = createUnbilled()
  for (const payload of tables.unbilledLines(agentId)) unbilled.take(parsed(payload))
  tables.modelUsage.estimate(sessionId, agentId, unbilled.byModel())
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    return null
  }
}
