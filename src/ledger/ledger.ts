/**
 * What the ledger answers: the shapes of CONTRACT §3 and §8, over one SQLite file.
 *
 * Two kinds of connection: the recorder's (`openLedger`, the only writer) and everybody else's
 * (`openLedgerReader`, read-only). Readers see what was committed and never block the writer.
 * All methods are synchronous; a query that SQLite refuses throws `ledger_unavailable`.
 */
import type { CompletedAnswer } from '../core/answer.ts'
import type { Usage } from '../core/envelope.ts'
import type { CostBy } from '../core/request.ts'
import type { AgentState, SessionState, TaskState } from '../core/state.ts'
import type { Figures } from './figures.ts'

/** What every list takes. Rows come newest first; the cursor of the last page is null. */
export interface ListQuery {
  /** 1 to 200, default 50. */
  readonly limit?: number
  /** `nextCursor` of the page before. Anything else throws `invalid_request`. */
  readonly cursor?: string
  /** One state, or several with commas between them. */
  readonly status?: string
  readonly agentType?: string
  readonly taskId?: string
  /** Agents only: those of this session. */
  readonly sessionId?: string
  /** Agents only: those on this pod. */
  readonly podId?: string
  /** Sessions only: those that this session asked for. */
  readonly createdBy?: string
  /** Sessions only. */
  readonly orchestratorId?: string
  /** Sessions only. */
  readonly failureReason?: string
  /** ISO time: rows created at or after it. */
  readonly since?: string
  /** ISO time: rows created at or before it. */
  readonly until?: string
  /** A part of an id, a type or the prompt; case does not matter. At most 500 characters. */
  readonly q?: string
}

export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly nextCursor: string | null
}

/** A row of `agent_sessions`, with what lists and pages show beside it. */
export interface SessionView {
  readonly session_id: string
  readonly agent_type: string
  readonly task_id: string | null
  /** The prompt, cut at `DESCRIPTION_LIMIT` characters; the whole of it is in the session's first event. */
  readonly task_description: string | null
  readonly workspace_dir: string | null
  readonly created_by: string | null
  readonly restart_of: string | null
  readonly orchestrator_id: string | null
  readonly status: SessionState
  readonly created_at: string
  readonly started_at: string | null
  readonly completed_at: string | null
  readonly success: boolean | null
  /** The agent's final text; in lists cut at `PREVIEW_LIMIT` characters. */
  readonly result: string | null
  readonly error_message: string | null
  readonly failure_reason: string | null
  readonly restarts: number
  /** USD. Despite its name exact, unless `cost_estimated`. */
  readonly estimated_cost_usd: number
  /** A part of cost and tokens was estimated, because an agent ended without a result. */
  readonly cost_estimated: boolean
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_tokens: number
  readonly cache_creation_tokens: number
  readonly num_turns: number
  readonly duration_ms: number | null
  /** Something of this session is known to be missing: lines, a readable event, or totals that do not agree. */
  readonly incomplete: boolean
  /** When retention took its raw lines away; its results, Drover's own events and the totals stay. */
  readonly pruned_at: string | null
  readonly priority: number
  readonly timeout_seconds: number | null
  /** The latest agent of the session, null before the first. */
  readonly agent_id: string | null
  readonly pid: number | null
  readonly pod_id: string | null
  /** While `queued`: the tasks it waits for. */
  readonly waiting_for: readonly string[]
}

export interface SessionViews {
  get(sessionId: string): SessionView | null
  list(query?: ListQuery): Page<SessionView>
  /** The completed answer of CONTRACT §3; null while the session has not ended or is not known. */
  completedAnswer(sessionId: string): CompletedAnswer | null
  /** The session that goes on from this ended one; null where it was not restarted. */
  restartOf(sessionId: string): string | null
}

