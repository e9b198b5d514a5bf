/**
 * What a session of a script comes to when it runs once from beginning to end: the numbers that the CLI's result
 * must show, without its subagents. A session that is killed on the way, or is sent further messages, takes other
 * turns. Calls that fail with a status cost nothing; calls that are cut off are billed in full (measured). That is exact
 * for a cut within the first text of a turn; behind it the CLI may keep the half answer and count a turn more.
 * `Rehearsal.requests` has what was really asked for.
 */
import { NO_USAGE, type Usage } from '../core/envelope.ts'
import { costOfCall, type Prices } from '../core/prices.ts'
import { addUsage } from '../core/usage.ts'
import { turnsOf, type Script, type Turn } from './script.ts'

interface ExpectedTotals {
  readonly usage: Usage
  /** As the CLI counts them: one, and one more for every tool call. */
  readonly num_turns: number
}

/** Totals of an agent type; all zero where the script has no turns for it. */
export function expectedTotals(script: Script, agentType: string): ExpectedTotals {
  const turns = answeredTurns(script, agentType)
  const toolCalls = turns.reduce((sum, turn) => sum + (turn.tools?.length ?? 0), 0)
  return {
    usage: billedCalls(turns).reduce(addUsage, NO_USAGE),
    num_turns: turnsOf(script, agentType) === undefined ? 0 : 1 + toolCalls,
  }
}

/** The cost of an agent type at these prices, in micro-dollars, rounded once. */
export function expectedCostMicros(script: Script, agentType: string, prices: Prices): number {
  const costs = billedCalls(answeredTurns(script, agentType)).map((usage) => costOfCall(usage, prices))
  return Math.round(costs.reduce((sum, cost) => sum + cost, 0) / 1_000_000)
}

/** The turns that are ever said: those before the first one that fails for ever. */
function answeredTurns(script: Script, agentType: string): readonly Turn[] {
  const turns = turnsOf(script, agentType) ?? []
  const stuck = turns.findIndex((turn) => turn.faults.some((fault) => fault.times === undefined))
  return stuck < 0 ? turns : turns.slice(0, stuck)
}

/** The usage of every call that is billed: one for the turn, and one for each time that it is cut off. */
function billedCalls(turns: readonly Turn[]): Usage[] {
  return turns.flatMap((turn) => {
    const cuts = turn.faults.filter((fault) => fault.cut_after_chunks !== undefined)
    const calls = 1 + cuts.reduce((sum, cut) => sum + (cut.times ?? 0), 0)
    return Array.from({ length: calls }, () => turn.usage)
  })
}
