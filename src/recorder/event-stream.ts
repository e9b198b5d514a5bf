/** The durable event stream as the recorder reads it: from a position, in bounded batches. */
import type { Redis } from 'ioredis'
import { STREAM_START } from '../ledger/recorder-position.ts'
import { lookAtIncarnation, type Quarantine } from '../queue/incarnation.ts'
import type { Keys } from '../queue/keys.ts'
import { compareStreamIds } from './stream-id.ts'

/** One entry. `text` is null where the entry has no field `event`; `raw` is all of it then. */
export interface StreamEntry {
  readonly id: string
  readonly text: string | null
  readonly raw: string
}

/**
 * Most entries of one batch, that is of one transaction. Its process answers HTTP too, and waits for all of it: some
 * 25 ms of CPU for lines of 300 bytes. Half as many cost 12 % more CPU, twice as many gained nothing.
 */
const MAX_ENTRIES = 1000
/**
 * After a batch that took longer the next one is smaller: what begins and ends sessions takes some 115 µs an event.
 * CPU time, because smaller batches are no help against a slow disk.
 */
const LONG_CPU_MS = 40
/** A line may have 16 MB; after a batch of more than this the next one asks for fewer entries. */
const BATCH_SIZE_TARGET = 8 * 1024 * 1024
/** How long an empty stream is waited on before it is looked at whether Redis still is what it was. */
const BLOCK_MS = 1000
/** A connection that says nothing for so much longer than asked is dead (a partition sends no reset). */
const SILENCE_MS = BLOCK_MS + 8000

/** What one read brought. */
export interface StreamBatch {
  readonly entries: readonly StreamEntry[]
  /** Where the stream is being read from its beginning: in which quarantine (`Quarantine.id`). */
  readonly quarantine: string | null
  /** No loss of Redis was found with these: what lies before them, and is not recorded, was never there. */
  readonly isSound: boolean
}

export interface EventStream {
  /**
   * The entries after the last ones read; none after `BLOCK_MS` without any. Throws what Redis throws, also when
   * the stream was closed meanwhile. To be called again only when the last answer is committed.
   */
  read(): Promise<StreamBatch>
  /** Ends a read that waits. */
  close(): void
}

export interface OpenEventStream {
  /** Its options are taken for a connection of the stream's own. */
  readonly redis: Redis
  readonly keys: StreamKeys
  /** After which entry to begin: what the ledger has. */
  readonly position: string
  /** Called for each life of Redis in which no lease is given yet; the stream is read from its beginning then. */
  readonly onQuarantine: (quarantine: Quarantine) => void
  readonly onError: (error: Error) => void
}

export type StreamKeys = Pick<Keys, 'events' | 'seeded' | 'quarantine' | 'recordedBefore' | 'vouched'>

/**
 * Reads the stream on a connection of its own, since a blocked connection answers nothing else.
 *
 * It is also who notices that Redis lost data. Each batch comes with the keys that say so, on the same connection and
 * in order; a batch that may mix two lives of Redis is still handed out, since what it holds did happen, but how far
 * the ledger was before (`recordedBefore`) is counted from the last batch that is beyond doubt. In another life, and
 * where the stream's end is before the position, it is read from its beginning: what is recorded already changes
 * nothing.
 */
