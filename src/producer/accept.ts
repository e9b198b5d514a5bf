/**
 * Accepting a session: the one way in, for every door.
 *
 * First the event with the whole request, then the job. Dying between the two leaves an accepted session without
 * a job: `ensureJobs` adds it, and so does a repeat with the same key. Both are idempotent, so they are sent
 * together on one connection, which keeps their order.
 */
import type { AcceptedAnswer } from '../core/answer.ts'
import type { Actor } from '../core/envelope.ts'
import { DroverError } from '../core/errors.ts'
import type { TaskPending, TaskSpawned } from '../core/events.ts'
import { newSessionId, sessionIdOfKey } from '../core/ids.ts'
import type { SessionState } from '../core/state.ts'
import { refuseTooDeep, tooManyChildren, type LineageLimits } from '../core/lineage.ts'
import { redactWork, secretsIn, type TakenOut, type TakesOut } from '../core/redacted.ts'
import { DEFAULT_PRIORITY, requestDigest, type OnBusy, type SpawnRequest } from '../core/request.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import { mayBeDone, redisReason } from '../queue/connection.ts'
import type { EndedSessionNote } from '../queue/ended-session.ts'
import type { Queues } from '../queue/jobs.ts'
import type { Keys } from '../queue/keys.ts'
import type { OwnEvent } from '../queue/own-event.ts'
import type { PodDirectory } from '../queue/pods.ts'
import type { SessionStore } from '../queue/session-store.ts'
import type { UnredactedStore } from '../queue/unredacted.ts'
import { refuseWhenBusy } from './busy.ts'
import { chainOf } from './lineage.ts'
import type { Waits } from './waits.ts'

export interface AcceptOptions {
  readonly actor: Actor
  /** The same key in the same namespace is the same session. */
  readonly idempotencyKey?: string | null
  /** A derived id (a task's session). */
  readonly sessionId?: string
  readonly createdBy?: string | null
  /** Its parent was asked for it before, with a task: how deep and how many was looked at then. */
  readonly counted?: boolean
  /** Whoever asks will wait for its start or its end. */
  readonly awaited?: boolean
  /** The ended session that this one goes on from. */
  readonly restartOf?: string
  /** The task's next run, which begins with this session. */
  readonly taskAgain?: TaskPending
  /** The request is what was recorded before (of a task, of an ended session), and what was taken out of that. */
  readonly before?: TakenOut | null
  /** The recorder makes its task of the accepted event. */
  readonly makesTask?: boolean
  /** Tasks that it waits for; with one, the job is added by `ensureJobs` later. */
  readonly waitingFor?: readonly string[]
  readonly onBusy?: OnBusy
}

export interface Acceptance {
  readonly answer: AcceptedAnswer
  /** Position of the accepted event on the stream: what a wait for the ledger waits for. */
  readonly streamId: string
}

export interface Acceptor {
  /**
   * @param request already checked against `spawnRequestSchema`
   * @throws DroverError `agent_type_not_found`, `idempotency_conflict`, `lineage_limit`, `self_deadlock`; of one that
   *   must not wait (`onBusy: 'fail'`) `singleton_violation`, `resource_exhaustion`
   */
  accept(request: SpawnRequest, options: AcceptOptions): Promise<Acceptance>
}

export interface AcceptorParts {
  readonly store: SessionStore
  readonly queues: Queues
  readonly types: AgentTypeRegistry
  readonly pods: Pick<PodDirectory, 'list'>
  readonly keys: Keys
  readonly lineage: LineageLimits
  readonly waits: Pick<Waits, 'refuseAsking'>
  readonly unredacted: Pick<UnredactedStore, 'keep'>
  /** Takes secrets out of what is recorded (docs/redaction.md). */
  readonly redactor: TakesOut
  readonly onError: (error: unknown) => void
}

