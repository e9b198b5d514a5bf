/** What the lists and reports of the HTTP API are narrowed by, member for member as on the wire. */
import type { CostBy } from '../core/request.ts'

/** What lists take. */
export interface ListFilter {
  readonly limit?: number
  readonly cursor?: string
  readonly status?: string
  readonly agent_type?: string
  readonly task_id?: string
  readonly since?: string
  readonly until?: string
  readonly q?: string
  /** Agents. */
  readonly session_id?: string
  readonly pod_id?: string
  /** Sessions. */
  readonly created_by?: string
  readonly orchestrator_id?: string
  readonly failure_reason?: string
  /** The beginning of an id. */
  readonly id_prefix?: string
}

/** What the events of all sessions are narrowed by. */
export interface EventQuery {
  readonly limit?: number
  readonly cursor?: string
  readonly session_id?: string
  readonly agent_id?: string
  readonly agent_type?: string
  /** A type, or its first words, such as `drover.session`. */
  readonly type?: string
  readonly since?: string
  readonly until?: string
}

/** What lists of messages take. */
export interface MessageFilter {
  /** `waiting`, or several with commas between them. */
  readonly status?: string
  /** Sent by this session, for it, or read by it. */
  readonly session_id?: string
  readonly from_session?: string
  readonly to_session?: string
  readonly to_agent_type?: string
  readonly to_operator?: boolean
  readonly thread_id?: string
  readonly since?: string
  readonly until?: string
  readonly limit?: number
  readonly cursor?: string
}

/** What `GET /cost` takes. */
export interface CostFilter {
  readonly by?: CostBy | undefined
  readonly since?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}
