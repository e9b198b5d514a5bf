/** The producer: how any TypeScript service asks for sessions, straight to Redis. */
import type {
  AcceptedAnswer,
  CompletedAnswer,
  KillAnswer,
  RestartAnswer,
  StartedAnswer,
} from '../core/answer.ts'
import { LINEAGE_MAX_CHILDREN, LINEAGE_MAX_DEPTH } from '../config/defaults.ts'
import type { Actor, Envelope } from '../core/envelope.ts'
import {
  permissionBodySchema,
  sendBodySchema,
  type InterruptAnswer,
  type MessagePriority,
  type PermissionAnswer,
  type SendAnswer,
} from '../core/follow-up.ts'
import { DroverError, invalidRequest, isDroverError } from '../core/errors.ts'
import { NAMESPACE_PATTERN } from '../core/ids.ts'
import type { LineageLimits } from '../core/lineage.ts'
import { createRedactor, type Redactor } from '../core/redact.ts'
import { parsePattern, writtenProblem } from '../core/redact-patterns.ts'
import {
  issuesOf,
  killBodySchema,
  parseRequest,
  restartBodySchema,
  wholeSpawnBodySchema,
  type OnBusy,
  type TemplateVars,
  type Wait,
} from '../core/request.ts'
import { isEnded } from '../core/state.ts'
import { connectRedis, redisUnavailable } from '../queue/connection.ts'
import { keysOf } from '../queue/keys.ts'
import { createLive } from '../queue/live.ts'
import { createCertainRead } from '../queue/certain-read.ts'
import { createSessionStore, type SessionRecord } from '../queue/session-store.ts'
import { callSchema, redisUrlOf } from './call-schema.ts'
import { completedAnswer, startedAnswer } from './answers.ts'
import { toCamel, toSnake, type Camel } from './camel.ts'
import { requireRecord } from './kill.ts'
import { createSessionOperations } from './session-operations.ts'
import { withPrompt } from './with-prompt.ts'
import { endedOfRecord, type Restarted, type RestartOptions } from './restart.ts'

const ACTOR: Actor = { via: 'typescript', name: null }
/** The configuration's default: a service straight at Redis has none. */
const MAX_RESTARTS = 3
const LINEAGE: LineageLimits = { maxDepth: LINEAGE_MAX_DEPTH, maxChildren: LINEAGE_MAX_CHILDREN }

export interface ProducerOptions {
  /** `redis://[user:password@]host:port[/db]` */
  readonly redisUrl: string
  /** @default 'default' */
  readonly namespace?: string
  /** Told about connection errors; without it they are silent until a call fails. */
  readonly onError?: (error: unknown) => void
  /** What is taken out of what is recorded of requests and messages. @default what looks like a secret */
  readonly redaction?: RedactionOptions
}

/**
 * What is secret. Agents get what they are given with it; what is recorded of that has `[redacted:<name>]` in its place
 * (docs/redaction.md).
 */
export interface RedactionOptions {
  /** Values of at least 8 characters, by the name that is shown in their place. */
  readonly secrets?: Readonly<Record<string, string>>
  /** `name=expression`, as `redaction.patterns` of the configuration. */
  readonly patterns?: readonly string[]
  /** What looks like a key of a well-known service, a private key or a password in an address. @default true */
  readonly known?: boolean
}

/** What to run. */
export interface SpawnOptions {
  readonly agentType: string
  /** With a template its `{{task}}`. */
  readonly prompt?: string
  /** Absolute, on a machine where pods run. @default the current directory of this process, as on the command line */
  readonly workspaceDir?: string
  /** A template of the agent type, by name, and what it is rendered with. */
  readonly template?: string
  readonly vars?: TemplateVars
  readonly orchestratorId?: string
  /** In a git worktree of its own, of the repository of `workspaceDir`. @default as the agent type's `workspace` */
  readonly worktree?: boolean
  /** Bounds the session as a whole, restarts included, in seconds. @default the agent type's `timeout` */
  readonly timeoutSeconds?: number
  /** @default true */
  readonly autoRestart?: boolean
  /** 1 runs first. @default 1000 */
  readonly priority?: number
  /** @default 'accepted' */
  readonly wait?: Wait
  /** @default 'queue' */
  readonly onBusy?: OnBusy
  /** Submitting twice with one key runs once. */
  readonly idempotencyKey?: string
  /** The session on whose behalf it is asked for: its parent in the ledger's tree. A UUID; not looked up. */
  readonly createdBy?: string
  /** Stops waiting, never the session. */
  readonly signal?: AbortSignal
}

