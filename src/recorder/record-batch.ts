/**
 * One transaction: a batch of events, what they change, and the position after them. All of it or nothing, so that
 * dying at any statement leaves the ledger at the end of an earlier batch, from where it is read again.
 */
import { messageOf } from '../core/errors.ts'
import { splitEvent, type RawEvent } from '../core/envelope.ts'
import { sqliteCode } from '../ledger/database.ts'
import type { Ledger } from '../ledger/open.ts'
import { createContinuity } from './continuity.ts'
import type { StreamEntry } from './event-stream.ts'
import { mergeEffects, noEffects, type Effects } from './handler.ts'
import { project } from './projection.ts'
import { markLine, settle } from './settle.ts'

/** Another recorder has claimed the ledger: this one must not write any more. */
export class RecorderSuperseded extends Error {}

export interface RecordedBatch extends Effects {
  readonly lastId: string
  /** Entries that went to `recorder_fault`: `<stream id>: <reason>`. */
  readonly faults: readonly string[]
  /** What was noticed to be missing or altered, and what that means: a sentence each. */
  readonly alarms: readonly string[]
}

/**
 * Writes a batch of at least one entry. An entry that cannot be read or projected is kept in `recorder_fault` and
 * does not stop the others.
 *
 * @throws RecorderSuperseded
 * @throws whatever SQLite says of the file (locked, full, damaged): nothing was written, the batch can be repeated
 */
export function recordBatch(
  ledger: Ledger,
  epoch: number,
  entries: readonly StreamEntry[],
  ts: string,
): RecordedBatch {
  const record = (write: Write): RecordedBatch =>
    ledger.transaction(() => writeBatch(ledger, epoch, entries, ts, write))
  try {
    return record(writeTogether)
  } catch (error) {
    if (!isAboutContent(error)) throw error
    // Some entry is bad. Again, each by itself, so that only that one is set aside.
    return record(writeEachAlone)
  }
}

/** An entry that had to be set aside, and why. */
interface Fault {
  readonly entry: StreamEntry
  readonly reason: string
}

/** What writing some entries brought. */
interface Written {
  readonly effects: Effects
  readonly faults: Fault[]
  readonly alarms: string[]
}

type Write = (ledger: Ledger, entries: readonly StreamEntry[], ts: string) => Written

function writeBatch(
  ledger: Ledger,
  epoch: number,
  entries: readonly StreamEntry[],
  ts: string,
  write: Write,
): RecordedBatch {
  const { tables } = ledger
  const lastId = entries.at(-1)?.id
  if (lastId === undefined) throw new Error('an empty batch')
  // First, since it is the fence: a superseded recorder writes nothing.
  if (!tables.position.move(epoch, lastId, ts))
    throw new RecorderSuperseded('another recorder has taken over')
  const { effects, faults, alarms } = write(ledger, entries, ts)
  for (const { entry, reason } of faults) {
    const sessionId = sessionOf(entry)
    tables.faults.add({ streamId: entry.id, sessionId, reason, text: entry.raw, ts })
    if (sessionId !== null) effects.unsettled.add(sessionId)
  }
  settle(tables, effects)
  return { ...effects, lastId, alarms, faults: faults.map(({ entry, reason }) => `${entry.id}: ${reason}`) }
}

/** Throws at the first entry whose content the ledger refuses. */
function writeTogether(ledger: Ledger, entries: readonly StreamEntry[], ts: string): Written {
  return writeEntries(ledger, entries, ts, project)
}

function writeEachAlone(ledger: Ledger, entries: readonly StreamEntry[], ts: string): Written {
  const all: Written = { effects: noEffects(), faults: [], alarms: [] }
  for (const entry of entries) {
    const { effects, faults, alarms } = writeAlone(ledger, entry, ts)
    mergeEffects(all.effects, effects)
    all.faults.push(...faults)
    all.alarms.push(...alarms)
  }
  return all
}

function writeAlone(ledger: Ledger, entry: StreamEntry, ts: string): Written {
  try {
    return ledger.transaction(() => writeEntries(ledger, [entry], ts, project))
  } catch (error) {
    if (!isAboutContent(error)) throw error
    const fault = { entry, reason: messageOf(error) }
    const kept = keepUnprojected(ledger, entry, ts)
    return { ...kept, faults: [...kept.faults, fault] }
  }
}

/** What happened is kept also where what it means could not be worked out. */
function keepUnprojected(ledger: Ledger, entry: StreamEntry, ts: string): Written {
  try {
    return ledger.transaction(() => writeEntries(ledger, [entry], ts, () => undefined))
  } catch (error) {
    if (!isAboutContent(error)) throw error
    return { effects: noEffects(), faults: [], alarms: [] }
  }
}

function writeEntries(
  ledger: Ledger,
  entries: readonly StreamEntry[],
  ts: string,
  projected: typeof project,
): Written {
  const { tables } = ledger
  const effects = noEffects()
  const faults: Fault[] = []
  const continuity = createContinuity(tables, ts)
  for (const entry of entries) {
    const event = readEntry(entry)
    const appended = continuity.wasHere(event) ? tables.sessionEvents.compare(event) : append(ledger, event)
    if (appended === 'repeat') continue
    if (appended === 'conflict') {
      faults.push({
        entry,
        reason: 'Its place (session and seq, or agent and line) is taken by another event.',
      })
      continue
    }
    if (event.header.session_id !== null) effects.sessionIds.add(event.header.session_id)
    continuity.took(event)
    projected(tables, event, effects)
    markLine(effects, event.header)
    for (const spool of effects.closed.splice(0)) continuity.closed(spool)
  }
  const { alarms, sessionIds } = continuity.settle()
  for (const sessionId of sessionIds) effects.unsettled.add(sessionId)
  return { effects, faults, alarms }
}

function readEntry(entry: StreamEntry): RawEvent {
  if (entry.text === null) throw new Error('The entry is no event: it has another field than "event".')
  return splitEvent(entry.text)
}

function append({ tables }: Ledger, event: RawEvent): 'new' | 'repeat' | 'conflict' {
  if (event.header.session_id !== null) return tables.sessionEvents.append(event)
  const subject: {
    readonly task_id?: string | null
    readonly message_id?: string
    readonly session_id?: string
  } = JSON.parse(event.payloadText)
  return tables.taskEvents.append(subject.task_id ?? subject.message_id ?? subject.session_id ?? '', event)
    ? 'new'
    : 'repeat'
}

function sessionOf(entry: StreamEntry): string | null {
  try {
    const { session_id } = readEntry(entry).header
    return typeof session_id === 'string' ? session_id : null
  } catch {
    return null
  }
}

/** Errors that the same entry would cause again, whatever the state of the file. */
export function isAboutContent(error: unknown): boolean {
  if (error instanceof RecorderSuperseded) return false
  const code = sqliteCode(error)
  return code === '' || /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|ERROR$)/.test(code)
}
