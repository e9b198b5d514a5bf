/**
 * The way out of a quarantine (`queue/incarnation.ts`), gone by the recorder that holds the recorder's lease:
 *
 *     1 the whole stream is recorded          what Redis still has and the ledger had not
 *     2 hashes, messages, epochs, counters written back page by page
 *     3 `restored` is said                    the pods send the rest again
 *     4 one lease time is over                whoever held a lease that Redis forgot has ended its agent
 *     5 the pods that are there have sent     at most one more lease time
 *     6 that is recorded, epochs and counters are raised to it
 *     7 `seeded`                              leases are given; jobs that Redis lost are added again
 *
 * Each step only raises and may be repeated: a recorder that dies anywhere is followed by one that begins at 1. Dying
 * after 3, the next one says the same again, and pods that have sent need not send twice. Dying after 7 leaves nothing
 * to do but the jobs, which the next recorder's first pass adds. Another loss on the way makes steps 3 and 7 refuse,
 * and the stream begins the new quarantine.
 *
 * Steps 4 and 5 are left out where it is known that nobody can hold a lease from before: a server that was started on
 * no data at all (`vouch`), while the ledger knows of no living agent.
 */
import type { Redis } from 'ioredis'
import { sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Ledger } from '../ledger/open.ts'
import { STREAM_START } from '../ledger/recorder-position.ts'
import { restoredText, sayRestored, seed, type Quarantine } from '../queue/incarnation.ts'
import { REMEMBER_SECONDS, restoreEndedNotes } from '../queue/ended-session.ts'
import type { Keys } from '../queue/keys.ts'
import { restoreMail } from '../queue/mail.ts'
import { raiseMarks, restoreSessions } from '../queue/restore.ts'
import { restoreTalk, type RestoredTalk } from '../queue/restore-talk.ts'
import type { ErrorLimiter } from '../telemetry/error-limiter.ts'
import type { Logger } from '../telemetry/logger.ts'
import { ENDED_TTL_MS, marksOf, restoredMail, restoredSession, restoredTalk } from './restore.ts'
import { compareStreamIds } from './stream-id.ts'

/** Sessions of one call: it holds Redis up for some 20 µs each. */
const PAGE = 100
/** Messages of one turn: of 256 KB at most each. */
const MAIL_PAGE = 20
/** Messages that were taken longer ago are not in an old copy of Redis any more. */
const TAKEN_MS = 7 * 24 * 3600 * 1000
/** How often a condition is looked at that no message announces. */
const LOOK_MS = 20
const LOOK_AT_PODS_MS = 250
const RETRY_MS = 500
/** Agents get their number by the day (UTC); one may have begun on the day before. */
const DAYS_MS = 2 * 24 * 3600 * 1000

/** What was said of the last quarantine, and how many sessions Redis did not have in it, or not as new. */
export interface RestoreMemory {
  quarantine: string | null
  written: number
}

export interface RestorerParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly ledger: Pick<Ledger, 'restorable' | 'openMails'>
  readonly leaseTtlMs: number
  /** Of the recorder's lease: without it nothing is seeded. */
  readonly recorderToken: string
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly limiter: ErrorLimiter
  /** Of the process: a recorder that begins again goes on with it. */
  readonly memory: RestoreMemory
  /** Leases are given again. */
  readonly onSeeded: () => void
  readonly stop: AbortSignal
}

export interface Restorer {
  /** The stream is read from its beginning, in this quarantine. Another one takes the place of what is under way. */
  begin(quarantine: Quarantine): void
  /** Everything up to `lastId` that was read in that quarantine is committed. */
  recorded(quarantineId: string, lastId: string): void
  /** Resolves when nothing is under way any more; `stop` is to be aborted before. */
  ended(): Promise<void>
}