export function createAcceptor(parts: AcceptorParts): Acceptor {
  const { store, queues, types, keys, onError } = parts

  return {
    async accept(request, options) {
      // Without a turn of the event loop where it is known: the first of many calls are on their way to Redis then
      // while the others are still being made.
      const type = types.remembered(request.agent_type) ?? (await types.require(request.agent_type))
      const key = options.idempotencyKey ?? null
      const sessionId =
        options.sessionId ?? (key === null ? newSessionId() : sessionIdOfKey(keys.namespace, key))

      const priority = request.priority ?? DEFAULT_PRIORITY
      const createdAt = new Date().toISOString()
      const timeoutSeconds = request.timeout_seconds ?? type.timeout
      // A fresh id meets no earlier request that it could differ from.
      const mayRepeat = key !== null || options.sessionId !== undefined
      // Of the request as it is given: one that is recorded already is the same again, whatever Redis has lost.
      const digest = mayRepeat ? requestDigest(request) : ''
      const { recorded, redacted, prompt } = redactWork(request, parts.redactor, options.before)
      const createdBy = options.createdBy ?? null
      // A restart by hand is another run of the same work, whoever asks for it.
      const isChild = createdBy !== null && options.restartOf === undefined && options.counted !== true
      const mustLook = options.onBusy === 'fail' || isChild
      const known = mustLook && mayRepeat && (await isKnown(sessionId))
      if (isChild && !known) {
        refuseTooDeep(await chainOf(store, createdBy, parts.lineage.maxDepth), type.name, parts.lineage)
        if (options.awaited === true) {
          await parts.waits.refuseAsking(createdBy, type.name, options.waitingFor ?? [])
        }
      }
      if (options.onBusy === 'fail' && !known) await refuseWhenBusy(parts, type, sessionId)
      if (options.makesTask === true && redacted !== null && prompt !== null) {
        await parts.unredacted.keep([{ taskId: request.task_id ?? '', digest: redacted.digest, prompt }])
      }
      const waitingFor = options.waitingFor ?? []
      const job = { sessionId, agentType: request.agent_type, priority }
      let adding: Promise<void> | undefined
      // After the append the session is accepted, whatever becomes of the job: ensureJobs adds it.
      const addJob = (): void => void (adding = queues.add(job).catch(onError))
      const accepting = store.accept(
        {
          sessionId,
          request: recorded,
          unredactedPrompt: prompt,
          takenOut: prompt === null ? [] : secretsIn(prompt, parts.redactor),
          digest,
          createdAt,
          createdBy,
          maxChildren: isChild ? parts.lineage.maxChildren : null,
          priority,
          timeoutSeconds,
          accepted: {
            digest,
            idempotency_key: key,
            created_by: createdBy,
            restart_of: options.restartOf ?? null,
            actor: options.actor,
            ...(options.awaited === true ? { awaited: true } : {}),
            timeout_seconds: timeoutSeconds,
            ...(redacted === null ? {} : { redacted }),
          },
          events: taskEvents(sessionId, request, options.taskAgain),
        },
        // A repeat is looked at first: a job of another request's type must not come into its queue. So is a child,
        // which may be refused: a job without a session is nobody's.
        waitingFor.length > 0 || mayRepeat || isChild ? undefined : addJob,
      )
      const accepted = await accepting.catch((error: unknown) => {
        throw mayBeDone(error) ? mayBeAccepted(sessionId, key, error) : error
      })
      if (!accepted.created && accepted.why === 'children' && createdBy !== null) {
        throw tooManyChildren(createdBy, parts.lineage.maxChildren)
      }
      if (accepted.created && waitingFor.length === 0 && (mayRepeat || isChild)) addJob()
      await adding

      const base = {
        success: true,
        session_id: sessionId,
        agent_type: request.agent_type,
        task_id: request.task_id ?? null,
        durability: 'redis',
        waiting_for: waitingFor,
      } as const
      if (accepted.created) {
        return {
          streamId: accepted.streamId,
          answer: {
            ...base,
            status: 'queued',
            queue_position: waitingFor.length > 0 ? 0 : accepted.position,
            created_at: createdAt,
            timeout_seconds: timeoutSeconds,
            repeated: false,
          },
        }
      }
      const present = await presentOf(sessionId)
      if (present.forgone_by !== undefined) throw forgone(request.task_id ?? null)
      if (present.digest !== digest) throw conflict(sessionId, key)
      // Whoever accepted it may have died before its job was there.
      if (present.status === 'queued' && waitingFor.length === 0) await queues.add(job).catch(onError)
      return {
        streamId: present.first_id,
        answer: {
          ...base,
          status: present.status,
          queue_position: await queues.position(request.agent_type, sessionId),
          created_at: present.created_at,
          timeout_seconds: present.timeout_seconds,
          repeated: true,
        },
      }
    },
  }

  async function isKnown(sessionId: string): Promise<boolean> {
    return (await store.read(sessionId)) !== null || (await store.readEnded(sessionId)) !== null
  }

  /** Of a session that was accepted before: from its hash, or from what is remembered of its end. */
  async function presentOf(
    sessionId: string,
  ): Promise<Omit<EndedSessionNote, 'agent_type' | 'status'> & { readonly status: SessionState }> {
    const record = await store.read(sessionId)
    const present =
      record === null
        ? await store.readEnded(sessionId)
        : {
            status: record.state,
            digest: record.digest,
            created_at: record.createdAt,
            timeout_seconds: record.timeoutSeconds,
            first_id: record.firstId,
          }
    if (present === null) throw new Error(`session ${sessionId} vanished while it was accepted`)
    return present
  }
}

function taskEvents(sessionId: string, request: SpawnRequest, again: TaskPending | undefined): OwnEvent[] {
  if (request.task_id == null) return []
  const spawned: TaskSpawned = { task_id: request.task_id, session_id: sessionId }
  return [
    ...(again === undefined ? [] : [{ type: 'drover.task.pending' as const, payload: again }]),
    { type: 'drover.task.spawned', payload: spawned },
  ]
}

/** Between the look at the task and this call. */
function forgone(taskId: string | null): DroverError {
  return new DroverError(
    'task_not_ready',
    `The task ${taskId} was cancelled or changed just now, and this run of it does not begin. Look at it and ask again.`,
    { task_id: taskId },
  )
}

function conflict(sessionId: string, key: string | null): DroverError {
  const what = key === null ? 'This session' : `The idempotency key "${key}"`
  return new DroverError(
    'idempotency_conflict',
    `${what} was accepted before with another request. Use a new key for a new request.`,
    { session_id: sessionId },
  )
}

/** Redis was asked and has not answered: the one failure of which nobody knows whether something was accepted. */
function mayBeAccepted(sessionId: string, key: string | null, error: unknown): DroverError {
  const again = key === null ? '' : ', and asking again under the same key is the same session'
  return new DroverError(
    'redis_unavailable',
    `Redis has not answered (${redisReason(error)}). Whether the session ${sessionId} was accepted is not known: ` +
      `"drover sessions show ${sessionId}" says it once Redis answers${again}.`,
    { session_id: sessionId, accepted: 'unknown' },
    { cause: error },
  )
}
