/** Opening the ledger: one writer (the recorder's process), any number of readers. */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { RawEvent } from '../core/envelope.ts'
import { createAgentViews } from './agent-view.ts'
import { createCostView } from './cost-view.ts'
import {
  answering,
  ledgerError,
  openDatabase,
  openDatabaseReadOnly,
  waitBriefly,
  type Db,
} from './database.ts'
import { createWorktreeRows } from './worktree-rows.ts'
import { createGapViews } from './event-gap.ts'
import { createEventList } from './event-list.ts'
import { createEventViews } from './event-view.ts'
import { createFigures } from './figures.ts'
import { holdShared, type Hold } from './in-use.ts'
import { linkInvocations } from './invocations-link.ts'
import type { LedgerReader } from './ledger.ts'
import { createMessageViews } from './message-view.ts'
import { createFollowUpViews } from './follow-up-view.ts'
import { migrate, requireCurrentSchema } from './migrate.ts'
import { createOpenMails, type OpenMails } from './open-mail.ts'
import { createOpenWork, type OpenWork } from './open-work.ts'
import { createRecorded } from './recorder-position.ts'
import { createSaidSearch } from './said-search.ts'
import { createSearchIndex, type SearchIndex } from './search-index.ts'
import { createRebuildTables, type RebuildTables } from './rebuild-tables.ts'
import { replayEvents } from './replay.ts'
import { createRestorable, type Restorable } from './restorable.ts'
import { refuseHalfRestored } from './half-restored.ts'
import { createRetention, type Retention } from './retention.ts'
import { watchSameFile } from './same-file.ts'
import { createSessionTrees } from './session-tree.ts'
import { createSessionViews } from './session-view.ts'
import { createTaskViews } from './task-view.ts'
import { createTables, type Tables } from './tables.ts'
import { watchTrouble, type LedgerTrouble, type TroubleWatch } from './trouble.ts'

/** The ledger as its one writer has it. */
export interface Ledger extends LedgerReader {
  readonly tables: Tables
  readonly openWork: OpenWork
  readonly restorable: Restorable
  readonly openMails: OpenMails
  readonly search: SearchIndex
  readonly retention: Retention
  /** Names of the migrations that opening it applied. */
  readonly applied: readonly string[]
  /** False when a real file sits where the link `claude_invocations.db` belongs. */
  readonly linked: boolean
  /** What keeps it from being written right now; null while writing works. */
  trouble(): LedgerTrouble | null
  /**
   * All of `work` or nothing, with the write lock from the beginning (`BEGIN IMMEDIATE`). Inside another
   * transaction: a part of it that can be undone alone.
   *
   * @throws DroverError `ledger_unavailable`, and writes nothing, where the file at the path is not the one that was
   *   opened, or is known to be damaged; else what SQLite throws
   */
  transaction<T>(work: () => T): T
}

/**
 * Opens the ledger for its writer: makes directory, file, schema and the link `claude_invocations.db` where they
 * are missing. Two processes may do so at once.
 *
 * @throws DroverError `ledger_unavailable`, naming the file and what to do
 */
export function openLedger(path: string): Ledger {
  const file = resolve(path)
  return opening(file, () => {
    mkdirSync(dirname(file), { recursive: true })
    const hold = holdShared(file)
    try {
      refuseHalfRestored(file)
      const db = openDatabase(file)
      return closingOnError(db, () => writerOf(db, file, hold))
    } catch (error) {
      hold.release()
      throw error
    }
  })
}

/**
 * Opens the ledger read-only: never waits for the writer, never changes anything.
 *
 * @throws DroverError `ledger_unavailable`, also for a file that is not there or has another schema
 */
export function openLedgerReader(path: string): LedgerReader {
  const file = resolve(path)
  return opening(file, () => {
    const db = openDatabaseReadOnly(file)
    return closingOnError(db, () => {
      requireCurrentSchema(db)
      waitBriefly(db)
      return readerOf(db, file, watchTrouble(file))
    })
  })
}