/** The handle that `spawn` answers: always the ids, and with `wait` the rest of the answer. */
export type Spawned = Camel<AcceptedAnswer> | Camel<StartedAnswer> | Camel<CompletedAnswer>

/** How a session is killed. */
export interface KillSessionOptions {
  /** Between SIGTERM and SIGKILL, in seconds. @default as the pod is configured, 10 */
  readonly graceSeconds?: number
  /** SIGKILL at once. @default false */
  readonly force?: boolean
  /** Recorded with the session. */
  readonly reason?: string
  /** Stops waiting; the kill stands. */
  readonly signal?: AbortSignal
}

/** How a session is restarted. */
export interface RestartSessionOptions {
  /** Also where it failed for a reason that a restart alone does not mend. @default false */
  readonly force?: boolean
  /** Stops waiting; the restart stands. */
  readonly signal?: AbortSignal
}

/** A message to a session. */
export interface SendMessageOptions {
  /** `now` ends the running turn first, `later` waits for its end. @default 'next' */
  readonly priority?: MessagePriority
  /** A UUID. The same id is the same message. */
  readonly messageId?: string
  /** The same key to the same session is the same message. */
  readonly idempotencyKey?: string
}

/** The answer to a question. */
export interface AnswerPermissionOptions {
  /** @default the only one that is open */
  readonly requestId?: string
  readonly behavior: 'allow' | 'deny'
  /** What the agent is told with a denial. */
  readonly message?: string
  /** Runs the tool with this input instead. */
  readonly updatedInput?: Readonly<Record<string, unknown>>
  /** Ends the turn with a denial. */
  readonly interrupt?: boolean
}

export interface Producer {
  /**
   * Accepts a session. It may not name tasks: their checks are where the ledger is (use the HTTP client).
   *
   * @throws DroverError `invalid_request`, `agent_type_not_found`, `idempotency_conflict`,
   *   `singleton_violation`, `lineage_limit`, `self_deadlock`, `redis_unavailable` (nothing was accepted, as far as Redis answered)
   */
  spawn(options: SpawnOptions): Promise<Spawned>
  /** What the stream still holds (at least ten minutes), then live; ends after the session's end. */
  events(
    sessionId: string,
    options?: { after?: number; signal?: AbortSignal },
  ): AsyncGenerator<Envelope, void, void>
  /** Waits for the end. A session that failed is an answer with `success: false`, not an exception. */
  result(sessionId: string, options?: { signal?: AbortSignal }): Promise<Camel<CompletedAnswer>>
  /**
   * Ends a session and resolves when it has ended. A repeat answers the same.
   *
   * @throws DroverError `session_not_found`, `session_ended` where it ended otherwise, `kill_failed` where its pod has
   *   not ended it in time (the kill stands all the same), `redis_unavailable`
   */
  kill(sessionId: string, options?: KillSessionOptions): Promise<Camel<KillAnswer>>
  /**
   * Another agent at once for a session that has not ended; a new session that goes on from one that has (not of a
   * task: use the HTTP client). Counters begin again.
   *
   * @throws DroverError `session_not_found`, `session_ended`, `non_retryable_error`, `redis_unavailable`
   */
  restart(sessionId: string, options?: RestartSessionOptions): Promise<Camel<RestartAnswer>>
  /**
   * Leaves a message for the session's agent: it is steered into the running turn, is the next turn, or is kept for
   * the next agent.
   *
   * @throws DroverError `session_not_found`, `session_ended`, `inbox_full`, `idempotency_conflict`,
   *   `redis_unavailable`
   */
  send(sessionId: string, text: string, options?: SendMessageOptions): Promise<Camel<SendAnswer>>
  /**
   * Stops the running turn; the session stays, and waits for a message.
   *
   * @throws DroverError `session_not_found`, `session_ended`, `session_not_running`, `redis_unavailable`
   */
  interrupt(sessionId: string, options?: { signal?: AbortSignal }): Promise<Camel<InterruptAnswer>>
  /**
   * Answers what the agent asks before it uses a tool.
   *
   * @throws DroverError `session_not_found`, `session_ended`, `question_not_found`, `already_answered`,
   *   `redis_unavailable`
   */
  answer(sessionId: string, options: AnswerPermissionOptions): Promise<Camel<PermissionAnswer>>
  close(): Promise<void>
}

