/** What is wrong now and needs somebody: one line in the log when it begins and one when it is over; `/readyz` lists them. */
import { systemClock, type Clock } from '../core/clock.ts'
import type { Logger } from './logger.ts'

export interface Alarm {
  /** A fixed name such as `ledger_unwritable`, never made from input. */
  readonly name: string
  /** What happened, to what, and what to do. */
  readonly message: string
  /** ISO time. */
  readonly since: string
}

export interface Alarms {
  /** Begins an alarm, or changes what the one of this name says; only the beginning is logged. */
  raise(name: string, message: string): void
  /** Ends it; nothing happens where there is none. */
  clear(name: string): void
  /** Those that stand, the oldest first. */
  list(): readonly Alarm[]
}

export function createAlarms(
  log: Pick<Logger, 'error' | 'info'>,
  clock: Pick<Clock, 'now'> = systemClock,
): Alarms {
  const standing = new Map<string, Alarm>()

  return {
    raise(name, message) {
      const known = standing.get(name)
      standing.set(name, { name, message, since: known?.since ?? clock.now().toISOString() })
      if (known === undefined) log.error({ alarm: name }, message)
    },
    clear(name) {
      const known = standing.get(name)
      if (known === undefined) return
      standing.delete(name)
      log.info({ alarm: name, since: known.since }, `Over: ${known.message}`)
    },
    list: () => [...standing.values()],
  }
}