/** The ledger as `rebuild` has it: the tables, and what goes through all that is recorded. */
export interface RebuildLedger {
  readonly tables: Tables
  readonly rebuildTables: RebuildTables
  readonly search: SearchIndex
  /** All events in the order in which they were projected, in pages. */
  events(): Iterable<readonly RawEvent[]>
  transaction<T>(work: () => T): T
  inTransaction(): boolean
  close(): void
}

/**
 * Opens a ledger that is there, at the newest schema, for whoever holds it alone (`in-use.ts`).
 *
 * @throws DroverError `ledger_unavailable`
 */
export function openForRebuild(path: string): RebuildLedger {
  return opening(path, () => {
    openDatabaseReadOnly(path).close()
    const db = openDatabase(path)
    return closingOnError(db, () => {
      migrate(db)
      return {
        tables: createTables(db),
        rebuildTables: createRebuildTables(db),
        search: createSearchIndex(db),
        events: () => replayEvents(db),
        inTransaction: () => db.inTransaction,
        transaction: <T>(work: () => T): T => db.transaction(work).immediate(),
        close: () => void db.close(),
      }
    })
  })
}

function writerOf(db: Db, file: string, hold: Hold): Ledger {
  const requireSame = watchSameFile(file)
  const applied = migrate(db)
  const linked = linkInvocations(file)
  waitBriefly(db)
  const trouble = watchTrouble(file)
  const begin = <T>(work: () => T): T => db.transaction(work).immediate()
  return {
    ...readerOf(db, file, trouble),
    tables: createTables(db),
    openWork: answering(file, createOpenWork(db), trouble.requireSound),
    restorable: answering(file, createRestorable(db), trouble.requireSound),
    openMails: answering(file, createOpenMails(db), trouble.requireSound),
    search: soundOnly(createSearchIndex(db), trouble),
    retention: createRetention(db),
    applied,
    linked,
    trouble: trouble.now,
    transaction: <T>(work: () => T): T => {
      if (db.inTransaction) return begin(work)
      return trouble.watch(() => {
        requireSame()
        return begin(work)
      })
    },
    close() {
      db.close()
      hold.release()
    },
  }
}

function readerOf(db: Db, file: string, { requireSound, condemn }: TroubleWatch): LedgerReader {
  return {
    path: file,
    sessions: answering(file, createSessionViews(db), requireSound),
    trees: answering(file, createSessionTrees(db), requireSound),
    agents: answering(file, createAgentViews(db), requireSound),
    tasks: answering(file, createTaskViews(db), requireSound),
    messages: answering(file, createMessageViews(db), requireSound),
    followUps: answering(file, createFollowUpViews(db), requireSound),
    events: answering(file, createEventViews(db), requireSound),
    gaps: answering(file, createGapViews(db), requireSound),
    worktrees: answering(file, createWorktreeRows(db), requireSound),
    ...answering(
      file,
      {
        listEvents: createEventList(db),
        searchSaid: createSaidSearch(db),
        recorded: createRecorded(db),
        cost: createCostView(db),
      },
      requireSound,
    ),
    figures: answering(file, createFigures(db, file), requireSound),
    condemn,
    close: () => void db.close(),
  }
}

/** Of a file that is known to be damaged nothing is written, also outside `transaction`. */
function soundOnly(search: SearchIndex, { requireSound }: TroubleWatch): SearchIndex {
  return {
    ...search,
    fill(limit, bytes) {
      requireSound()
      return search.fill(limit, bytes)
    },
    clear() {
      requireSound()
      search.clear()
    },
  }
}

function opening<T>(file: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw ledgerError(file, error)
  }
}

function closingOnError<T>(db: Db, work: () => T): T {
  try {
    return work()
  } catch (error) {
    db.close()
    throw error
  }
}
