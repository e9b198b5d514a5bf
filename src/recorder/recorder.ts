/**
 * The recorder: from the event stream to the ledger, each event once, in order.
 *
 *     XREAD after position ─▶ one transaction: events, projections, position ─▶ commit
 *        ─▶ tell this process (onCommit, waitFor) ─▶ tell the others (key and channel `recorded`) ─▶ trim
 *
 * Dying before the commit leaves nothing, after it everything; what follows the commit is repeated by the next one.
 * A locked or full disk is waited out: the batch is repeated until it is in, nothing is skipped.
 * One recorder writes at a time: the lease keeps others waiting, the epoch in the ledger refuses one that was
 * frozen past its lease.
 */
import type { Redis } from 'ioredis'
import { sleep, systemClock, type Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Ledger } from '../ledger/open.ts'
import { STREAM_START } from '../ledger/recorder-position.ts'
import type { Keys } from '../queue/keys.ts'
import { createAlarms, type Alarms } from '../telemetry/alarms.ts'
import { createErrorLimiter } from '../telemetry/error-limiter.ts'
import { createHistogram, type Sample } from '../telemetry/exposition.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createAnnouncer } from './announce.ts'
import { openEventStream, type EventStream, type StreamBatch } from './event-stream.ts'
import { missingBehind } from './older-ledger.ts'
import { createPatientWrites } from './patient-writes.ts'
import { recordBatch, RecorderSuperseded, type RecordedBatch } from './record-batch.ts'
import { holdRecorderLease, type RecorderLease } from './recorder-lease.ts'
import { createRestorer, type RestoreMemory } from './restorer.ts'
import { FIRST_RETRY_MS, retryDelay } from './retry-delay.ts'
import { createStreamCut, type StreamCut } from './stream-cut.ts'
import { createTrimming } from './trimming.ts'
import { createPositionWaits } from './position-waits.ts'

/** Of one batch: a restored ledger may show thousands of gaps at once. */
const MAX_ALARMS = 10
/** Seconds of one transaction, from an event alone on a fast disk to a batch that waited for a locked file. */
const BATCH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** What a commit brought. */
export interface CommitSummary {
  /** Stream id of the last entry that is now in the ledger. */
  readonly lastStreamId: string
  /** Entries of this commit, repeats included. */
  readonly entries: number
  /** Sessions with at least one new event. */
  readonly sessionIds: readonly string[]
  /** Tasks whose row may have changed. */
  readonly taskIds: readonly string[]
  readonly acceptedSessionIds: readonly string[]
  readonly endedSessionIds: readonly string[]
}

export interface RecorderParts {
  /** Any connection; the stream is read on a connection of the recorder's own with the same options. */
  readonly redis: Redis
  readonly keys: Keys
  readonly ledger: Ledger
  readonly log: Pick<Logger, 'warn' | 'error' | 'info'>
  /** Of the agent types' leases: so long nobody may run after Redis lost data (`restorer.ts`). */
  readonly leaseTtlMs: number
  /** Called after Redis lost data and has back what the ledger knows: jobs and what else it lost may be added. */
  readonly onRestored?: () => void
  /** Called in the same turn as each commit. What it throws is logged and changes nothing. */
  readonly onCommit?: (summary: CommitSummary) => void
  /** @default alarms of its own, which only the log shows */
  readonly alarms?: Alarms
  readonly clock?: Clock
  /** What of the recorded part stays on the stream. @default ten minutes, at most 200,000 entries */
  readonly createCut?: () => StreamCut
}

/** What this recorder did since its process began. */
export interface RecorderFigures {
  /** Entries of the stream that were committed, repeats included. */
  readonly entries: number
  readonly commits: number
  /** Entries that went to `recorder_fault`. */
  readonly faults: number
  /** A histogram of a commit's seconds, from the first attempt to the last. */
  readonly batchSeconds: readonly Sample[]
}

export interface Recorder {
  /**
   * Begins to record, as soon as no other recorder does. Safe to call twice.
   *
   * @throws DroverError `ledger_unavailable` when the ledger belongs to another namespace
   */
  start(): void
  /** Ends recording, gives the lease back, fails the waits. Resolves when truly stopped; safe to call twice. */
  stop(): Promise<void>
  /** True as soon as everything up to this stream id is committed; false after `timeoutMs` or when it stops. */
  waitFor(streamId: string, timeoutMs: number): Promise<boolean>
  /** Does this recorder write, or does it wait for another one to end? */
  readonly recording: boolean
  /** The last committed stream id, whoever committed it; `0-0` in a new ledger. */
  readonly position: string
  figures(): RecorderFigures
}

