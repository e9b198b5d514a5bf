/** Table `recorded_spool`: what is here of each agent's spool, to be held against what its closing event says. */
import type { Db } from './database.ts'

export interface RecordedSpool {
  readonly agent_id: string
  readonly epoch: number
  readonly session_id: string
  /** The highest line that is known to exist. */
  readonly last_line: number
  /** How many lines are here. */
  readonly lines: number
  /** Of them (`core/lines-digest.ts`); null where some were recorded before digests were kept. */
  readonly digest: string | null
}

export interface RecordedSpoolTable {
  read(agentId: string, epoch: number): RecordedSpool | null
  write(spool: RecordedSpool): void
  /** Is here something else than what the closing event counted: more lines, or other ones? */
  isAltered(agentId: string, epoch: number): boolean
}

/** Of `agent_lifecycle` a and `recorded_spool` r: what is here contradicts the closing event. */
export const IS_ALTERED = `
  (NOT a.tail_unknown AND (r.lines > a.spool_lines OR (r.lines = a.spool_lines AND r.digest <> a.lines_digest)))`

export function createRecordedSpoolTable(db: Db): RecordedSpoolTable {
  const select = db.prepare<[string, number], RecordedSpool>(
    'SELECT * FROM recorded_spool WHERE agent_id = ? AND epoch = ?',
  )
  const upsert = db.prepare(`
    INSERT INTO recorded_spool (agent_id, epoch, session_id, last_line, lines, digest)
    VALUES (@agent_id, @epoch, @session_id, @last_line, @lines, @digest)
    ON CONFLICT (agent_id, epoch) DO UPDATE SET last_line = @last_line, lines = @lines, digest = @digest`)
  const selectAltered = db
    .prepare<[string, number], number>(
      `SELECT count(*) FROM agent_lifecycle AS a JOIN recorded_spool AS r USING (agent_id, epoch)
       WHERE agent_id = ? AND epoch = ? AND ${IS_ALTERED}`,
    )
    .pluck()

  return {
    read: (agentId, epoch) => select.get(agentId, epoch) ?? null,
    write: (spool) => void upsert.run(spool),
    isAltered: (agentId, epoch) => selectAltered.get(agentId, epoch) === 1,
  }
}
