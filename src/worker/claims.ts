/**
 * The pod's side of the queues: BullMQ workers that take jobs while there is room, and what becomes of a job after
 * its claim. Nothing of a session's fate is decided here.
 */
import { DelayedError, WaitingError, Worker, type Job } from 'bullmq'
import type { Redis } from 'ioredis'
import type { AgentSpec } from '../config/agent-spec.ts'
import { messageOf } from '../core/errors.ts'
import { JOB_NAME, KEEP_FINISHED, type SessionJob } from '../queue/jobs.ts'
import type { ErrorLimiter } from '../telemetry/error-limiter.ts'
import { createBrake } from './brake.ts'
import type { Claim } from './claimed-session.ts'

/** BullMQ looks for jobs whose worker died this often; the lease decides when they may run. */
const STALLED_INTERVAL_MS = 2000
/** A stall is no attempt and never fails a job: restarts are counted in the session's hash. */
const MAX_STALLED_COUNT = 1_000_000
/** Seconds; the bound on a wake-up that a finishing worker did not write (bullmq.md fact 7). */
const DRAIN_DELAY_S = 1
/** BullMQ's pause after a connection error: as long as the longest wait between two attempts to connect. */
const RUN_RETRY_MS = 1000
/** How long a worker lets others look first at a job that cannot run here; at most twice as long in all. */
const STAND_ASIDE_MS = 500
/** A job without a record is looked at again after this; meanwhile it is written back, or ends as lost. */
const NO_RECORD_DELAY_MS = 5000

export interface ClaimsParts {
  readonly redis: Redis
  readonly queuePrefix: string
  readonly podId: string
  readonly lockMs: number
  /** What it begins with. */
  readonly specs: ReadonlyMap<string, AgentSpec>
  /** Sessions at once. */
  readonly limit: () => number
  /** Is there room for another one, beside the limit? */
  readonly hasRoom: () => boolean
  /** Runs a session as far as this pod does. */
  readonly run: (sessionId: string, spec: AgentSpec, extendLock: () => Promise<void>) => Promise<Claim>
  /** A job has no session: the recorder's process sees to it, since it may know of one. */
  readonly onNoRecord: (sessionId: string, agentType: string) => Promise<unknown>
  /** A claim threw, or did not; whatever this does, the claim does not wait for it. */
  readonly onClaim: (sessionId: string, failure: string | null) => Promise<unknown>
  /** Takes secrets out of what BullMQ keeps of a failed job, for Bull Board's viewers. */
  readonly redact: (text: string) => string
  /** The number of claims has changed. */
  readonly onChange: () => void
  readonly limiter: ErrorLimiter
}

export interface Claims {
  readonly count: number
  has(sessionId: string): boolean
  /** Looks at the room again: workers rest while there is none, instead of taking jobs that would wait here. */
  update(): void
  /**
   * Serves these types from now on: new ones at once, those that are gone no more. A job that is taken from now on is
   * run by its type's present spec; one that runs keeps its own, also where its type is gone.
   */
  serve(specs: ReadonlyMap<string, AgentSpec>): Promise<void>
  /** Stops taking jobs; resolves when the last claim is over. */
  close(): Promise<unknown>
}

