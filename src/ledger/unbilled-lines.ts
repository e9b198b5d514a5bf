/** The lines of an agent that no result bills: its assistant lines since its last result. None while it runs. */
import type { Db } from './database.ts'

/** Payloads, in the order of their lines. Nothing else may be asked of the ledger until the last one was taken. */
export type UnbilledLines = (agentId: string) => Iterable<string>

const OF_AGENT = `agent_id = @agentId AND line IS NOT NULL
  AND epoch = (
    SELECT epoch FROM agent_lifecycle
    WHERE agent_id = @agentId AND (status NOT IN ('spawned', 'running') OR spool_lines IS NOT NULL))`
const isA = (type: string): string => `(type = 'claude.${type}' OR type LIKE 'claude.${type}.%')`

export function createUnbilledLines(db: Db): UnbilledLines {
  const select = db
    .prepare<unknown[], string>(
      `SELECT payload FROM session_event
       WHERE ${OF_AGENT} AND ${isA('assistant')} AND line > coalesce((
         SELECT line FROM session_event
         WHERE ${OF_AGENT} AND ${isA('result')}
         ORDER BY line DESC LIMIT 1), 0)
       ORDER BY line`,
    )
    .pluck()
  return (agentId) => select.iterate({ agentId })
}
