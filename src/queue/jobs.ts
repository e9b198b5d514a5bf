/**
 * A BullMQ queue per agent type. A job is a place in the queue and no more: its data is a reference, its id the
 * session's id; who may run is the lease's business.
 */
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { AGENT_TYPE_PATTERN } from '../core/ids.ts'
import type { Keys } from './keys.ts'

/** Jobs have a name: one without is a ghost that BullMQ made of a deleted hash, and is refused. */
export const JOB_NAME = 'session'
/**
 * Finished jobs stay for Bull Board's viewers; the ledger keeps the truth. The workers say so: in each job's options it
 * would be sent and kept with every one.
 */
export const KEEP_FINISHED = { count: 1000, age: 7 * 24 * 3600 }

/** A call holds Redis up for some 40 µs per job. */
const MOST_JOBS = 100

/** What a job carries: references only, no prompt, no secret. */
export interface SessionJob {
  readonly session_id: string
  readonly agent_type: string
}

export interface JobRequest {
  readonly sessionId: string
  readonly agentType: string
  readonly priority: number
}

export interface Queues {
  /** The queue of a type, made when it is first asked for. */
  of(agentType: string): Queue<SessionJob>
  /** Adds the session's job; one that is there stays. */
  add(job: JobRequest): Promise<void>
  /** Adds the session's job also when BullMQ still remembers a finished one under its id. */
  ensure(job: JobRequest): Promise<void>
  /** Takes the session's job away where it waits; one that a pod has stays, and is finished there. */
  remove(agentType: string, sessionId: string): Promise<void>
  /** Where the session waits: 1 = next, 0 = not waiting. */
  position(agentType: string, sessionId: string): Promise<number>
  close(): Promise<void>
}

/** Queues over one shared connection (an own connection each would be 1,000 for 1,000 types). */
export function createQueues(redis: Redis, keys: Keys, onError: (error: Error) => void): Queues {
  const queues = new Map<string, Queue<SessionJob>>()

  function of(agentType: string): Queue<SessionJob> {
    const known = queues.get(agentType)
    if (known !== undefined) return known
    if (!AGENT_TYPE_PATTERN.test(agentType))
      throw new Error(`not an agent type: ${JSON.stringify(agentType)}`)
    const queue = new Queue<SessionJob>(agentType, {
      connection: redis,
      prefix: keys.queuePrefix,
      // A producer must fail, not hang, while Redis is away.
      skipWaitingForReady: true,
    })
    queue.on('error', onError)
    queues.set(agentType, queue)
    return queue
  }

  /** Jobs of one turn of the event loop, by type: a service that asks for many sessions pays for one command. */
  const waiting = new Map<string, WaitingJob[]>()

  function flush(): void {
    for (const [agentType, jobs] of waiting) send(of(agentType), jobs)
    waiting.clear()
  }

  function add(job: JobRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      // What is no type is refused here, and not in a turn of its own where it would end the process.
      of(job.agentType)
      if (waiting.size === 0) process.nextTick(flush)
      const sameType = waiting.get(job.agentType) ?? []
      sameType.push({ job, resolve, reject })
      waiting.set(job.agentType, sameType)
      // Redis works on these while the rest is put together.
      if (sameType.length >= MOST_JOBS) flush()
    })
  }

  return {
    of,
    add,
    async ensure(job) {
      const present = await of(job.agentType).getJob(job.sessionId)
      if (present !== undefined && ((await present.isCompleted()) || (await present.isFailed()))) {
        await present.remove()
      }
      await add(job)
    },
    async remove(agentType, sessionId) {
      await of(agentType).remove(sessionId)
    },
    async position(agentType, sessionId) {
      const [waiting, rank] = await Promise.all([
        redis.llen(keys.waiting(agentType)),
        redis.zrank(keys.prioritized(agentType), sessionId),
      ])
      return rank === null ? 0 : waiting + rank + 1
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
    },
  }
}

interface WaitingJob {
  readonly job: JobRequest
  resolve(): void
  reject(error: unknown): void
}

function send(queue: Queue<SessionJob>, jobs: readonly WaitingJob[]): void {
  const bulk = jobs.map(({ job: { sessionId, agentType, priority } }) => ({
    name: JOB_NAME,
    data: { session_id: sessionId, agent_type: agentType },
    opts: { jobId: sessionId, priority },
  }))
  queue.addBulk(bulk).then(
    () => jobs.forEach((one) => one.resolve()),
    (error: unknown) => jobs.forEach((one) => one.reject(error)),
  )
}

/** How often the limit is asserted again: a flush, an obliterate or Bull Board can remove its key. */
const ASSERT_EVERY_MS = 10_000

/**
 * Keeps a queue's global concurrency at `limit`: now, after every reconnect, and every 10 s. It is how work waits,
 * not what makes the singleton.
 */
export function assertConcurrency(
  queue: Queue<SessionJob>,
  redis: Redis,
  limit: number,
  onError: (error: unknown) => void,
): { readonly ready: Promise<void>; stop(): void } {
  const assert = (): Promise<void> => queue.setGlobalConcurrency(limit).then(() => {}, onError)
  const again = (): void => void assert()
  redis.on('ready', again)
  const timer = setInterval(again, ASSERT_EVERY_MS)
  return {
    ready: assert(),
    stop() {
      redis.off('ready', again)
      clearInterval(timer)
    },
  }
}