/**
 * Connects on the first call; keep one producer per process and close it at the end.
 *
 * @example
 * const producer = createProducer({ redisUrl: 'redis://127.0.0.1:6379' })
 * const session = await producer.spawn({ agentType: 'architect', prompt: '…', workspaceDir: '/srv/shop' })
 * const result = await producer.result(session.sessionId)
 */
export function createProducer(options: ProducerOptions): Producer {
  const namespace = options.namespace ?? 'default'
  if (!NAMESPACE_PATTERN.test(namespace)) {
    throw invalidRequest([
      { path: 'namespace', message: 'must be a name such as "team-a" (a-z, 0-9 and -, at most 32)' },
    ])
  }
  const redisUrl = redisUrlOf(options.redisUrl)
  const redactor = redactorOf(options.redaction ?? {})
  const onError = options.onError ?? ((): void => {})
  const keys = keysOf(namespace)
  let connecting: ReturnType<typeof connect> | null = null
  /** What `connecting` has become: a warm producer's call is on its way without a turn of the event loop. */
  let ready: Awaited<ReturnType<typeof connect>> | null = null

  async function connect() {
    const redis = await connectRedis({ url: redisUrl, mode: 'fails', name: 'producer', onError })
    const subscriber = await connectRedis({
      url: redisUrl,
      mode: 'waits',
      name: 'producer-live',
      onError,
    }).catch((error: unknown) => {
      redis.disconnect()
      throw error
    })
    const live = createLive(subscriber, keys)
    const whole = createSessionStore(redis, keys)
    const store = { ...whole, read: createCertainRead(redis, keys, whole.read) }
    const sessions = createSessionOperations({
      redis,
      store,
      live,
      keys,
      lineage: LINEAGE,
      maxRestarts: MAX_RESTARTS,
      redactor,
      onError,
    })
    return { ...sessions, redis, store, live }
  }

  function connected(): ReturnType<typeof connect> {
    connecting ??= connect().then(
      (connected) => (ready = connected),
      (error: unknown) => {
        connecting = null
        throw error
      },
    )
    return connecting
  }

  async function ended(sessionId: string, signal?: AbortSignal): Promise<SessionRecord> {
    const { follower, tidying } = await connected()
    const record = await follower.until(sessionId, () => false, signal)
    signal?.throwIfAborted()
    await tidying.until(sessionId, signal)
    return record
  }

  /** Whatever Redis does not answer is `redis_unavailable`. */
  async function viaRedis<T>(work: Promise<T>): Promise<T> {
    return await work.catch((error: unknown) => {
      throw isDroverError(error) ? error : redisUnavailable(redisUrl, error)
    })
  }

  async function restarted(sessionId: string, restart: RestartOptions): Promise<Restarted> {
    const { store, restarter } = await connected()
    const record = await requireRecord(store, sessionId)
    const goneOn = await restarter.goOn(record, restart)
    if (goneOn !== null) return goneOn
    if (record.request.task_id != null) {
      throw invalidRequest([
        {
          path: 'session_id',
          message:
            'is the run of a task, which is checked where the ledger is: restart it over HTTP with createClient',
        },
      ])
    }
    const ended = await requireRecord(store, sessionId)
    return await restarter.again(endedOfRecord(ended, await restartsBefore(ended)), restart)
  }

  /** As far back as Redis still knows them: a day. */
  async function restartsBefore(record: SessionRecord): Promise<number> {
    const { store } = await connected()
    let count = 0
    for (let at: SessionRecord | null = record; at !== null && at.restartOf !== null; count++) {
      at = await store.read(at.restartOf)
    }
    return count
  }

  return {
    async spawn({ signal, idempotencyKey, createdBy, vars, workspaceDir = process.cwd(), ...options }) {
      // The names of variables are the caller's own.
      const document = { ...toSnake({ ...options, workspaceDir }), vars }
      const call = callSchema.safeParse({ idempotencyKey, createdBy })
      const body = wholeSpawnBodySchema.safeParse(document)
      if (!call.success || !body.success) {
        throw invalidRequest([call, body].flatMap((part) => (part.success ? [] : issuesOf(part.error))))
      }
      const { wait, on_busy, ...asked } = body.data
      if (asked.task_id != null || (asked.depends_on ?? []).length > 0) {
        throw invalidRequest([
          {
            path: asked.task_id == null ? 'depends_on' : 'task_id',
            message: 'tasks are checked where the ledger is: spawn over HTTP with createClient',
          },
        ])
      }
      const { acceptor, follower, types, waits } = ready ?? (await connected())
      const type = asked.template == null ? null : await viaRedis(types.current(asked.agent_type))
      const request = withPrompt(asked, type)
      const { answer } = await acceptor
        .accept(request, {
          actor: ACTOR,
          idempotencyKey: idempotencyKey ?? null,
          createdBy: createdBy ?? null,
          awaited: wait !== 'accepted',
          onBusy: on_busy,
        })
        .catch((error: unknown) => {
          throw isDroverError(error) ? error : redisUnavailable(redisUrl, error)
        })
      if (wait === 'accepted') return toCamel(answer)
      const enough = (record: SessionRecord): boolean => wait === 'started' && record.startedAt !== null
      const end = createdBy === undefined ? null : await waits.begin(createdBy, answer.session_id)
      const record = await follower.until(answer.session_id, enough, signal).finally(() => end?.())
      signal?.throwIfAborted()
      if (wait === 'started') refuseFailedStart(record)
      if (isEnded(record.state)) return toCamel(completedAnswer(record))
      return toCamel(startedAnswer(record))
    },

    async *events(sessionId, { after = 0, signal } = {}) {
      const { follower } = await connected()
      yield* follower.events(sessionId, after, signal)
    },

    async result(sessionId, { signal } = {}) {
      return toCamel(completedAnswer(await ended(sessionId, signal)))
    },

    async kill(sessionId, { signal, ...body } = {}) {
      const { grace_seconds, force, reason } = parseRequest(killBodySchema, toSnake(body))
      const { kill } = await connected()
      const { answer } = await viaRedis(
        kill(sessionId, {
          actor: ACTOR,
          graceSeconds: grace_seconds ?? undefined,
          force: force ?? undefined,
          reason: reason ?? undefined,
          signal,
        }),
      )
      return toCamel(answer)
    },

    async restart(sessionId, { signal, ...body } = {}) {
      const { force } = parseRequest(restartBodySchema, toSnake(body))
      const options = { actor: ACTOR, force: force ?? undefined, signal }
      const { answer } = await viaRedis(restarted(sessionId, options))
      return toCamel(answer)
    },

    async send(sessionId, text, { idempotencyKey, messageId, priority } = {}) {
      parseRequest(callSchema, { idempotencyKey })
      const body = parseRequest(sendBodySchema, { text, priority, message_id: messageId })
      const { followUp } = await connected()
      const { answer } = await viaRedis(
        followUp.send(sessionId, {
          actor: ACTOR,
          text: body.text,
          priority: body.priority ?? undefined,
          messageId: body.message_id ?? undefined,
          idempotencyKey,
        }),
      )
      return toCamel(answer)
    },

    async interrupt(sessionId, { signal } = {}) {
      const { followUp } = await connected()
      const { answer } = await viaRedis(followUp.interrupt(sessionId, { actor: ACTOR, signal }))
      return toCamel(answer)
    },

    async answer(sessionId, { requestId, behavior, message, updatedInput, interrupt }) {
      const body = parseRequest(permissionBodySchema, {
        request_id: requestId,
        behavior,
        message,
        updated_input: updatedInput,
        interrupt,
      })
      const { followUp } = await connected()
      const { answer } = await viaRedis(
        followUp.answer(sessionId, {
          actor: ACTOR,
          requestId: body.request_id ?? undefined,
          behavior: body.behavior,
          message: body.message ?? undefined,
          updatedInput: body.updated_input ?? undefined,
          interrupt: body.interrupt ?? undefined,
        }),
      )
      return toCamel(answer)
    },

    async close() {
      if (connecting === null) return
      const { redis, queues, live } = await connecting
      live.close()
      await queues.close()
      redis.disconnect()
    },
  }
}

/** @throws DroverError `invalid_request` */
function redactorOf({ secrets = {}, patterns = [], known = true }: RedactionOptions): Redactor {
  const problems = patterns.flatMap((written) => writtenProblem(written) ?? [])
  if (problems.length > 0) {
    throw invalidRequest(problems.map((message) => ({ path: 'redaction.patterns', message })))
  }
  return createRedactor({
    secrets: Object.entries(secrets).map(([name, value]) => ({ name, value })),
    patterns: patterns.map(parsePattern),
    known,
  })
}

/** Waiting for a start that failed is an error; a session that started and then failed is an answer. */
function refuseFailedStart({ ended, startedAt, sessionId, agentType }: SessionRecord): void {
  const reason = ended?.failure_reason
  if (startedAt !== null || (reason !== 'spawn_failed' && reason !== 'startup_timeout')) return
  throw new DroverError(reason, ended?.message ?? 'The agent could not be started.', {
    session_id: sessionId,
    agent_type: agentType,
  })
}
