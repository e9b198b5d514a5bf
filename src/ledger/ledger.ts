/**
 * What the ledger answers: the shapes of CONTRACT §3 and §8, over one SQLite file.
 *
 * Two kinds of connection: the recorder's (`openLedger`, the only writer) and everybody else's
 * (`openLedgerReader`, read-only). Readers see what was committed and never block the writer.
 * All methods are synchronous; a query that SQLite refuses throws `ledger_unavailable`.
 */
import type { WorktreeRows } from './worktree-rows.ts'
import type { AgentView } from '../core/agent-view.ts'
import type { CompletedAnswer } from '../core/answer.ts'
import type { CostReport } from '../core/cost.ts'
import type { SaidHit } from '../core/documents.ts'
import type { CostBy } from '../core/request.ts'
import type { GapView, ModelCost, SessionTree, SessionView } from '../core/session-view.ts'
import type { TaskView } from '../core/task-view.ts'
import type { Mail } from '../core/mail.ts'
import type { SessionMessageView, SessionQuestionView } from '../core/follow-up-view.ts'
import type { Figures } from './figures.ts'
import type { TaskGraphQuery, TaskGraphRows } from './task-graph.ts'

export type { AgentView } from '../core/agent-view.ts'
export type { CostReport, CostRow } from '../core/cost.ts'
export type { SaidHit } from '../core/documents.ts'
export type { GapView, ModelCost, RelatedSession, SessionTree, SessionView } from '../core/session-view.ts'
export type { TaskView } from '../core/task-view.ts'

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
  /** Sessions only: those whose id begins so, in lower case. */
  readonly idPrefix?: string
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

export interface SessionViews {
  get(sessionId: string): SessionView | null
  list(query?: ListQuery): Page<SessionView>
  /** The completed answer of CONTRACT §3; null while the session has not ended or is not known. */
  completedAnswer(sessionId: string): CompletedAnswer | null
  /** The session that goes on from this ended one; null where it was not restarted. */
  restartOf(sessionId: string): string | null
}

export interface AgentViews {
  get(agentId: string): AgentView | null
  list(query?: ListQuery): Page<AgentView>
  /** The agents of a session, oldest first. */
  ofSession(sessionId: string): readonly AgentView[]
  /** Of its latest lines the last one that says what it does (`core/doing.ts`), verbatim; null where none does. */
  lastTold(agent: Pick<AgentView, 'agent_id' | 'session_id'>): { type: string; payload: string } | null
  /** USD: an estimate of what a running agent used since its last result; 0 of one that has ended. */
  unbilledUsd(agentId: string): number
  /** The health that was last recorded of it; null where none was. */
  lastHealth(agentId: string): string | null
}

export interface TaskViews {
  get(taskId: string): TaskView | null
  list(query?: ListQuery): Page<TaskView>
  /** The tasks that name this one in their `depends_on`. */
  dependentsOf(taskId: string): readonly string[]
  /** Tasks and which of them wait for which. */
  graph(query: TaskGraphQuery): TaskGraphRows
}

/** Which messages. */
export interface MessageQuery {
  /** 1 to 200, default 50. */
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  /** One state, or several with commas between them. */
  readonly status?: string | undefined
  readonly fromSession?: string | undefined
  readonly toSession?: string | undefined
  /** For this type, or for a session of it. */
  readonly toAgentType?: string | undefined
  /** Sent by this session, for it, or read by it. */
  readonly sessionId?: string | undefined
  readonly threadId?: string | undefined
  /** For the operator. */
  readonly toOperator?: boolean | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
}

export interface MessageViews {
  /** With its whole text; null where there is none of that id. */
  get(messageId: string): Mail | null
  /** Texts cut at `PREVIEW_LIMIT` characters. */
  list(query?: MessageQuery): Page<Mail>
  /** Which of these sessions were ever sent a message. */
  addressed(sessionIds: readonly string[]): readonly string[]
}

export interface FollowUpViews {
  /** What was said to a session: oldest first, the latest 200. */
  messages(sessionId: string): readonly SessionMessageView[]
  /** What its agents asked before they used a tool: oldest first, the latest 200. */
  questions(sessionId: string): readonly SessionQuestionView[]
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

export interface SessionTrees {
  of(sessionId: string): SessionTree
  /** By the model's name. */
  models(sessionId: string): readonly ModelCost[]
}

/** What a report is asked for with. */
export interface CostQuery {
  /** ISO time. */
  readonly since?: string
  /** 1 to 10,000, default 1000. */
  readonly limit?: number
  /** `next_cursor` of the report before, of the same grouping. */
  readonly cursor?: string
}

/** The ledger as everybody but the recorder sees it. */
export interface LedgerReader {
  readonly path: string
  readonly sessions: SessionViews
  readonly trees: SessionTrees
  readonly agents: AgentViews
  readonly tasks: TaskViews
  readonly messages: MessageViews
  readonly followUps: FollowUpViews
  readonly events: EventViews
  readonly gaps: GapViews
  readonly worktrees: WorktreeRows
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
