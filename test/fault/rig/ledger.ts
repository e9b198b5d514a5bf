/** The ledger as the rig reads it: plain SQL on the file, no code of the product. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'

export interface SessionRow {
  readonly session_id: string
  readonly agent_type: string
  readonly status: string
  readonly failure_reason: string | null
  readonly error_message: string | null
  readonly result: string | null
  readonly restarts: number
  readonly incomplete: number
  readonly estimated_cost_micros: number
  readonly cost_estimated: number
  readonly created_at: string
}

export interface AgentRow {
  readonly agent_id: string
  readonly agent_type: string
  readonly session_id: string
  readonly status: string
  readonly pod_id: string
  readonly epoch: number
  /** argv as JSON. */
  readonly command: string
  readonly retry_count: number
  readonly spawned_at: string
  readonly completed_at: string | null
  readonly exit_code: number | null
  readonly exit_signal: string | null
  readonly error_message: string | null
  readonly spool_lines: number | null
  readonly spool_sha256: string | null
  /** Gaps of its session that nothing has filled. */
  readonly open_gaps: number
  readonly tail_unknown: number
  /** Of its invocation. */
  readonly cost_micros: number | null
  /** The same without the estimate for what no result bills. */
  readonly billed_micros: number | null
  /** 1: a cost that its results reported was no plausible one, and is not in the sum. */
  readonly cost_suspect: number | null
}

export interface EventRow {
  readonly session_id: string
  readonly seq: number
  readonly agent_id: string | null
  readonly epoch: number
  readonly line: number | null
  readonly ts: string
  readonly type: string
  readonly late: number
  /** JSON text. */
  readonly payload: string
}

export interface FieldLedger {
  session(sessionId: string): SessionRow | undefined
  sessions(): SessionRow[]
  /** In the order in which they were started; of one session, or all. */
  agents(sessionId?: string): AgentRow[]
  /** In the order of `seq`. */
  events(sessionId: string): EventRow[]
  /** The payloads of a session's events of one type, in order. */
  payloads(sessionId: string, type: string): Record<string, unknown>[]
  /** Entries of the stream that could not be recorded. */
  faults(): { readonly session_id: string | null; readonly reason: string }[]
  close(): void
}

/** The file may appear later: until then nothing is found. */
export function openFieldLedger(file: string): FieldLedger {
  let db: Database.Database | null = null
  function all<T>(sql: string, ...values: readonly unknown[]): T[] {
    if (db === null && !existsSync(file)) return []
    db ??= new Database(file, { readonly: true })
    return db.prepare<unknown[], T>(sql).all(...values)
  }
  const AGENTS = `SELECT a.*, (SELECT count(*) FROM event_gap g WHERE g.session_id = a.session_id AND g.filled_at IS NULL) AS open_gaps, (SELECT CAST(round(sum(u.cost_nanos) / 1000.0) AS INTEGER) FROM invocation_model_usage u WHERE u.invocation_id = a.agent_id AND u.estimated = 0) AS billed_micros, i.cost_micros, i.cost_suspect FROM agent_lifecycle a LEFT JOIN claude_invocations i USING (agent_id)`

  const events = (sessionId: string): EventRow[] =>
    all('SELECT * FROM session_event WHERE session_id = ? ORDER BY seq', sessionId)
  return {
    session: (sessionId) =>
      all<SessionRow>('SELECT * FROM agent_sessions WHERE session_id = ?', sessionId)[0],
    sessions: () => all('SELECT * FROM agent_sessions ORDER BY created_at, session_id'),
    agents: (sessionId) =>
      sessionId === undefined
        ? all(`${AGENTS} ORDER BY a.epoch`)
        : all(`${AGENTS} WHERE a.session_id = ? ORDER BY a.epoch`, sessionId),
    events,
    payloads: (sessionId, type) =>
      events(sessionId)
        .filter((event) => event.type === type)
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the ledger holds objects only
        .map((event) => JSON.parse(event.payload) as Record<string, unknown>),
    faults: () => all('SELECT session_id, reason FROM recorder_fault'),
    close: () => db?.close(),
  }
}
