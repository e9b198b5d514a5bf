/** Drover over HTTP: what the command line and services without Redis use. Loads neither BullMQ nor SQLite. */
import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import type { AgentView } from '../core/agent-view.ts'
import type {
  AcceptedAnswer,
  CompletedAnswer,
  KillAnswer,
  KillStalledAnswer,
  RestartAnswer,
  RestartFailedAnswer,
  SpawnAnswer,
  StartedAnswer,
} from '../core/answer.ts'
import type { CostReport } from '../core/cost.ts'
import type { eventsDocumentSchema, Freshness, searchDocumentSchema } from '../core/documents.ts'
import { parseEvent, type Envelope } from '../core/envelope.ts'
import type { MonitorAnswer } from '../core/monitor.ts'
import type { PodRow } from '../core/pod-row.ts'
import type {
  InterruptAnswer,
  MessagePriority,
  PermissionAnswer,
  PermissionBody,
  SendAnswer,
} from '../core/follow-up.ts'
import type { ExportFormat } from '../core/export-format.ts'
import type {
  AcknowledgedAnswer,
  Broadcast,
  BroadcastAnswer,
  InboxAnswer,
  Mail,
  Reply,
  SendMail,
  SentAnswer,
} from '../core/mail.ts'
import type {
  DependenciesBody,
  KillBody,
  RestartBody,
  RestartFailedBody,
  RoadmapPriorityRequest,
  spawnBodySchema,
  TaskRequest,
} from '../core/request.ts'
import type { sessionDocumentSchema, SessionView } from '../core/session-view.ts'
import type { CancelTaskAnswer, DependenciesAnswer, RetryTaskAnswer, TaskGraph } from '../core/task-answer.ts'
import type { AddedTasks, taskDocumentSchema, TaskView } from '../core/task-view.ts'
import type { DetailLevel } from '../core/search-types.ts'
import type { AgentTypeLine, AgentTypeView } from '../core/type-view.ts'
import type {
  CleanWorktreesBody,
  WorktreeDiff,
  WorktreeMerge,
  WorktreesCleaned,
  WorktreesDocument,
} from '../core/worktree-view.ts'
import { followEvents, type EventsOptions } from './event-stream.ts'
import { readText, request, type Board, type BoardRequest } from './http-request.ts'
import type { CostFilter, EventQuery, ListFilter, MessageFilter } from './queries.ts'
import { untilAnswered } from './until-answered.ts'
import { waitForSession, type Waited, type WaitOptions } from './wait-for-session.ts'

/** Which board, and as whom. */
export interface HttpClientOptions {
  /** `http://127.0.0.1:4680` */
  readonly url: string
  readonly token?: string | null
  /** Recorded as the door it came through: the command line's begins with `drover-cli`. */
  readonly userAgent?: string
  /** The session whose agent asks: kills, restarts and tasks are recorded as its. Spawns name theirs (`createdBy`). */
  readonly asSession?: string | null
  /** Told where an answer is older than it should be: the recorder is behind. At most once. */
  readonly onStale?: (freshness: Freshness) => void
}

/** The body of `POST /api/v1/sessions`; prompt and workspace may come from the task. */
export type SpawnDocument = z.input<typeof spawnBodySchema>

/** How a session is asked for and waited for. */
export interface SpawnCall extends WaitOptions {
  /** 1 to 200 printable characters. The same key is the same session, so that the request may be repeated. */
  readonly idempotencyKey?: string
  /** The session whose agent asks: the parent of the new one. It must be known to the board. */
  readonly createdBy?: string | undefined
}

/** `GET /api/v1/search` */
export type SearchDocument = Readonly<z.infer<typeof searchDocumentSchema>>

/** A page of a list: `{"success": true, "sessions": […], "next_cursor": …}`. */
export type ListDocument<Name extends string, Row> = {
  readonly success: true
  readonly next_cursor: string | null
} & { readonly [K in Name]: readonly Row[] }