export function openEventStream(parts: OpenEventStream): EventStream {
  const { redis, keys } = parts
  const connection = redis.duplicate({
    connectionName: 'drover-recorder-stream',
    maxRetriesPerRequest: null,
    enableOfflineQueue: true,
    lazyConnect: false,
    socketTimeout: SILENCE_MS,
  })
  let cursor = parts.position
  /** Up to where the ledger has what was acknowledged before the present life of Redis, if it is another one. */
  let sound = parts.position
  let quarantine: Quarantine | null = null
  let count = MAX_ENTRIES
  let handedOut: NodeJS.CpuUsage | null = null
  // Redis may be another one after each reconnect.
  let looked = false
  connection.on('error', parts.onError)
  connection.on('ready', () => {
    looked = false
  })

  async function look(): Promise<void> {
    const found = await lookAtIncarnation(connection, keys, sound)
    if (found.seeded) {
      if (quarantine === null && compareStreamIds(found.lastId, cursor) < 0) cursor = STREAM_START
      quarantine = null
    } else if (found.quarantine.id !== quarantine?.id) {
      cursor = STREAM_START
      quarantine = found.quarantine
      parts.onQuarantine(quarantine)
    }
    looked = true
  }

  /** Do these say the same as the last look? */
  function isSame(seeded: string | null, noted: string | null): boolean {
    return quarantine === null
      ? seeded !== null && noted === null
      : seeded === null && noted === quarantine.id
  }

  async function readNext(): Promise<StreamBatch> {
    if (handedOut !== null) count = inTime(count, process.cpuUsage(handedOut))
    handedOut = null
    if (!looked) await look()
    if (quarantine === null) sound = cursor
    const [from, readIn] = [cursor, quarantine?.id ?? null]
    const [answer, marks] = await both(
      connection
        .pipeline()
        .xread('COUNT', count, 'BLOCK', BLOCK_MS, 'STREAMS', keys.events, cursor)
        .mget(keys.seeded, keys.quarantine)
        .exec(),
    )
    const entries = (answer?.[0]?.[1] ?? []).map(entryOf)
    const last = entries.at(-1)
    if (last === undefined) looked = false
    else {
      cursor = last.id
      count = bySize(count, entries)
      handedOut = process.cpuUsage()
    }
    if (!isSame(marks[0], marks[1])) {
      // Now, and not before the next read: what is handed out is committed, and `recordedBefore` must not count it.
      await look().catch((error: unknown) => {
        cursor = from
        looked = false
        throw error
      })
    }
    return { entries, quarantine: readIn, isSound: readIn === null && quarantine === null }
  }

  let closed = false
  let giveUp = (): void => {}

  return {
    read() {
      if (closed) return Promise.reject(new Error('The stream is closed.'))
      return new Promise((resolve, reject) => {
        // A connection that is closed between two attempts to connect leaves its commands unanswered (ioredis 6.0).
        giveUp = () => reject(new Error('The stream was closed.'))
        readNext().then(resolve, reject)
      })
    },
    close() {
      closed = true
      giveUp()
      connection.disconnect()
    },
  }
}

type Entries = readonly [key: string, entries: [id: string, fields: string[]][]][] | null
type Marks = readonly [seeded: string | null, quarantine: string | null]

/** The answers of the pipeline; throws where one of them is an error. */
async function both(sent: Promise<[Error | null, unknown][] | null>): Promise<[Entries, Marks]> {
  const [read, marks] = (await sent) ?? []
  const error =
    read === undefined || marks === undefined ? new Error('Redis did not answer') : (read[0] ?? marks[0])
  if (error !== null) throw error
  return [read?.[1] as Entries, marks?.[1] as Marks]
}

function entryOf([id, fields]: [id: string, fields: string[]]): StreamEntry {
  const [name, text] = fields
  return name === 'event' && text !== undefined && fields.length === 2
    ? { id, text, raw: text }
    : { id, text: null, raw: JSON.stringify(fields) }
}

/** Fewer entries after large ones. */
function bySize(count: number, entries: readonly StreamEntry[]): number {
  const size = entries.reduce((sum, entry) => sum + entry.raw.length, 0)
  if (size > BATCH_SIZE_TARGET) return Math.max(1, Math.floor((entries.length * BATCH_SIZE_TARGET) / size))
  return count
}

/** Fewer entries after what took long, more again after what was quick. */
function inTime(count: number, { user, system }: NodeJS.CpuUsage): number {
  const cpuMs = (user + system) / 1000
  if (cpuMs > LONG_CPU_MS) return Math.max(1, Math.floor(count / 2))
  return cpuMs < LONG_CPU_MS / 2 ? Math.min(MAX_ENTRIES, count * 2) : count
}