/** A row of `agent_lifecycle`. */
export interface AgentView {
  readonly agent_id: string
  readonly agent_type: string
  readonly status: AgentState
  readonly session_id: string
  readonly task_id: string | null
  readonly pid: number | null
  readonly pod_id: string | null
  readonly epoch: number
  readonly command: string | null
  /** How its processes were held together: a `TierName` of `guard/tier.ts`. */
  readonly tier: string | null
  readonly worktree_path: string | null
  readonly worktree_branch: string | null
  readonly retry_count: number
  readonly created_at: string
  readonly spawned_at: string
  readonly started_at: string | null
  readonly completed_at: string | null
  /** The last change of health that was recorded; the beats themselves are in Redis. */
  readonly last_heartbeat: string | null
  readonly exit_code: number | null
  readonly exit_signal: string | null
  readonly error_message: string | null
  /** Its pod never came back: lines of it may be missing. */
  readonly tail_unknown: boolean
}

export interface AgentViews {
  get(agentId: string): AgentView | null
  list(query?: ListQuery): Page<AgentView>
  /** The agents of a session, oldest first. */
  ofSession(sessionId: string): readonly AgentView[]
}

/** A row of `orchestrator_task`, with its dependencies. */
export interface TaskView {
  readonly task_id: string
  readonly agent_type: string
  /** In lists cut at `PREVIEW_LIMIT` characters. */
  readonly prompt: string
  readonly status: TaskState
  readonly priority: number
  readonly priority_number: number | null
  /** The agent that runs or ran it. */
  readonly assigned_agent: string | null
  readonly workspace_dir: string | null
  readonly created_at: string
  readonly spawned_at: string | null
  readonly started_at: string | null
  readonly completed_at: string | null
  readonly error_message: string | null
  /** 0 for the first run; each retry counts one. */
  readonly run: number
  /** The session of the current run. */
  readonly session_id: string | null
  readonly depends_on: readonly string[]
  /** Those of `depends_on` that are not completed. */
  readonly waiting_for: readonly string[]
}

export interface TaskViews {
  get(taskId: string): TaskView | null
  list(query?: ListQuery): Page<TaskView>
  /** The tasks that name this one in their `depends_on`. */
  dependentsOf(taskId: string): readonly string[]
}

export interface EventPage {
  /** The events' texts as they were published, `seq` ascending. */
  readonly events: readonly string[]
  /** `after` of the next page: the last `seq` of this one. */
  readonly next: number
  /** The session has ended and nothing is recorded after `next`. */
  readonly ended: boolean
}

export interface EventViews {
  /** Events with `seq > after`, at most `limit` (1 to 1000) and about 8 MB, at least one where there is one. */
  page(sessionId: string, after: number, limit: number): EventPage
  /** The highest recorded `seq`; 0 where nothing is recorded. */
  lastSeq(sessionId: string): number
  /** Is the session's end recorded? Events may still follow it (late lines, the agent's closing). */
  ended(sessionId: string): boolean
}

/** Numbers that are missing: events of the session, or lines of one of its agents. */
export interface GapView {
  /** null: `seq` of the session; else lines of this agent. */
  readonly agent_id: string | null
  readonly first: number
  readonly last: number
  /** `not_on_stream`, `not_sent` or `cut_tail`: docs/ledger.md */
  readonly reason: string
  readonly noticed_at: string
}

export interface GapViews {
  /** What is missing of a session; nothing where it is complete. */
  ofSession(sessionId: string): readonly GapView[]
}

/** Which events of the whole ledger. */
export interface EventFilter {
  /** 1 to 200, default 50. */
  readonly limit?: number
  /** `nextCursor` of the page before. Anything else throws `invalid_request`. */
  readonly cursor?: string
  readonly sessionId?: string
  readonly agentId?: string
  readonly agentType?: string
  /** A type, or its first words: `drover.session` is all of a session's own events. */
  readonly type?: string
  /** ISO times of the events. */
  readonly since?: string
  readonly until?: string
}

export interface SaidFilter extends EventFilter {
  /** Words and "quoted phrases", all of which were said in the same event; case and accents do not matter. */
  readonly q: string
}

