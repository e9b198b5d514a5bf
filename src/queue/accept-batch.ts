/**
 * Accepts of one turn of the event loop go to Redis in one call: a service that asks for a hundred sessions at once
 * pays for one command, and nobody waits longer for it.
 */
import type { Redis } from 'ioredis'
import type { SessionAccepted } from '../core/events.ts'
import type { SpawnRequest } from '../core/request.ts'
import type { Keys } from './keys.ts'
import type { OwnEvent } from './own-event.ts'
import { ACCEPT_SCRIPT } from './session-script.ts'

/** A call holds Redis up for some 20 µs per session. */
const MOST_SESSIONS = 100
/** Of requests: prompts of 10 MB go alone. */
const MOST_CHARACTERS = 1_000_000
/** BullMQ's score of a prioritized job is priority × 2^32 + a counter. */
const PRIORITY_STEP = 2 ** 32

/** A session to be accepted. */
export interface Acceptance {
  readonly sessionId: string
  readonly request: SpawnRequest
  readonly digest: string
  readonly createdAt: string
  readonly createdBy: string | null
  /** So many sessions its parent may ask for; null: they are not counted. */
  readonly maxChildren?: number | null
  readonly priority: number
  readonly timeoutSeconds: number
  /** The accepted event's members beside the request. */
  readonly accepted: Omit<SessionAccepted, 'request'>
  /** Events that follow the accepted one. */
  readonly events: readonly OwnEvent[]
}

export type Accepted =
  | { readonly created: true; readonly streamId: string; readonly position: number }
  /** `exists`: accepted before. `children`: its parent has asked for as many as it may. */
  | { readonly created: false; readonly why: 'exists' | 'children' }

type Answer = readonly ['exists' | 'children'] | readonly ['ok', string, string]
interface AcceptingRedis extends Redis {
  droverAccept(keyCount: number, ...args: string[]): Promise<readonly Answer[]>
}

interface Waiting {
  readonly acceptance: Acceptance
  readonly requestText: string
  readonly onSent: (() => void) | undefined
  resolve(accepted: Accepted): void
  reject(error: unknown): void
}

export function createAcceptBatch(
  redis: Redis,
  keys: Keys,
): (acceptance: Acceptance, onSent?: () => void) => Promise<Accepted> {
  redis.defineCommand('droverAccept', { lua: ACCEPT_SCRIPT })
  const accepting = redis as AcceptingRedis
  let waiting: Waiting[] = []
  let characters = 0

  function flush(): void {
    if (waiting.length === 0) return
    const batch = waiting
    waiting = []
    characters = 0
    send(batch)
    for (const { onSent } of batch) onSent?.()
  }

  function send(batch: readonly Waiting[]): void {
    const keyNames = batch.flatMap(({ acceptance: { sessionId, request, createdBy } }) => [
      keys.session(sessionId),
      keys.waiting(request.agent_type),
      keys.prioritized(request.agent_type),
      keys.ended(sessionId),
      keys.session(createdBy ?? sessionId),
    ])
    const sessions = JSON.stringify(batch.map(({ acceptance }) => describe(acceptance, keys)))
    const texts = batch.flatMap(({ acceptance, requestText }) => [
      requestText,
      `,${JSON.stringify(acceptance.accepted).slice(1)}`,
      ...acceptance.events.flatMap((event) => [event.type, JSON.stringify(event.payload)]),
    ])
    accepting.droverAccept(1 + keyNames.length, keys.events, ...keyNames, sessions, ...texts).then(
      (answers) => batch.forEach((one, index) => one.resolve(acceptedOf(answers[index]))),
      (error: unknown) => batch.forEach((one) => one.reject(error)),
    )
  }

  return (acceptance, onSent) =>
    new Promise((resolve, reject) => {
      const requestText = JSON.stringify(acceptance.request)
      if (waiting.length === 0) process.nextTick(flush)
      waiting.push({ acceptance, requestText, onSent, resolve, reject })
      characters += requestText.length
      if (waiting.length >= MOST_SESSIONS || characters >= MOST_CHARACTERS) flush()
    })
}

function describe(acceptance: Acceptance, keys: Keys): Readonly<Record<string, string | number>> {
  const { sessionId, request, priority } = acceptance
  return {
    session_id: sessionId,
    agent_type: request.agent_type,
    channel: keys.live(sessionId),
    digest: acceptance.digest,
    created_at: acceptance.createdAt,
    created_by: acceptance.createdBy ?? '',
    ...(acceptance.createdBy === null || acceptance.maxChildren == null
      ? {}
      : { max_children: acceptance.maxChildren }),
    restart_of: acceptance.accepted.restart_of ?? '',
    priority,
    timeout_seconds: acceptance.timeoutSeconds,
    position_before: (priority + 1) * PRIORITY_STEP,
    events: acceptance.events.length,
  }
}

function acceptedOf(answer: Answer | undefined): Accepted {
  if (answer?.[0] !== 'ok') return { created: false, why: answer?.[0] ?? 'exists' }
  return { created: true, streamId: answer[1], position: Number(answer[2]) }
}