/** `GET /api/v1/sessions/:id` */
export type SessionDocument = Readonly<z.infer<typeof sessionDocumentSchema>>

/** `GET /api/v1/sessions/:id/events` */
export type EventsDocument = Readonly<z.infer<typeof eventsDocumentSchema>>

/** `GET /api/v1/tasks/:id` */
export type TaskDocument = Readonly<z.infer<typeof taskDocumentSchema>>

/** A message to a session. */
export interface SendCall {
  /** `now` ends the running turn first, `later` waits for its end. @default 'next' */
  readonly priority?: MessagePriority | undefined
  /** A UUID. The same id is the same message. */
  readonly messageId?: string | undefined
  /** 1 to 200 printable characters. The same key to the same session is the same message. */
  readonly idempotencyKey?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** The HTTP API as functions. Ids may be any text: they are escaped. */
export interface HttpClient {
  readonly url: string
  /**
   * Any route; the answer as it came.
   *
   * @throws DroverError what the board's failure document says, or `board_unavailable`
   */
  request<T>(options: BoardRequest): Promise<T>
  /**
   * Asks for a session. With `wait` it resolves when the session has come so far, however long that takes; a session
   * that ran and failed is an answer with `success: false`.
   */
  spawn(body: SpawnDocument, call?: SpawnCall): Promise<SpawnAnswer>
  /** The same with `wait: "accepted"`, whatever the body says. With a key it is asked again when the answer is lost. */
  accept(body: SpawnDocument, call?: SpawnCall): Promise<AcceptedAnswer>
  /**
   * Waits for an accepted session.
   *
   * @throws DroverError `spawn_failed`, `startup_timeout` for `started`, when no agent came up
   */
  wait(
    accepted: Waited,
    what: 'started' | 'completed',
    options?: WaitOptions,
  ): Promise<StartedAnswer | CompletedAnswer>
  session(sessionId: string): Promise<SessionDocument>
  sessions(filter?: ListFilter): Promise<ListDocument<'sessions', SessionView>>
  /** From the beginning (or `after`) to the session's last event, each once, over any number of connections. */
  events(sessionId: string, options?: EventsOptions): AsyncGenerator<Envelope, void, void>
  /** The same as texts, as they were published: numbers and keys are the CLI's own. */
  eventTexts(sessionId: string, options?: EventsOptions): AsyncGenerator<string, void, void>
  /** What is recorded after `after`, without waiting for more. */
  eventPage(sessionId: string, after: number, limit?: number): Promise<EventsDocument>
  /** Of all sessions, newest first. A page may be empty and have a cursor: go on then. */
  allEvents(query?: EventQuery): Promise<ListDocument<'events', Envelope>>
  /** What was said, newest first; pages as those of `allEvents`. */
  search(q: string, query?: EventQuery): Promise<SearchDocument>
  /** A session's whole record as text, as it is read. */
  exported(sessionId: string, format: ExportFormat, signal?: AbortSignal): AsyncGenerator<string, void, void>
  agents(filter?: ListFilter): Promise<ListDocument<'agents', AgentView>>
  agent(agentId: string): Promise<{ readonly success: true; readonly agent: AgentView }>
  /** The pods of the namespace, as each says of itself. */
  pods(): Promise<ListDocument<'pods', PodRow>>
  /** How every running agent is; with an id that one alone, also after its end. */
  monitor(query?: { readonly agent_id?: string | undefined }): Promise<MonitorAnswer>
  /** What was spent since `since` (ISO time), in groups. */
  cost(query?: CostFilter): Promise<{ readonly success: true } & CostReport>
  tasks(filter?: ListFilter): Promise<ListDocument<'tasks', TaskView>>
  task(taskId: string): Promise<TaskDocument>
  /** All or none, with titles for places in the roadmap. Repeating the same tasks changes nothing. */
  addTasks(tasks: readonly TaskRequest[], priorities?: readonly RoadmapPriorityRequest[]): Promise<AddedTasks>
  /** Ends a task, with its session where it has one; resolves when that has ended. A repeat answers the same. */
  cancelTask(taskId: string, body?: KillBody, signal?: AbortSignal): Promise<CancelTaskAnswer>
  /** Another run of a task that failed or was cancelled; what it blocked waits again. */
  retryTask(taskId: string): Promise<RetryTaskAnswer>
  /** Makes a task that has not begun wait for more. */
  addDependencies(taskId: string, body: DependenciesBody): Promise<DependenciesAnswer>
  /** Tasks and which waits for which; of one task what is before and after it. */
  taskGraph(query?: {
    readonly task_id?: string | undefined
    readonly limit?: number | undefined
  }): Promise<TaskGraph>
  /**
   * Mail between agents, sent, read and taken as the session of `asSession`; without one as the operator. A message id
   * is made where none is given; with one the call may be repeated.
   */
  sendMessage(body: SendMail): Promise<SentAnswer>
  /** To each session that has an agent. */
  broadcast(body: Broadcast): Promise<BroadcastAnswer>
  /** Unread messages first. Reading takes nothing: each is there again until it is answered or acknowledged. */
  inbox(limit?: number): Promise<InboxAnswer>
  /** To whoever sent that message, which is taken by it. */
  reply(messageId: string, body: Reply): Promise<SentAnswer>
  acknowledge(messageId: string): Promise<AcknowledgedAnswer>
  messages(filter?: MessageFilter): Promise<ListDocument<'messages', Mail>>
  message(messageId: string): Promise<{ readonly success: true; readonly message: Mail }>
  /** Ends a session, named by its id or by its agent's; resolves when it has ended. */
  kill(id: string, body?: KillBody, signal?: AbortSignal): Promise<KillAnswer>
  /** Ends every session whose agent is stalled or dead. */
  killStalled(signal?: AbortSignal): Promise<KillStalledAnswer>
  /** Another agent at once, or a new session that goes on from an ended one. */
  restart(id: string, body?: RestartBody, signal?: AbortSignal): Promise<RestartAnswer>
  /** Restarts the failed sessions that a restart may mend. */
  restartFailed(body?: RestartFailedBody, signal?: AbortSignal): Promise<RestartFailedAnswer>
  /** What sessions have left in worktrees. */
  worktrees(): Promise<WorktreesDocument>
  /** Of a session or a task: what its worktree has changed. */
  worktreeDiff(id: string): Promise<WorktreeDiff>
  /**
   * Merges the worktree of a session or a task into the branch that it began from.
   *
   * @throws DroverError `merge_conflict` with `files`, `worktree_refused` with the reason: nothing has changed then
   */
  mergeWorktree(id: string): Promise<WorktreeMerge>
  /** Removes worktrees without work in them; with `force`, one with all that is in it. */
  cleanWorktrees(body?: CleanWorktreesBody): Promise<WorktreesCleaned>
  /**
   * Leaves a message for the agent of a session, named by its id or by its agent's. It is sent again where the answer
   * is lost, as the same message.
   */
  send(id: string, text: string, options?: SendCall): Promise<SendAnswer>
  /** Stops the running turn; the session stays, and waits for a message. */
  interrupt(id: string, signal?: AbortSignal): Promise<InterruptAnswer>
  /** Answers what an agent asks before it uses a tool. With `request_id` it is asked again when the answer is lost. */
  answer(id: string, answer: PermissionBody, signal?: AbortSignal): Promise<PermissionAnswer>
  agentTypes(): Promise<ListDocument<'agent_types', AgentTypeView>>
  /** Those with one of the words, best first. */
  findTypes(q: string, limit?: number): Promise<ListDocument<'agent_types', AgentTypeView>>
  /** The same (all of them without words), and so much of each. */
  searchTypes(
    q: string,
    detail: DetailLevel,
    limit?: number,
  ): Promise<ListDocument<'agent_types', AgentTypeLine>>
  agentType(name: string): Promise<{ readonly success: true; readonly agent_type: AgentTypeView }>
}

/** The recorder is a moment behind by its nature. */
const STALE_SECONDS = 5

/** Opens nothing: every call makes a connection of its own. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const board: Board = {
    url: options.url,
    token: options.token ?? null,
    userAgent: options.userAgent ?? 'drover-client',
  }

  let said = false
  const noticed = <T>(document: T): T => {
    const { as_of = null, stale_seconds = null } = document as Partial<Freshness>
    // Without Redis nobody knows how old it is: that is said too.
    if (!said && as_of !== null && (stale_seconds ?? STALE_SECONDS) >= STALE_SECONDS) {
      said = true
      options.onStale?.({ as_of, stale_seconds })
    }
    return document
  }
  const get = <T>(path: string, filter: object = {}): Promise<T> =>
    request<T>(board, { method: 'GET', path: `/api/v1${path}${queryOf(filter)}` }).then(noticed)
  const asks = sessionHeader(options.asSession)
  const getOwn = <T>(path: string, filter: object = {}): Promise<T> =>
    request<T>(board, { method: 'GET', path: `/api/v1${path}${queryOf(filter)}`, headers: asks }).then(
      noticed,
    )
  const post = <T>(path: string, body: object, signal: AbortSignal | undefined): Promise<T> =>
    request<T>(board, { method: 'POST', path: `/api/v1${path}`, body, signal, headers: asks })
  /** Of what has an id of its own or may be done twice: asked again where the answer is lost. */
  const postAgain = <T>(path: string, body: object, signal?: AbortSignal): Promise<T> =>
    untilAnswered(board, { method: 'POST', path: `/api/v1${path}`, body, headers: asks, signal })
  const one = (id: string): string => encodeURIComponent(id)