/** Something that was said, with a searched word in it. */
export interface SaidHit {
  readonly session_id: string
  readonly agent_id: string | null
  readonly agent_type: string
  readonly seq: number
  readonly ts: string
  /** Of the event: `claude.assistant`, `claude.user` (what a tool answered), `drover.session.accepted` (the prompt) … */
  readonly type: string
  /** The text around the first match. Untrusted, with its line breaks. */
  readonly snippet: string
  /** Where the matches are in `snippet`: from, to (exclusive), in UTF-16 units. */
  readonly matches: readonly (readonly [from: number, to: number])[]
}

export interface SaidPage extends Page<SaidHit> {
  /** Events that are recorded and not searched yet; 0 but for a moment after each commit. */
  readonly pending: number
}

/** How far the ledger is. */
export interface Recorded {
  /** Stream id of the last entry that is in the ledger. */
  readonly streamId: string
  /** Time of the last commit; null in a ledger that nothing was recorded into. */
  readonly asOf: string | null
}

/** A session beside another one of its tree. */
export interface RelatedSession {
  readonly session_id: string
  readonly agent_type: string
  readonly status: SessionState
  /** The session whose agent asked for it. */
  readonly created_by: string | null
  readonly restart_of: string | null
  /** `restart_of`, else `created_by`: where it stands in the tree. */
  readonly parent_session_id: string | null
  readonly created_at: string
  readonly started_at: string | null
  readonly completed_at: string | null
  readonly duration_ms: number | null
  readonly estimated_cost_usd: number
  readonly cost_estimated: boolean
}

/** What came of a session, and the tree that it is a part of. */
export interface SessionTree {
  /** Sessions that its agents asked for, and restarts of it: oldest first, at most 200. */
  readonly children: readonly RelatedSession[]
  /** The whole tree, from its root: `sessions`, tokens and cost of all of it. */
  readonly tree: Omit<CostRow, 'key'> & {
    /** May name a session that is not recorded. */
    readonly root_session_id: string
    /** Oldest first, at most 200. */
    readonly members: readonly RelatedSession[]
  }
}

/** What a session used a model for. */
export interface ModelCost extends Usage {
  readonly model: string
  readonly web_search_requests: number
  readonly cost_usd: number
  /** A part of it was estimated. */
  readonly estimated: boolean
}

export interface SessionTrees {
  of(sessionId: string): SessionTree
  /** By the model's name. */
  models(sessionId: string): readonly ModelCost[]
}

export interface CostRow {
  /** Agent type, UTC day, task id, session id, id of the tree's root, or model; null for sessions without a task. */
  readonly key: string | null
  readonly sessions: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_tokens: number
  readonly cache_creation_tokens: number
  readonly cost_usd: number
  /** True when a part of it was estimated. */
  readonly estimated: boolean
}

/** What a report is asked for with. */
export interface CostQuery {
  /** ISO time. */
  readonly since?: string
  /** 1 to 10,000, default 1000. */
  readonly limit?: number
}

export interface CostReport {
  readonly by: CostBy
  /** By task, session and tree the dearest first, else in the order of the keys. */
  readonly rows: readonly CostRow[]
  /** Rows beyond the limit. The total has them all. */
  readonly rows_omitted: number
  readonly total: Omit<CostRow, 'key'>
}

/** The ledger as everybody but the recorder sees it. */
export interface LedgerReader {
  readonly path: string
  readonly sessions: SessionViews
  readonly trees: SessionTrees
  readonly agents: AgentViews
  readonly tasks: TaskViews
  readonly events: EventViews
  readonly gaps: GapViews
  /**
   * The events of all sessions as their texts, newest first. A page may have fewer than `limit`, even none, and a
   * cursor all the same: then its time was over.
   */
  listEvents(filter?: EventFilter): Page<string>
  /** What was said, newest first. Pages end as those of `listEvents` do. */
  searchSaid(filter: SaidFilter): SaidPage
  recorded(): Recorded
  /** What was spent by the sessions that started (or, never started, were created) at or after `since`. */
  cost(by: CostBy, query?: CostQuery): CostReport
  readonly figures: Figures
  /** A check has found the file damaged: from now on nothing is answered but `ledger_unavailable`. */
  condemn(problem: string): void
  /** Safe to call twice. */
  close(): void
}