export function createRestorer(parts: RestorerParts): Restorer {
  const { redis, keys, ledger, leaseTtlMs, log, limiter, memory } = parts
  const { restorable } = ledger
  let through = STREAM_START
  let current: { readonly id: string; readonly over: AbortController } | null = null
  let running: Promise<void> = Promise.resolve()

  async function run(quarantine: Quarantine, over: AbortSignal): Promise<void> {
    const facts = {
      quarantine: quarantine.id,
      recorded_before: quarantine.recordedBefore,
      vouched: quarantine.vouched,
    }
    // A wipe takes the recorder's lease too, so it is begun twice: it is one loss, and said once.
    if (memory.quarantine === quarantine.id) log.info(facts, 'writing back to Redis goes on')
    else if (quarantine.vouched === 'new') log.info(facts, 'a new Redis: writing back what the ledger knows')
    else {
      log.warn(
        facts,
        'Redis is new, or was restarted, failed over or emptied: no lease is given until what the ledger knows is ' +
          'written back and one lease time is over',
      )
    }
    if (memory.quarantine !== quarantine.id) Object.assign(memory, { quarantine: quarantine.id, written: 0 })
    while (!over.aborted) {
      try {
        await goThrough(quarantine, over)
        return
      } catch (error) {
        if (over.aborted) return
        limiter.warn('restore', `Writing back to Redis was interrupted and begins again: ${messageOf(error)}`)
        await sleep(RETRY_MS, over)
      }
    }
  }

  async function goThrough(quarantine: Quarantine, over: AbortSignal): Promise<void> {
    await recordedUpTo(quarantine.newest, over)
    await writeBack(quarantine, over)
    over.throwIfAborted()
    if (!(await sayRestored(redis, keys, quarantine))) return
    const nobodyLives = quarantine.vouched === 'new' && !restorable.hasLiveSession()
    if (!nobodyLives) {
      await waitUntil(quarantine.since + leaseTtlMs, over)
      await podsHaveSent(quarantine, over)
    }
    await recordedUpTo(await newestOf(redis, keys.events), over)
    await raise()
    over.throwIfAborted()
    const minimumMs = nobodyLives ? 0 : leaseTtlMs
    const answer = await seed(redis, keys, quarantine, parts.recorderToken, minimumMs)
    if (answer === 'early') throw new Error('the clock of Redis was set back')
    if (answer === 'changed') return
    log.info({ quarantine: quarantine.id, sessions: memory.written }, 'Redis is restored: leases are given')
    parts.onSeeded()
  }

  async function recordedUpTo(streamId: string, over: AbortSignal): Promise<void> {
    while (compareStreamIds(through, streamId) < 0) {
      over.throwIfAborted()
      await sleep(LOOK_MS, over)
    }
  }

  async function writeBack(quarantine: Quarantine, over: AbortSignal): Promise<void> {
    await raise()
    const now = new Date()
    const ids = restorable.sessionIds(new Date(now.getTime() - ENDED_TTL_MS).toISOString())
    for (let at = 0; at < ids.length; at += PAGE) {
      over.throwIfAborted()
      const talks: RestoredTalk[] = []
      const sessions = ids.slice(at, at + PAGE).flatMap((id) => {
        const session = restorable.session(id)
        const talk = session && restoredTalk(session, quarantine.recordedBefore)
        if (talk !== null) talks.push(talk)
        const restored = session && restoredSession(session, quarantine.recordedBefore, now)
        if (session !== null && session.accepted === null && session.ended === null) {
          limiter.warn(
            'restore_lost',
            `Session ${id} cannot be written back: its acceptance is not recorded. Unless Redis has it, it ends as lost.`,
          )
        }
        return restored ?? []
      })
      memory.written += await restoreSessions(redis, keys, sessions)
      // After their hashes, which count them.
      for (const talk of talks) await restoreTalk(redis, keys, talk)
    }
    await writeNotes(quarantine, now, over)
    await writeMail(now, over)
  }

  async function writeMail(now: Date, over: AbortSignal): Promise<void> {
    const since = new Date(now.getTime() - TAKEN_MS).toISOString()
    for (let after = 0; ;) {
      over.throwIfAborted()
      const page = ledger.openMails.page(after, since, MAIL_PAGE)
      const last = page.at(-1)
      if (last === undefined) return
      await restoreMail(redis, keys, page.map(restoredMail))
      after = last.place
    }
  }

  /** What is remembered of sessions that have ended, also of those whose hash would be gone by now. */
  async function writeNotes(quarantine: Quarantine, now: Date, over: AbortSignal): Promise<void> {
    const ended = restorable.endedSince(new Date(now.getTime() - REMEMBER_SECONDS * 1000).toISOString())
    for (let at = 0; at < ended.length; at += PAGE) {
      over.throwIfAborted()
      const notes = ended.slice(at, at + PAGE).map((session) => ({
        sessionId: session.session_id,
        seconds: REMEMBER_SECONDS - (now.getTime() - Date.parse(session.completed_at)) / 1000,
        note: {
          status: session.status,
          agent_type: session.agent_type,
          digest: session.request_digest ?? '',
          created_at: session.created_at,
          timeout_seconds: session.timeout_seconds ?? 0,
          first_id: quarantine.recordedBefore,
        },
      }))
      await restoreEndedNotes(redis, keys, notes)
    }
  }

  async function raise(): Promise<void> {
    const since = new Date(Date.now() - DAYS_MS).toISOString()
    await raiseMarks(redis, keys, marksOf(restorable.highestEpoch(), restorable.agentIds(since)))
  }

  /** @param until by Redis' clock, in ms */
  async function waitUntil(until: number, over: AbortSignal): Promise<void> {
    for (;;) {
      over.throwIfAborted()
      const leftMs = until - (await nowOf(redis))
      if (leftMs <= 0) return
      await sleep(Math.min(leftMs, 1000), over)
    }
  }

  async function podsHaveSent(quarantine: Quarantine, over: AbortSignal): Promise<void> {
    const latest = quarantine.since + 2 * leaseTtlMs
    const restored = restoredText(quarantine)
    for (;;) {
      over.throwIfAborted()
      const missing = await podsWithout(redis, keys, restored)
      if (missing.length === 0) return
      if ((await nowOf(redis)) >= latest) {
        log.error(
          { pods: missing },
          'These pods have not sent again what Redis lost; what they still send is recorded when it comes.',
        )
        return
      }
      await sleep(LOOK_AT_PODS_MS, over)
    }
  }

  return {
    begin(quarantine) {
      if (current?.id === quarantine.id) return
      current?.over.abort()
      const over = new AbortController()
      current = { id: quarantine.id, over }
      through = STREAM_START
      const before = running
      running = before.then(() => run(quarantine, AbortSignal.any([over.signal, parts.stop])))
    },
    recorded(quarantineId, lastId) {
      if (current?.id === quarantineId) through = lastId
    },
    ended: () => running,
  }
}

/** Ids of the pods that are there and have not sent again what is meant by this value of `restored`. */
async function podsWithout(redis: Redis, keys: Keys, restored: string): Promise<readonly string[]> {
  const ids = await redis.zrange(keys.pods, '0', '-1')
  const said = await Promise.all(ids.map((id) => redis.hmget(keys.pod(id), 'instance', 'resent')))
  return ids.filter((_, index) => said[index]?.[0] != null && said[index][1] !== restored)
}

async function nowOf(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time()
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
}

async function newestOf(redis: Redis, key: string): Promise<string> {
  const [newest] = await redis.xrevrange(key, '+', '-', 'COUNT', 1)
  return newest?.[0] ?? STREAM_START
}