  return {
    url: options.url,
    request: (call) => request(board, call),
    async spawn(body, call) {
      const accepted = await accept(board, body, call)
      const { wait = 'accepted' } = body
      if (wait === 'accepted') return accepted
      return await waitForSession(board, accepted, wait, { waiter: call?.createdBy, ...call })
    },
    accept: (body, call) => accept(board, body, call),
    wait: (accepted, what, waitOptions) =>
      waitForSession(board, accepted, what, { waiter: options.asSession ?? undefined, ...waitOptions }),
    session: (sessionId) => get(`/sessions/${one(sessionId)}`),
    sessions: (filter) => get('/sessions', filter),
    async *events(sessionId, eventsOptions) {
      for await (const text of followEvents(board, sessionId, eventsOptions)) yield parseEvent(text)
    },
    eventTexts: (sessionId, eventsOptions) => followEvents(board, sessionId, eventsOptions),
    eventPage: (sessionId, after, limit) => get(`/sessions/${one(sessionId)}/events`, { after, limit }),
    allEvents: (query) => get('/events', query),
    search: (q, query = {}) => get('/search', { q, ...query }),
    exported: (sessionId, format, signal) =>
      readText(board, {
        method: 'GET',
        path: `/api/v1/sessions/${one(sessionId)}/export?format=${format}`,
        signal,
      }),
    agents: (filter) => get('/agents', filter),
    agent: (agentId) => get(`/agents/${one(agentId)}`),
    pods: () => get('/pods'),
    monitor: (query) => get('/monitor', query),
    cost: (query) => get('/cost', query),
    tasks: (filter) => get('/tasks', filter),
    task: (taskId) => get(`/tasks/${one(taskId)}`),
    sendMessage: (body) => postAgain('/messages', { message_id: randomUUID(), ...body }),
    broadcast: (body) => postAgain('/messages/broadcast', { broadcast_id: randomUUID(), ...body }),
    inbox: (limit) => postAgain('/messages/inbox', { limit }),
    reply: (id, body) => postAgain(`/messages/${one(id)}/reply`, { message_id: randomUUID(), ...body }),
    acknowledge: (id) => postAgain(`/messages/${one(id)}/acknowledge`, {}),
    messages: (filter) => getOwn('/messages', filter),
    message: (id) => getOwn(`/messages/${one(id)}`),
    kill: (id, body = {}, signal) => post(`/sessions/${one(id)}/kill`, body, signal),
    killStalled: (signal) => post('/agents/kill-stalled', {}, signal),
    restart: (id, body = {}, signal) => post(`/sessions/${one(id)}/restart`, body, signal),
    restartFailed: (body = {}, signal) => post('/sessions/restart-failed', body, signal),
    addTasks: (tasks, priorities = []) =>
      post('/tasks', { tasks, ...(priorities.length === 0 ? {} : { priorities }) }, undefined),
    cancelTask: (taskId, body = {}, signal) => post(`/tasks/${one(taskId)}/cancel`, body, signal),
    retryTask: (taskId) => post(`/tasks/${one(taskId)}/retry`, {}, undefined),
    addDependencies: (taskId, body) => post(`/tasks/${one(taskId)}/dependencies`, body, undefined),
    taskGraph: (query = {}) => get('/task-graph', query),
    worktrees: () => get('/worktrees'),
    worktreeDiff: (id) => get(`/worktrees/${one(id)}/diff`),
    mergeWorktree: (id) => post(`/worktrees/${one(id)}/merge`, {}, undefined),
    cleanWorktrees: (body = {}) => post('/worktrees/clean', body, undefined),
    async send(id, text, { signal, idempotencyKey, priority, messageId } = {}) {
      const headers = idempotencyKey === undefined ? asks : { ...asks, 'idempotency-key': idempotencyKey }
      // Without a key an id of its own, so that it may be sent again.
      const ownId = idempotencyKey === undefined ? randomUUID() : undefined
      return await untilAnswered<SendAnswer>(board, {
        method: 'POST',
        path: `/api/v1/sessions/${one(id)}/messages`,
        body: { text, priority, message_id: messageId ?? ownId },
        headers,
        signal,
      })
    },
    interrupt: (id, signal) => post(`/sessions/${one(id)}/interrupt`, {}, signal),
    answer(id, answer, signal) {
      const path = `/sessions/${one(id)}/permissions`
      // Without a name it might be the next question that is answered the second time.
      return (answer.request_id ?? null) === null
        ? post(path, answer, signal)
        : postAgain(path, answer, signal)
    },
    agentTypes: () => get('/agent-types'),
    findTypes: (q, limit) => get('/agent-types', { q, limit }),
    searchTypes: (q, detail, limit) => get('/agent-types', { q, detail, limit }),
    agentType: (name) => get(`/agent-types/${one(name)}`),
  }
}

async function accept(
  board: Board,
  body: SpawnDocument,
  { idempotencyKey, createdBy, signal, patienceMs }: SpawnCall = {},
): Promise<AcceptedAnswer> {
  const headers = {
    ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    ...sessionHeader(createdBy),
    // We follow it to there: the board knows whether that would be for ever.
    ...(body.wait === 'started' || body.wait === 'completed' ? { 'drover-wait': body.wait } : {}),
  }
  const asked = {
    method: 'POST',
    path: '/api/v1/sessions',
    body: { ...body, wait: 'accepted' },
    headers,
    signal,
  } as const
  return await (idempotencyKey === undefined
    ? request<AcceptedAnswer>(board, asked)
    : untilAnswered<AcceptedAnswer>(board, asked, patienceMs))
}

function sessionHeader(sessionId: string | null | undefined): Readonly<Record<string, string>> {
  return sessionId == null ? {} : { 'drover-session': sessionId }
}

function queryOf(filter: object): string {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  const query = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))
  return given.length === 0 ? '' : `?${query.toString()}`
}
