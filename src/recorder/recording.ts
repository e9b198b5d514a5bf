/**
 * What fills the ledger, put together: the recorder, and what goes by its commits or by its right to write. All of it
 * runs in one process, beside the board that reads.
 */
import type { Redis } from 'ioredis'
import type { Config } from '../config/settings.ts'
import { createClosing } from '../core/closing.ts'
import type { FileCheck } from '../ledger/check.ts'
import type { Ledger } from '../ledger/open.ts'
import type { Keys } from '../queue/keys.ts'
import { createMailStore } from '../queue/mail.ts'
import { createUnredactedStore } from '../queue/unredacted.ts'
import type { Alarms } from '../telemetry/alarms.ts'
import type { ErrorLimiter } from '../telemetry/error-limiter.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createEnsureJobs, type Dispatch } from './ensure-jobs.ts'
import { createHousekeeping } from './housekeeping.ts'
import { createLostSessions } from './lost-sessions.ts'
import { createMailKeeper } from './mail-keeper.ts'
import { createRecorder, type Recorder } from './recorder.ts'
import { createSearchFiller } from './search-filler.ts'
import { createUnredactedKeeper } from './unredacted-keeper.ts'

export interface RecordingParts {
  /** Fails at once while Redis is away. */
  readonly redis: Redis
  /** Waits for Redis, and is the recorder's own. */
  readonly recorderRedis: Redis
  readonly keys: Keys
  /** Opened for writing. */
  readonly ledger: Ledger
  readonly config: Pick<Config, 'lease' | 'ledger'>
  readonly dispatch: Dispatch
  /** The file is damaged: whoever reads it must stop. */
  readonly onDamage: (problem: string) => void
  /** What Redis had lost is written back. */
  readonly onRestored: () => void
  readonly onError: (error: unknown) => void
  readonly alarms: Alarms
  readonly limiter: ErrorLimiter
  readonly log: Logger
}

export interface Recording {
  readonly recorder: Recorder
  /** `checked` is what was found of the file at the start; null: it was not checked. */
  start(checked: FileCheck | null): void
  /** Resolves when nothing of it runs or writes any more. */
  stop(): Promise<void>
}

/** Nothing runs before `start`. */
export function createRecording(parts: RecordingParts): Recording {
  const { redis, keys, ledger, config, alarms, limiter, log, onError } = parts
  const mail = createMailStore(redis, keys)
  const ensureJobs = createEnsureJobs({ ledger, dispatch: parts.dispatch, log })
  const searchFiller = createSearchFiller({ search: ledger.search, limiter })
  const recorder = createRecorder({
    redis: parts.recorderRedis,
    keys,
    ledger,
    log,
    leaseTtlMs: config.lease.ttlMs,
    alarms,
    onCommit(summary) {
      searchFiller.afterCommit()
      ensureJobs.afterCommit(summary)
      for (const sessionId of ledger.messages.addressed(summary.endedSessionIds)) {
        mail.forget(sessionId).catch(onError)
      }
    },
    onRestored() {
      parts.onRestored()
      ensureJobs.lookAtAll()
    },
  })
  const housekeeping = createHousekeeping({
    ledger,
    limits: config.ledger,
    backupKeep: config.ledger.backupKeep,
    recording: () => recorder.recording,
    onDamage(problem) {
      ledger.condemn(problem)
      parts.onDamage(problem)
    },
    alarms,
    log,
  })
  const lostSessions = createLostSessions({
    redis,
    keys,
    ledger,
    recorder,
    log,
    onWrittenBack: (sessionId) => ensureJobs.afterCommit({ acceptedSessionIds: [sessionId], taskIds: [] }),
  })
  const mailKeeper = createMailKeeper({ redis, keys, ledger, recorder, log })
  const unredacted = createUnredactedStore(redis, keys)
  const unredactedKeeper = createUnredactedKeeper({ unredacted, ledger, recorder, log })

  const closing = createClosing()
  closing.add(() => ensureJobs.stop())
  closing.add(() => searchFiller.stop())
  // After the recorder, which ends what this waits for.
  closing.add(() => lostSessions.stop())
  closing.add(() => mailKeeper.stop())
  closing.add(() => unredactedKeeper.stop())
  closing.add(() => recorder.stop())
  closing.add(() => housekeeping.stop())

  return {
    recorder,
    start(checked) {
      recorder.start()
      ensureJobs.start()
      searchFiller.start()
      housekeeping.start(checked)
      lostSessions.start()
      mailKeeper.start()
      unredactedKeeper.start()
    },
    stop: () => closing.run(),
  }
}
