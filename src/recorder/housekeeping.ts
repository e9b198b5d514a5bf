/**
 * What the recorder's process does for the file, once after the start and then daily: check, backup, retention, in
 * this order, so that a damaged file is neither copied over the last good backup nor written into.
 *
 * Each may be cut off at any moment and is done anew at the next turn. Only the process that records does it; one that
 * does not looks again soon, since it may be the next.
 */
import { rmSync } from 'node:fs'
import { sleep, type Clock, systemClock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { backupName, listBackups, removeAbandonedParts } from '../ledger/backups.ts'
import type { FileCheck } from '../ledger/check.ts'
import { backupAside, checkAside } from '../ledger/chore.ts'
import type { Ledger } from '../ledger/open.ts'
import { prune, type RetentionLimits } from '../ledger/prune.ts'
import type { Alarms } from '../telemetry/alarms.ts'
import type { Logger } from '../telemetry/logger.ts'

const DAY_MS = 86_400_000
/** The start is busy enough; the check of the start was made before. */
const FIRST_AFTER_MS = 60_000
/** After a turn of which something failed; doubled up to a day, because a backup that does not fit fills the disk. */
const RETRY_MS = 600_000
/** Not yet due when a restart comes a little before the day is over. */
const SLACK_MS = 600_000

export interface HousekeepingParts {
  readonly ledger: Ledger
  readonly limits: RetentionLimits
  /** How many automatic backups stay; 0: none is made. */
  readonly backupKeep: number
  readonly recording: () => boolean
  /** The file is damaged: nothing may be served of it any more. */
  readonly onDamage: (problem: string) => void
  /** What a check found stands in it: damage for good, totals that disagree until a check finds none. */
  readonly alarms: Alarms
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** @default 60000 */
  readonly firstAfterMs?: number
  /** @default 86400000 */
  readonly everyMs?: number
  /** @default 600000 */
  readonly retryMs?: number
  readonly clock?: Clock
}

type Turn = 'done' | 'failed' | 'not_recording'

export interface Housekeeping {
  /**
   * Begins. `checked` is what the start found already; null: the file is checked first of all. Safe to call twice.
   */
  start(checked: FileCheck | null): void
  /** Ends what runs. Resolves when it has; safe to call twice. */
  stop(): Promise<void>
}

export function createHousekeeping(parts: HousekeepingParts): Housekeeping {
  const { ledger, alarms, log, clock = systemClock } = parts
  const { firstAfterMs = FIRST_AFTER_MS, everyMs = DAY_MS, retryMs = RETRY_MS } = parts
  const dueMs = everyMs - Math.min(SLACK_MS, everyMs / 2)
  let checkedAt = Number.NEGATIVE_INFINITY
  const stop = new AbortController()
  let loop: Promise<void> | null = null

  function judge({ damage, totals, bytes, durationMs }: FileCheck): void {
    if (damage.length > 0) {
      parts.onDamage(damage.join('; '))
      alarms.raise(
        'ledger_damaged',
        `${ledger.trouble()?.message ?? ''} Nothing is recorded or answered of it.`,
      )
      return
    }
    if (totals.length > 0) {
      alarms.raise(
        'ledger_totals',
        `The totals of ${totals.length} or more sessions disagree with what is noted by model ` +
          `(${totals.slice(0, 3).join(', ')}). Stop what records and run "drover ledger rebuild".`,
      )
      return
    }
    alarms.clear('ledger_totals')
    log.info({ bytes, duration_ms: durationMs }, 'The ledger was checked and is sound.')
  }

  async function copyAway(): Promise<void> {
    removeAbandonedParts(backupName(ledger.path, clock.now()), clock.now())
    const [newest] = listBackups(ledger.path)
    const age = newest === undefined ? Infinity : clock.now().getTime() - newest.at.getTime()
    if (parts.backupKeep === 0 || age < dueMs) return
    const { file, bytes, position, durationMs } = await backupAside(ledger.path, stop.signal)
    log.info({ file, bytes, position, duration_ms: durationMs }, 'The ledger was backed up.')
    for (const old of listBackups(ledger.path).slice(parts.backupKeep)) rmSync(old.file, { force: true })
  }

  async function takeAway(): Promise<void> {
    const { sessions, lines } = await prune(ledger, parts.limits, { signal: stop.signal, clock })
    if (sessions > 0) log.info({ sessions, lines }, 'Retention took the raw lines of ended sessions away.')
  }

  async function check(): Promise<void> {
    judge(await checkAside(ledger.path, stop.signal))
    checkedAt = clock.monotonic()
  }

  async function turn(): Promise<Turn> {
    if (!parts.recording()) return 'not_recording'
    const isChecked = clock.monotonic() - checkedAt < dueMs || (await attempt('check', check))
    if (ledger.trouble()?.alarm === 'ledger_damaged') return 'done'
    const isBackedUp = await attempt('backup', copyAway)
    const isPruned = await attempt('retention', takeAway)
    return isChecked && isBackedUp && isPruned ? 'done' : 'failed'
  }

  /** Answers whether it came to an end. */
  async function attempt(chore: string, work: () => Promise<void>): Promise<boolean> {
    if (stop.signal.aborted) return false
    try {
      await work()
      return true
    } catch (error) {
      if (stop.signal.aborted) return false
      log.warn({ chore }, `The ${chore} of the ledger failed and is tried again soon: ${messageOf(error)}`)
      return false
    }
  }

  async function run(checked: FileCheck | null): Promise<void> {
    if (checked === null) await attempt('check', check)
    else {
      judge(checked)
      checkedAt = clock.monotonic()
    }
    // The first turn is a minute later, and a large file is not read through twice for it.
    await sleep(firstAfterMs, stop.signal)
    let failures = 0
    while (!stop.signal.aborted) {
      const ended = await turn()
      failures = ended === 'failed' ? failures + 1 : 0
      const waitMs = ended === 'done' ? everyMs : retryMs * 2 ** Math.max(failures - 1, 0)
      await sleep(Math.min(waitMs, everyMs), stop.signal)
    }
  }

  return {
    start(checked) {
      loop ??= run(checked)
    },
    async stop() {
      stop.abort()
      await loop
    },
  }
}