/** Begins to take jobs. */
export async function startClaims(parts: ClaimsParts): Promise<Claims> {
  const { limit, limiter } = parts
  const claims = new Set<Job<SessionJob>>()
  /** By type: its present spec, and a worker for each of its instances. */
  const served = new Map<string, { spec: AgentSpec; readonly workers: Worker<SessionJob>[] }>()
  /** Of types and instances that are gone: each is over when the job that it runs is. */
  const leaving = new Set<Promise<void>>()
  const brake = createBrake<Worker<SessionJob>>(() => update())
  let closing = false
  const onQueueError = (error: unknown): void => limiter.warn('queue', messageOf(error))

  function update(): void {
    if (closing) return
    const full = claims.size >= limit() || !parts.hasRoom()
    for (const worker of [...served.values()].flatMap(({ workers }) => workers)) {
      const rests = full || brake.isOn(worker)
      if (rests && !worker.isPaused()) worker.pause(true).catch(onQueueError)
      else if (!rests && worker.isPaused()) Promise.resolve(worker.resume()).catch(onQueueError)
    }
    parts.onChange()
  }

  async function process(
    spec: AgentSpec,
    job: Job<SessionJob>,
    token: string,
    worker: Worker<SessionJob>,
  ): Promise<void> {
    // A ghost: BullMQ made it of a job whose hash was deleted while it ran.
    if (job.name !== JOB_NAME || job.id === undefined) return
    claims.add(job)
    update()
    try {
      // Several workers may have claimed in the same moment: those that are too many give their job back.
      if (claims.size > limit()) return await giveBack(job, token)
      const claim = await run(spec, job, job.id, token)
      if (claim === 'no_record') {
        await parts.onNoRecord(job.id, spec.name)
        await later(job, token, NO_RECORD_DELAY_MS)
      } else if (typeof claim === 'object') {
        // The worker that gave a job back tends to take it again (seen six times in a row): others look first.
        brake.apply(worker, Math.min(claim.laterMs, STAND_ASIDE_MS) + STAND_ASIDE_MS)
        await later(job, token, claim.laterMs)
      } else if (claim === 'hand_over') await giveBack(job, token)
    } finally {
      claims.delete(job)
      update()
    }
  }

  async function run(
    spec: AgentSpec,
    job: Job<SessionJob>,
    sessionId: string,
    token: string,
  ): Promise<Claim> {
    try {
      const claim = await parts.run(
        sessionId,
        spec,
        async () => void (await job.extendLock(token, parts.lockMs)),
      )
      parts.onClaim(sessionId, null).catch(onQueueError)
      return claim
    } catch (error) {
      const message = parts.redact(messageOf(error))
      // What a pod that stops gives up is no fault of the session.
      if (!closing) parts.onClaim(sessionId, message).catch(onQueueError)
      throw new Error(message, { cause: error })
    }
  }

  function startWorker(type: { readonly spec: AgentSpec }): Worker<SessionJob> {
    // BullMQ gives an abort signal only to a processor with three named parameters; a session has its own.
    const worker: Worker<SessionJob> = new Worker<SessionJob>(
      type.spec.name,
      (job, token) => process(type.spec, job, token ?? '', worker),
      {
        connection: parts.redis,
        prefix: parts.queuePrefix,
        concurrency: 1,
        lockDuration: parts.lockMs,
        skipLockRenewal: true,
        stalledInterval: STALLED_INTERVAL_MS,
        maxStalledCount: MAX_STALLED_COUNT,
        drainDelay: DRAIN_DELAY_S,
        runRetryDelay: RUN_RETRY_MS,
        removeOnComplete: KEEP_FINISHED,
        removeOnFail: KEEP_FINISHED,
        name: parts.podId,
      },
    )
    worker.on('error', (error) => {
      onQueueError(error)
      brake.apply(worker)
    })
    // Nothing of a session's own fate ends here: it is a fault of ours or of Redis.
    worker.on('failed', (job, error) =>
      limiter.warn('claim', `A claim failed: ${messageOf(error)}`, { session_id: job?.id, err: error }),
    )
    return worker
  }

  function leave(worker: Worker<SessionJob>): void {
    const left = worker
      .close()
      .catch(onQueueError)
      .finally(() => leaving.delete(left))
    leaving.add(left)
  }

  async function serve(specs: ReadonlyMap<string, AgentSpec>): Promise<void> {
    if (closing) return
    const started: Worker<SessionJob>[] = []
    for (const spec of specs.values()) {
      const type = served.get(spec.name) ?? { spec, workers: [] }
      type.spec = spec
      served.set(spec.name, type)
      for (const worker of type.workers.splice(spec.maxInstances)) leave(worker)
      while (type.workers.length < spec.maxInstances) {
        const worker = startWorker(type)
        type.workers.push(worker)
        started.push(worker)
      }
    }
    for (const [name, { workers }] of served) {
      if (specs.has(name)) continue
      served.delete(name)
      for (const worker of workers) leave(worker)
    }
    await Promise.all(started.map((worker) => worker.waitUntilReady()))
    update()
  }

  await serve(parts.specs)

  return {
    get count() {
      return claims.size
    },
    has: (sessionId) => [...claims].some((job) => job.id === sessionId),
    update,
    serve,
    close() {
      closing = true
      brake.stop()
      const workers = [...served.values()].flatMap((type) => type.workers)
      return Promise.all([...leaving, ...workers.map((worker) => worker.close())])
    },
  }
}

/** Whichever pod is free takes it then; other jobs of the type need not wait for it. */
async function later(job: Job<SessionJob>, token: string, ms: number): Promise<never> {
  await job.moveToDelayed(Date.now() + ms, token)
  throw new DelayedError()
}

async function giveBack(job: Job<SessionJob>, token: string): Promise<never> {
  await job.moveToWait(token)
  throw new WaitingError()
}
