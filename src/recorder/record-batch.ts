/**
 * One transaction: a batch of events, what they change, and the position after them. All of it or nothing, so that
 * dying at any statement leaves the ledger at the end of an earlier batch, from where it is read again.
 */
import { messageOf } from '../core/errors.ts'
import { splitEvent, type RawEvent } from '../core/envelope.ts'
import { sqliteCode } from '../ledger/database.ts'
import type { Ledger } from '../ledger/open.ts'
import type { StreamEntry } from './event-stream.ts'
import { noEffects, type Effects } from './handler.ts'
import { project } from './projection.ts'

/** Another recorder has claimed the ledger: this one must not write any more. */
export class RecorderSuperseded extends Error {}

export interface RecordedBatch extends Effects {
  readonly lastId: string
  /** Entries that went to `recorder_fault`: `<stream id>: <reason>`. */
  readonly faults: readonly string[]
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
  try {
    return ledger.transaction(() => writeBatch(ledger, epoch, entries, ts, writeEntry))
  } catch (error) {
    if (!isAboutContent(error)) throw error
    // Some entry is bad. Again, each by itself, so that only that one is set aside.
    return ledger.transaction(() => writeBatch(ledger, epoch, entries, ts, writeIsolated))
  }
}

/** Writes one entry; answers why it had to be set aside, or null. */
type Write = (ledger: Ledger, entry: StreamEntry, effects: Effects) => string | null

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
  const effects = noEffects()
  const faults: string[] = []
  for (const entry of entries) {
    const reason = write(ledger, entry, effects)
    if (reason === null) continue
    faults.push(`${entry.id}: ${reason}`)
    const sessionId = sessionOf(entry)
    tables.faults.add({ streamId: entry.id, sessionId, reason, text: entry.raw, ts })
    if (sessionId !== null) effects.unsettled.add(sessionId)
  }
  for (const sessionId of effects.unsettled) tables.sessions.settle(sessionId)
  return { ...effects, lastId, faults }
}

function writeEntry(ledger: Ledger, entry: StreamEntry, effects: Effects): string | null {
  const event = readEntry(entry)
  const appended = append(ledger, event)
  if (appended === 'conflict')
    return 'Its place (session and seq, or agent and line) is taken by another event.'
  if (appended === 'new') {
    if (event.header.session_id !== null) effects.sessionIds.add(event.header.session_id)
    project(ledger.tables, event, effects)
  }
  return null
}

function writeIsolated(ledger: Ledger, entry: StreamEntry, effects: Effects): string | null {
  try {
    return ledger.transaction(() => writeEntry(ledger, entry, effects))
  } catch (error) {
    if (!isAboutContent(error)) throw error
    keepUnprojected(ledger, entry)
    return messageOf(error)
  }
}

/** What happened is kept also where what it means could not be worked out. */
function keepUnprojected(ledger: Ledger, entry: StreamEntry): void {
  try {
    ledger.transaction(() => append(ledger, readEntry(entry)))
  } catch (error) {
    if (!isAboutContent(error)) throw error
  }
}

function readEntry(entry: StreamEntry): RawEvent {
  if (entry.text === null) throw new Error('The entry is no event: it has another field than "event".')
  return splitEvent(entry.text)
}

function append({ tables }: Ledger, event: RawEvent): 'new' | 'repeat' | 'conflict' {
  if (event.header.session_id !== null) return tables.sessionEvents.append(event)
  const { task_id }: { readonly task_id: string } = JSON.parse(event.payloadText)
  return tables.taskEvents.append(task_id, event) ? 'new' : 'repeat'
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
function isAboutContent(error: unknown): boolean {
  if (error instanceof RecorderSuperseded) return false
  const code = sqliteCode(error)
  return code === '' || /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|ERROR$)/.test(code)
}
