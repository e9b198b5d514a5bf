/**
 * Writes into the ledger that wait until the file takes them: what it refuses (locked, full, damaged) is tried again
 * until it is done, and is an alarm when that takes longer than a moment.
 */
import { sleep } from '../core/clock.ts'
import { ledgerError } from '../ledger/database.ts'
import type { Ledger } from '../ledger/open.ts'
import type { Alarms } from '../telemetry/alarms.ts'
import type { ErrorLimiter } from '../telemetry/error-limiter.ts'
import { RecorderSuperseded } from './record-batch.ts'
import { retryDelay } from './retry-delay.ts'

const UNWRITABLE = 'ledger_unwritable'
/** About 1.5 s after the first one: a file that is locked for a moment is nobody's business. */
const ALARM_AFTER_ATTEMPTS = 5

export interface PatientWrites {
  /**
   * What `write` answers, as soon as the file takes it.
   *
   * @throws RecorderSuperseded at once; else only when `stop` has aborted: the last refusal
   */
  write<T>(stop: AbortSignal, write: () => T): Promise<T>
  /** Takes the alarm back. Whoever records next says what keeps it from it; of this one nothing else ever would. */
  clearAlarm(): void
}

export function createPatientWrites(parts: {
  readonly ledger: Pick<Ledger, 'path' | 'trouble'>
  readonly alarms: Alarms
  readonly limiter: ErrorLimiter
}): PatientWrites {
  const { ledger, alarms, limiter } = parts
  /** The alarm that stands. */
  let raised: string | null = null

  function clearAlarm(): void {
    if (raised !== null) alarms.clear(raised)
    raised = null
  }

  function refused(error: unknown, attempt: number): void {
    const problem = `${ledgerError(ledger.path, error).message} What happens meanwhile waits on the stream.`
    const name = ledger.trouble()?.alarm ?? UNWRITABLE
    limiter.warn('ledger', problem, { alarm: name })
    if (raised !== name) clearAlarm()
    if (attempt >= ALARM_AFTER_ATTEMPTS) alarms.raise((raised = name), problem)
  }

  return {
    async write(stop, write) {
      for (let attempt = 1; ; attempt++) {
        try {
          const written = write()
          clearAlarm()
          return written
        } catch (error) {
          if (error instanceof RecorderSuperseded) throw error
          refused(error, attempt)
          await sleep(retryDelay(attempt), stop)
          if (stop.aborted) throw error
        }
      }
    },
    clearAlarm,
  }
}
