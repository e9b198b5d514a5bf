/**
 * Mail to a session lives in Redis for 31 days, longer than a session may run; one that waits in its queue may be older.
 * So once a day everything that the ledger has as open, and that is older than a day, is put where it was: what is there
 * still gets its 31 days anew, what is gone is there again. It is one script per message, the one of the write-back
 * (`queue/mail-script.ts`), which opens nothing that was taken.
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Ledger } from '../ledger/open.ts'
import type { Keys } from '../queue/keys.ts'
import { restoreMail } from '../queue/mail.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Recorder } from './recorder.ts'
import { restoredMail } from './restore.ts'

const DAY_MS = 86_400_000
/** Boards that are started again every day keep it too. */
const FIRST_AFTER_MS = 120_000
/** After a pass that failed, or that was another board's to make: this one may be the recorder by then. */
const RETRY_MS = 600_000
/** Messages of one turn: of 256 KB at most each. */
const PAGE = 20

export interface MailKeeperParts {
  readonly redis: Redis
  readonly keys: Pick<Keys, 'message' | 'inbox'>
  readonly ledger: Pick<Ledger, 'openMails'>
  readonly recorder: Pick<Recorder, 'recording'>
  readonly log: Pick<Logger, 'warn'>
  /** @default 120000 */
  readonly firstAfterMs?: number
  /** @default 600000 */
  readonly retryMs?: number
  /** @default a day */
  readonly olderThanMs?: number
}

export interface MailKeeper {
  start(): void
  /** Resolves when the pass that runs is over; safe to call twice. */
  stop(): Promise<void>
}

export function createMailKeeper(parts: MailKeeperParts): MailKeeper {
  const { redis, keys, ledger, recorder, log, olderThanMs = DAY_MS } = parts
  const { firstAfterMs = FIRST_AFTER_MS, retryMs = RETRY_MS } = parts
  const stopped = new AbortController()
  let loop: Promise<void> | null = null

  /** Answers whether it came to its end. */
  async function pass(): Promise<boolean> {
    const now = Date.now()
    // None of those that were taken.
    const since = new Date(now + DAY_MS).toISOString()
    const before = new Date(now - olderThanMs).toISOString()
    for (let after = 0; recorder.recording;) {
      if (stopped.signal.aborted) return false
      const page = ledger.openMails.page(after, since, PAGE)
      const last = page.at(-1)
      if (last === undefined) return true
      const old = page.filter((mail) => mail.to_session !== null && mail.created_at <= before)
      await restoreMail(redis, keys, old.map(restoredMail))
      if (last.created_at > before) return true
      after = last.place
    }
    return false
  }

  async function run(): Promise<void> {
    await sleep(firstAfterMs, stopped.signal)
    while (!stopped.signal.aborted) {
      const isDone = await pass().catch((error: unknown) => {
        log.warn({ kind: 'mail_keeper' }, `Old mail could not be kept; soon again: ${messageOf(error)}`)
        return false
      })
      await sleep(isDone ? DAY_MS : retryMs, stopped.signal)
    }
  }

  return {
    start() {
      loop ??= run()
    },
    async stop() {
      stopped.abort()
      await loop
    },
  }
}