export function createRecorder(parts: RecorderParts): Recorder {
  const { redis, keys, ledger, log, clock = systemClock } = parts
  const { alarms = createAlarms(log) } = parts
  const limiter = createErrorLimiter(log)
  const waits = createPositionWaits(position)
  const memory: RestoreMemory = { quarantine: null, written: 0 }
  const done = { entries: 0, commits: 0, faults: 0 }
  const batchSeconds = createHistogram(BATCH_SECONDS)
  const writes = createPatientWrites({ ledger, alarms, limiter })
  let running: { readonly stop: AbortController; readonly done: Promise<void> } | null = null
  let recording = false

  const redisFailed = (error: unknown): void =>
    limiter.warn('recorder_redis', `Redis does not answer the recorder: ${messageOf(error)}`)
  const now = (): string => clock.now().toISOString()

  function position(): string {
    return ledger.tables.position.read(keys.events)?.streamId ?? STREAM_START
  }

  async function run(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const lease = await holdRecorderLease(redis, keys.recorderLease, signal, redisFailed)
      if (lease === null) return
      const stop = AbortSignal.any([signal, lease.lost])
      try {
        await record(lease, stop, () => {
          failures = 0
        })
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        if (error instanceof RecorderSuperseded) log.warn('Another recorder has taken over; this one waits.')
        else limiter.warn('recorder', `Recording was interrupted and begins again: ${messageOf(error)}`)
      } finally {
        recording = false
        writes.clearAlarm()
        await lease.release()
      }
      await sleep(failures === 0 ? 0 : retryDelay(failures), signal)
    }
  }

  /** Records until `stop`; throws when it should begin anew. */
  async function record(lease: RecorderLease, stop: AbortSignal, onProgress: () => void): Promise<void> {
    const { epoch, streamId } = await writes.write(stop, () =>
      ledger.transaction(() => ledger.tables.position.claim(keys.events, now())),
    )
    // Whoever recorded meanwhile did it over another connection.
    ledger.tables.unbilled.forget()
    const over = new AbortController()
    const announcer = createAnnouncer({ redis, keys, token: lease.token, onError: redisFailed })
    const restorer = createRestorer({
      redis,
      keys,
      ledger,
      leaseTtlMs: parts.leaseTtlMs,
      recorderToken: lease.token,
      log,
      limiter,
      memory,
      onSeeded() {
        announcer.say(position())
        parts.onRestored?.()
      },
      stop: AbortSignal.any([stop, over.signal]),
    })
    let said = false
    const stream = openEventStream({
      redis,
      keys,
      position: streamId,
      onQuarantine(quarantine) {
        // What they wait for may be lost since, and a later id recorded in its place.
        waits.giveUp()
        announcer.fromStart()
        restorer.begin(quarantine)
      },
      onError: redisFailed,
    })
    const trim = createTrimming({
      redis,
      keys,
      cut: (parts.createCut ?? createStreamCut)(),
      clock,
      onTrimmed: announcer.trimmed,
      onError: redisFailed,
    })
    const close = (): void => stream.close()
    stop.addEventListener('abort', close, { once: true })
    recording = true
    try {
      while (!stop.aborted) {
        const { entries, quarantine, isSound } = await readNext(stream, stop)
        if (isSound && !said) {
          await sayWhatIsMissing(streamId)
          // The one before us may have died between its commit and saying so.
          announcer.say(position())
        }
        said ||= isSound
        if (entries.length === 0) {
          if (isSound) await announcer.allRead()
          continue
        }
        const began = clock.monotonic()
        const batch = await writes.write(stop, () => recordBatch(ledger, epoch, entries, now()))
        batchSeconds.observe((clock.monotonic() - began) / 1000)
        announcer.recorded(entries.length)
        onProgress()
        tell(batch, entries.length)
        trim(batch.lastId, entries.length)
        // Ids of what Redis has lost lie below those of what came since: they must not pass for recorded.
        if (isSound) announcer.say(batch.lastId)
        if (quarantine !== null) restorer.recorded(quarantine, batch.lastId)
      }
    } finally {
      stop.removeEventListener('abort', close)
      stream.close()
      over.abort()
    }
  }

  async function readNext(stream: EventStream, stop: AbortSignal): Promise<StreamBatch> {
    try {
      return await stream.read()
    } catch (error) {
      if (!stop.aborted) redisFailed(error)
      await sleep(FIRST_RETRY_MS, stop)
      return { entries: [], quarantine: null, isSound: false }
    }
  }

  function tell(batch: RecordedBatch, entries: number): void {
    done.entries += entries
    done.commits += 1
    done.faults += batch.faults.length
    for (const fault of batch.faults)
      log.error({ fault }, 'An event could not be recorded; it is in recorder_fault.')
    for (const alarm of batch.alarms.slice(0, MAX_ALARMS)) log.error(alarm)
    if (batch.alarms.length > MAX_ALARMS)
      log.error(
        `${batch.alarms.length - MAX_ALARMS} more gaps of this kind; the table event_gap has them all.`,
      )
    waits.reached(batch.lastId)
    try {
      parts.onCommit?.({
        lastStreamId: batch.lastId,
        entries,
        sessionIds: [...batch.sessionIds],
        taskIds: [...batch.taskIds],
        acceptedSessionIds: [...batch.acceptedSessionIds],
        endedSessionIds: [...batch.endedSessionIds],
      })
    } catch (error) {
      limiter.warn('after_commit', 'What follows a commit failed; the commit stands.', { err: error })
    }
  }

  async function sayWhatIsMissing(streamId: string): Promise<void> {
    try {
      const missing = await missingBehind(redis, keys, streamId)
      if (missing !== null) log.error(missing)
    } catch (error) {
      redisFailed(error)
    }
  }

  return {
    start() {
      if (running !== null) return
      ledger.tables.position.read(keys.events)
      const stop = new AbortController()
      running = { stop, done: run(stop.signal) }
    },
    async stop() {
      running?.stop.abort()
      waits.giveUp()
      await running?.done
      running = null
      limiter.flush()
    },
    waitFor: (streamId, timeoutMs) => waits.wait(streamId, timeoutMs),
    get recording() {
      return recording
    },
    get position() {
      return position()
    },
    figures: () => ({ ...done, batchSeconds: batchSeconds.samples() }),
  }
}
