/**
 * How old an answer from the ledger is. What happened is on the stream first and in the ledger a moment later; when
 * nobody records (a locked file, a full disk, a frozen recorder) the ledger still answers, and says until when it
 * knows.
 *
 * Every document that is read has `as_of` (all that happened until then is in it) and `stale_seconds`: 0 where the
 * recorder keeps up, null where Redis does not say; `as_of` is then the time of the last commit.
 */
import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import type { Freshness } from '../core/documents.ts'
import type { LedgerReader } from '../ledger/ledger.ts'
import type { Keys } from '../queue/keys.ts'
import { timeOf } from '../recorder/stream-id.ts'

export interface FreshnessParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly ledger: Pick<LedgerReader, 'recorded'>
}

/** Asked so often at most, however many requests there are. */
const KEPT_MS = 500
/** A Redis that hangs delays no answer for longer. */
const PATIENCE_MS = 300

/** What is read from the ledger. */
const OF_LEDGER = /^\/api\/v1\/(?:sessions|agents|tasks|messages|events|search|cost|monitor|worktrees)\b/

/** Adds it to every document about these that a GET answers with `success: true`. */
export function answerFreshness(app: FastifyInstance, parts: FreshnessParts): void {
  const look = createFreshness(parts)
  // Before the ledger is read: what is said of the answer held already then.
  app.decorateRequest('freshness', null)
  app.addHook('preHandler', async (request) => {
    if (request.method === 'GET' && OF_LEDGER.test(request.url)) request.freshness = await look()
  })
  app.addHook('preSerialization', async (request, _reply, payload) => {
    const { freshness } = request
    return freshness !== null && isAnswer(payload) ? { ...payload, ...freshness } : payload
  })
}

declare module 'fastify' {
  interface FastifyRequest {
    freshness: Freshness | null
  }
}

function isAnswer(payload: unknown): payload is { readonly success: true } {
  return typeof payload === 'object' && payload !== null && 'success' in payload && payload.success === true
}

function createFreshness(parts: FreshnessParts): () => Promise<Freshness> {
  let asked: { readonly at: number; readonly answer: Promise<Freshness> } | null = null
  return () => {
    const now = performance.now()
    if (asked === null || now - asked.at > KEPT_MS) asked = { at: now, answer: askFor(parts) }
    return asked.answer
  }
}

async function askFor({ redis, keys, ledger }: FreshnessParts): Promise<Freshness> {
  // A ledger that does not answer is said by the request itself.
  const recorded = recordedOf(ledger)
  if (recorded === null) return { as_of: null, stale_seconds: null }
  const answered = new AbortController()
  const late = sleep(PATIENCE_MS, answered.signal).then(() => null)
  const asking = Promise.all([
    redis.xrange(keys.events, `(${recorded.streamId}`, '+', 'COUNT', 1),
    redis.time(),
  ])
  try {
    const answer = await Promise.race([asking.catch(() => null), late])
    if (answer === null) return { as_of: recorded.asOf, stale_seconds: null }
    const [[oldest], [seconds, micros]] = answer
    const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
    const asOf = oldest === undefined ? now : Math.min(now, timeOf(oldest[0]))
    return { as_of: new Date(asOf).toISOString(), stale_seconds: Math.floor((now - asOf) / 1000) }
  } finally {
    answered.abort()
  }
}

function recordedOf(ledger: Pick<LedgerReader, 'recorded'>): ReturnType<LedgerReader['recorded']> | null {
  try {
    return ledger.recorded()
  } catch {
    return null
  }
}
