/** What `/metrics` and `/readyz` count in the ledger. Over indexes, but for `spent`, which reads every session. */
import { statSync } from 'node:fs'
import type { Db } from './database.ts'
import { TOKENS } from './invocation-model-usage.ts'

export interface CountOf {
  readonly key: string
  readonly count: number
}

/** What all sessions of a type used. */
export interface SpentByType {
  readonly agent_type: string
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_tokens: number
  readonly cache_creation_tokens: number
  readonly cost_micros: number
}

/** As `telemetry/alarms.ts` has them. */
export interface LedgerAlarm {
  readonly name: string
  readonly message: string
  /** ISO time. */
  readonly since: string
}

export interface Figures {
  sessionsByState(): readonly CountOf[]
  /** Agents that have not ended, by type. */
  agentsByType(): readonly CountOf[]
  spentByType(): readonly SpentByType[]
  /** Entries of the stream that could not be recorded as they are. */
  faults(): number
  /** Gaps in what sessions and agents said that nothing has filled. */
  gaps(): number
  /** What was noted as wrong within the last seven days. */
  alarms(): readonly LedgerAlarm[]
  /** Bytes of the file and of its write-ahead log; 0 for one that is not there. */
  fileBytes(): { readonly file: number; readonly wal: number }
}

/** So long what was noted stands as an alarm. */
const ALARM_DAYS = 7

export function createFigures(db: Db, path: string): Figures {
  const selectSessions = db.prepare<[], CountOf>(
    'SELECT status AS key, count(*) AS count FROM agent_sessions GROUP BY status',
  )
  const selectAgents = db.prepare<[], CountOf>(`
    SELECT agent_type AS key, count(*) AS count FROM agent_lifecycle
    WHERE status IN ('spawned', 'running') GROUP BY agent_type`)
  // Some rows for each day, in the index's order: summed up without sorting every session.
  const selectSpent = db.prepare<[], SpentByType>(`
    SELECT agent_type, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
      sum(cache_read_tokens) AS cache_read_tokens, sum(cache_creation_tokens) AS cache_creation_tokens,
      CAST(round(total(cost_nanos) / 1000) AS INTEGER) AS cost_micros
    FROM (
      SELECT agent_type, ${[...TOKENS, 'cost_nanos'].map((column) => `sum(${column}) AS ${column}`).join(', ')}
      FROM agent_sessions INDEXED BY agent_sessions_spent
      GROUP BY substr(coalesce(started_at, created_at), 1, 10), agent_type)
    GROUP BY agent_type`)
  const selectFaults = db.prepare<[], number>('SELECT count(*) FROM recorder_fault').pluck()
  const selectGaps = db.prepare<[], number>('SELECT count(*) FROM event_gap WHERE filled_at IS NULL').pluck()
  // A gap of last year is in the figures; an alarm that nothing ends would only teach people to overlook alarms.
  const lately = (column: string): string =>
    `${column} >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-${ALARM_DAYS} days')`
  const selectNewFaults = db.prepare<[], { readonly count: number; readonly since: string | null }>(
    `SELECT count(*) AS count, min(recorded_at) AS since FROM recorder_fault WHERE ${lately('recorded_at')}`,
  )
  const selectNewGaps = db.prepare<[], { readonly count: number; readonly since: string | null }>(
    `SELECT count(*) AS count, min(noticed_at) AS since FROM event_gap
     WHERE filled_at IS NULL AND ${lately('noticed_at')}`,
  )
  const nothing = { count: 0, since: null }

  return {
    sessionsByState: () => selectSessions.all(),
    agentsByType: () => selectAgents.all(),
    spentByType: () => selectSpent.all(),
    faults: () => selectFaults.get() ?? 0,
    gaps: () => selectGaps.get() ?? 0,
    alarms() {
      const faulty = selectNewFaults.get() ?? nothing
      const missing = selectNewGaps.get() ?? nothing
      return [
        ...(faulty.since === null
          ? []
          : [{ name: 'recorder_faults', message: faultMessage(faulty.count), since: faulty.since }]),
        ...(missing.since === null
          ? []
          : [{ name: 'event_gaps', message: gapMessage(missing.count), since: missing.since }]),
      ]
    },
    fileBytes: () => ({ file: sizeOf(path), wal: sizeOf(`${path}-wal`) }),
  }
}

function faultMessage(count: number): string {
  return (
    `${count} events could not be recorded as they are; they are kept whole. ` +
    'Look at them with: SELECT * FROM recorder_fault.'
  )
}

function gapMessage(count: number): string {
  return (
    `${count} gaps in the record: their sessions are marked incomplete. ` +
    'Look at them with: SELECT * FROM event_gap WHERE filled_at IS NULL.'
  )
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
