/**
 * What keeps the ledger from being written, for `/readyz` and the log. It ends by itself with the next write that
 * succeeds, except damage: of a damaged file nothing is written or read any more until it is opened anew.
 */
import { isDroverError, type DroverError } from '../core/errors.ts'
import { damagedError, ledgerError, type LedgerAlarmName } from './database.ts'

/** An alarm that stands. */
export interface LedgerTrouble {
  readonly alarm: LedgerAlarmName
  readonly message: string
  /** ISO time of the first failure. */
  readonly since: string
}

export interface TroubleWatch {
  /** Runs a write; what the file refused stands as an alarm until one succeeds. Throws what `write` throws. */
  watch<T>(write: () => T): T
  /** @throws DroverError `ledger_unavailable` once the file is known to be damaged */
  requireSound(): void
  /** A check has found damage: no more writes, no more answers. */
  condemn(problem: string): void
  now(): LedgerTrouble | null
}

export function watchTrouble(path: string): TroubleWatch {
  let trouble: LedgerTrouble | null = null
  let damage: DroverError | null = null

  function note(error: DroverError, alarm: LedgerAlarmName): void {
    if (trouble?.alarm === alarm) return
    trouble = { alarm, message: error.message, since: new Date().toISOString() }
  }

  function requireSound(): void {
    if (damage !== null) throw damage
  }

  function condemn(problem: string): void {
    damage ??= damagedError(path, problem)
    note(damage, 'ledger_damaged')
  }

  return {
    requireSound,
    condemn,
    now: () => trouble,
    watch(write) {
      requireSound()
      try {
        const answer = write()
        trouble = null
        return answer
      } catch (error) {
        const known = ledgerError(path, error)
        const alarm = isDroverError(known) ? alarmOf(known) : null
        if (isDroverError(known) && alarm !== null) {
          if (alarm === 'ledger_damaged') condemn(String(known.details['problem']))
          note(known, alarm)
        }
        throw error
      }
    },
  }
}

function alarmOf({ details }: DroverError): LedgerAlarmName | null {
  const alarm = details['alarm']
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only `ledgerError` and `same-file.ts` set it
  return typeof alarm === 'string' ? (alarm as LedgerAlarmName) : null
}
