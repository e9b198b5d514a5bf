/**
 * What an agent that has ended used that no result bills: read from its assistant lines since its last result.
 *
 * A pod that was away may send a hundred thousand lines late, batch by batch, and each batch asks anew. So what was
 * read of an agent is kept, and the next question reads on behind it. It is a memory and no truth: a line that comes
 * at or before where it ended (a gap that is filled, a batch that was undone and is repeated) makes it begin anew.
 *
 * The monitor asks the same of running agents, on its own connection: what they cost so far.
 */
import { createUnbilled, type Unbilled, type UnbilledUsage } from '../core/unbilled.ts'
import type { Db } from './database.ts'

/** What an agent used beyond its results. */
export interface AgentUnbilled {
  readonly sessionId: string
  readonly models: readonly UnbilledUsage[]
}

export interface UnbilledUsageTable {
  /**
   * Null while the agent runs (unless the table is one of those), or where it is not known.
   *
   * @param fromLine no line before this one is new since the last question; Infinity where none is
   */
  of(agentId: string, fromLine: number): AgentUnbilled | null
  /** Another connection may have written meanwhile. */
  forget(): void
}

/** Agents that come back at the same time. */
const MOST_KEPT = 16
/** Agents that run at the same time: one too many, and each look reads all that they have said. */
const MOST_KEPT_RUNNING = 512

interface Ended {
  readonly agentId: string
  readonly epoch: number
  readonly sessionId: string
}

interface Folded {
  readonly epoch: number
  /** The line of its last result; 0 without one. */
  readonly since: number
  upTo: number
  readonly unbilled: Unbilled
}

const isA = (type: string): string => `(type = 'claude.${type}' OR type LIKE 'claude.${type}.%')`
const OF_AGENT = 'agent_id = @agentId AND epoch = @epoch AND line IS NOT NULL'

export function createUnbilledUsageTable(db: Db, of: 'ended' | 'running' = 'ended'): UnbilledUsageTable {
  const hasEnded = "(status NOT IN ('spawned', 'running') OR spool_lines IS NOT NULL)"
  const mostKept = of === 'ended' ? MOST_KEPT : MOST_KEPT_RUNNING
  const selectEnded = db.prepare<[string], Ended>(`
    SELECT agent_id AS agentId, epoch, session_id AS sessionId FROM agent_lifecycle
    WHERE agent_id = ? AND ${of === 'ended' ? hasEnded : `NOT ${hasEnded}`}`)
  const selectLastResult = db
    .prepare<[Ended], number>(
      `SELECT line FROM session_event WHERE ${OF_AGENT} AND ${isA('result')} ORDER BY line DESC LIMIT 1`,
    )
    .pluck()
  const selectLines = db.prepare<[Ended & { after: number }], { line: number; payload: string }>(
    `SELECT line, payload FROM session_event
     WHERE ${OF_AGENT} AND line > @after AND ${isA('assistant')} ORDER BY line`,
  )
  const kept = new Map<string, Folded>()

  function foldedOf(ended: Ended, fromLine: number): Folded {
    const { agentId, epoch } = ended
    const since = selectLastResult.get(ended) ?? 0
    const before = kept.get(agentId)
    const goesOn =
      before !== undefined && before.epoch === epoch && before.since === since && fromLine > before.upTo
    return goesOn ? before : { epoch, since, upTo: since, unbilled: createUnbilled() }
  }

  function keep(agentId: string, folded: Folded): void {
    kept.delete(agentId)
    kept.set(agentId, folded)
    const [oldest] = kept.keys()
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest)
  }

  return {
    of(agentId, fromLine) {
      const ended = selectEnded.get(agentId)
      if (ended === undefined) return null
      const folded = foldedOf(ended, fromLine)
      for (const { line, payload } of selectLines.iterate({ ...ended, after: folded.upTo })) {
        folded.unbilled.take(parsed(payload))
        folded.upTo = line
      }
      keep(agentId, folded)
      return { sessionId: ended.sessionId, models: folded.unbilled.byModel() }
    },
    forget: () => kept.clear(),
  }
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    return null
  }
}
