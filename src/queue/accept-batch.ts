/**
 * Accepts of one turn of the event loop go to Redis in one call: a service that asks for a hundred sessions at once
 * pays for one command, and nobody waits longer for it.
 */
import type { Redis } from 'ioredis'
import { ACCEPT_SCRIPT, acceptCall, type Acceptance } from './accept-script.ts'
import type { Keys } from './keys.ts'

/** A call holds Redis up for some 15 µs per session. */
const MOST_SESSIONS = 100
/** Of requests: prompts of 10 MB go alone. */
const MOST_CHARACTERS = 1_000_000

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
    const { names, args } = acceptCall(batch, keys)
    accepting.droverAccept(names.length, ...names, ...args).then(
      (answers) => batch.forEach((one, index) => one.resolve(acceptedOf(answers[index]))),
      (error: unknown) => batch.forEach((one) => one.reject(error)),
    )
  }

  return (acceptance, onSent) =>
    new Promise((resolve, reject) => {
      const requestText = JSON.stringify(acceptance.request)
      if (waiting.length === 0) process.nextTick(flush)
      waiting.push({ acceptance, requestText, onSent, resolve, reject })
      characters += requestText.length + (acceptance.unredactedPrompt?.length ?? 0)
      if (waiting.length >= MOST_SESSIONS || characters >= MOST_CHARACTERS) flush()
    })
}

function acceptedOf(answer: Answer | undefined): Accepted {
  if (answer?.[0] !== 'ok') return { created: false, why: answer?.[0] ?? 'exists' }
  return { created: true, streamId: answer[1], position: Number(answer[2]) }
}
