/** Redis connections: who waits for Redis, and who fails at once. */
import { Redis } from 'ioredis'
import { DroverError, messageOf } from '../core/errors.ts'

/** BullMQ's own back-off grows to 20 s; with this cap workers are back 0.6 s after Redis (bullmq.md §4.2). */
const RECONNECT_CAP_MS = 1000
const reconnectDelay = (attempt: number): number =>
  Math.min(100 * 2 ** Math.min(attempt, 4), RECONNECT_CAP_MS)

/** Longer than the longest script; whoever waits in front of it would rather know. */
const COMMAND_TIMEOUT_MS = 10_000

export interface ConnectOptions {
  readonly url: string
  /** `waits`: commands queue until Redis is back (workers). `fails`: they fail at once (producers, HTTP). */
  readonly mode: 'waits' | 'fails'
  readonly name: string
  /** Called for every connection error; ioredis would crash the process without a listener. */
  readonly onError: (error: Error) => void
  /** A connection on which a command has had no answer for so long is given up, and made anew. Milliseconds. */
  readonly silenceMs?: number
  /** Longest wait for the first connection, in milliseconds. @default 5000 */
  readonly connectTimeoutMs?: number
}

/**
 * Connects and waits for the first answer.
 *
 * @throws DroverError `redis_unavailable`, naming the server (without its password)
 */
export async function connectRedis(options: ConnectOptions): Promise<Redis> {
  const { url, mode, name, onError, connectTimeoutMs = 5000, silenceMs } = options
  const waits = mode === 'waits'
  const redis = new Redis(url, {
    enableOfflineQueue: waits,
    maxRetriesPerRequest: waits ? null : 1,
    connectionName: `drover-${name}`,
    // A Redis that is frozen answers nothing and refuses nothing.
    ...(waits ? {} : { commandTimeout: COMMAND_TIMEOUT_MS }),
    retryStrategy: reconnectDelay,
    // A failover behind one address: the server is a replica now, and the primary is a new connection away.
    reconnectOnError: (error) => (error.message.includes('READONLY') ? 2 : false),
    ...(silenceMs === undefined ? {} : { socketTimeout: silenceMs }),
    connectTimeout: connectTimeoutMs,
    lazyConnect: true,
  })
  let lastError: Error | null = null
  redis.on('error', (error: Error) => {
    lastError = error
    onError(error)
  })
  // A connection that is closed in order has no error, and the next one may hang.
  redis.on('reconnecting', () => onError(lastError ?? new Error('the connection was closed')))
  const ready = redis.connect()
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(lastError ?? new Error('no answer')), connectTimeoutMs)
  })
  try {
    await Promise.race([ready, tooLate])
    return redis
  } catch (error) {
    redis.disconnect()
    ready.catch(() => {})
    throw redisUnavailable(url, lastError ?? error)
  } finally {
    clearTimeout(timer)
  }
}

/** `redis://user:secret@host` → `redis://user:***@host` */
export function maskRedisUrl(url: string): string {
  return url.replace(/(\/\/[^:@/]*):[^@/]*@/, '$1:***@')
}

export function redisUnavailable(url: string, cause: unknown): DroverError {
  return new DroverError(
    'redis_unavailable',
    `Redis at ${maskRedisUrl(url)} is not reachable (${redisReason(cause)}). Start it, or set REDIS_URL to one that runs.`,
    {},
    { cause },
  )
}

/** What ioredis says of a command that was sent, and to which no answer came. */
const UNANSWERED = /^Command timed out|^Connection is closed|^Reached the max retries per request limit/

/** True where a command may have been done although nobody was told. What Redis itself refuses was not done. */
export function mayBeDone(error: unknown): boolean {
  return UNANSWERED.test(messageOf(error))
}

/** Why Redis did not answer. What ioredis says of a connection that is down names its options. */
export function redisReason(cause: unknown): string {
  const message = messageOf(cause)
  return message.includes('enableOfflineQueue') ? 'not connected' : message
}
