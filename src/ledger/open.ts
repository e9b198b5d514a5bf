/** Opening the ledger: one writer (the recorder's process), any number of readers. */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createActionTable, type ActionTable } from './action.ts'
import { createAgentMessageTable, type AgentMessageTable } from './agent-message.ts'
import type { RawEvent } from '../core/envelope.ts'
import { createAgentLifecycleEventTable, type AgentLifecycleEventTable } from './agent-lifecycle-event.ts'
import { createAgentLifecycleTable, type AgentLifecycleTable } from './agent-lifecycle.ts'
import { createAgentSessionTable, type AgentSessionTable } from './agent-session.ts'
import { createAgentViews } from './agent-view.ts'
import { createClaudeInvocationTable, type ClaudeInvocationTable } from './claude-invocation.ts'
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
import { createEventGapTable, createGapViews, type EventGapTable } from './event-gap.ts'
import { createEventList } from './event-list.ts'
import { createEventViews } from './event-view.ts'
import { createFigures } from './figures.ts'
import { createInvocationModelUsageTable, type InvocationModelUsageTable } from './invocation-model-usage.ts'
import { holdShared } from './in-use.ts'
import { linkInvocations } from './invocations-link.ts'
import type { LedgerReader } from './ledger.ts'
import { createMessageViews } from './message-view.ts'
import { createFollowUpViews } from './follow-up-view.ts'
import { createSessionMessageTable, type SessionMessageTable } from './session-message.ts'
import { createSessionQuestionTable, type SessionQuestionTable } from './session-question.ts'
import { migrate, requireCurrentSchema } from './migrate.ts'
import { createOpenMails, type OpenMails } from './open-mail.ts'
import { createOpenWork, type OpenWork } from './open-work.ts'
import { createOrchestratorTaskTable, type OrchestratorTaskTable } from './orchestrator-task.ts'
import { createRecordedSpoolTable, type RecordedSpoolTable } from './recorded-spool.ts'
import { createRecorderFaultTable, type RecorderFaultTable } from './recorder-fault.ts'
import {
  createRecorded,
  createRecorderPositionTable,
  type RecorderPositionTable,
} from './recorder-position.ts'
import { createRoadmapPriorityTable, type RoadmapPriorityTable } from './roadmap-priority.ts'
import { createSaidSearch } from './said-search.ts'
import { createSearchIndex, type SearchIndex } from './search-index.ts'
import { createRebuildTables, type RebuildTables } from './rebuild-tables.ts'
import { replayEvents } from './replay.ts'
import { createRestorable, type Restorable } from './restorable.ts'
import { refuseHalfRestored } from './half-restored.ts'
import { createRetention, type Retention } from './retention.ts'
import { watchSameFile } from './same-file.ts'
import { createSessionEventTable, type SessionEventTable } from './session-event.ts'
import { createSessionTrees } from './session-tree.ts'
import { createSessionViews } from './session-view.ts'
import { createTaskEventTable, type TaskEventTable } from './task-event.ts'
import { createTaskViews } from './task-view.ts'
import { createUnbilledUsageTable, type UnbilledUsageTable } from './unbilled-usage.ts'
import { watchTrouble, type LedgerTrouble, type TroubleWatch } from './trouble.ts'

/** The tables as the recorder writes them. */
export interface Tables {
  readonly sessionEvents: SessionEventTable
  readonly taskEvents: TaskEventTable
  readonly sessions: AgentSessionTable
  readonly agents: AgentLifecycleTable
  readonly agentEvents: AgentLifecycleEventTable
  readonly invocations: ClaudeInvocationTable
  readonly modelUsage: InvocationModelUsageTable
  readonly unbilled: UnbilledUsageTable
  readonly tasks: OrchestratorTaskTable
  readonly messages: AgentMessageTable
  readonly roadmap: RoadmapPriorityTable
  readonly sessionMessages: SessionMessageTable
  readonly questions: SessionQuestionTable
  readonly position: RecorderPositionTable
  readonly faults: RecorderFaultTable
  readonly actions: ActionTable
  readonly gaps: EventGapTable
  readonly spools: RecordedSpoolTable
}

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
    const closing = createClosing()
    return closing.onError(() => {
      const hold = holdShared(file)
      closing.add(() => hold.release())
      refuseHalfRestored(file)
      const db = openDatabase(file)
      closing.add(() => void db.close())
      const requireSame = watchSameFile(file)
      const applied = migrate(db)
      const linked = linkInvocations(file)
      waitBriefly(db)
      const trouble = watchTrouble(file)
      const begin = <T>(work: () => T): T => db.transaction(work).immediate()
      return {
        ...readerOf(db, file, trouble),
        tables: tablesOf(db),
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
        close: closing.run,
      }
    })
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
        tables: tablesOf(db),
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

function tablesOf(db: Db): Tables {
  return {
    sessionEvents: createSessionEventTable(db),
    taskEvents: createTaskEventTable(db),
    sessions: createAgentSessionTable(db),
    agents: createAgentLifecycleTable(db),
    agentEvents: createAgentLifecycleEventTable(db),
    invocations: createClaudeInvocationTable(db),
    modelUsage: createInvocationModelUsageTable(db),
    unbilled: createUnbilledUsageTable(db),
    tasks: createOrchestratorTaskTable(db),
    messages: createAgentMessageTable(db),
    roadmap: createRoadmapPriorityTable(db),
    sessionMessages: createSessionMessageTable(db),
    questions: createSessionQuestionTable(db),
    position: createRecorderPositionTable(db),
    faults: createRecorderFaultTable(db),
    actions: createActionTable(db),
    gaps: createEventGapTable(db),
    spools: createRecordedSpoolTable(db),
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

/** What is to be closed, the last first; each close may be called twice. */
function createClosing(): { add(close: () => void): void; run(): void; onError<T>(work: () => T): T } {
  const steps: (() => void)[] = []
  const run = (): void => {
    for (const close of steps.toReversed()) close()
  }
  return {
    add: (close) => void steps.push(close),
    run,
    onError(work) {
      try {
        return work()
      } catch (error) {
        run()
        throw error
      }
    },
  }
}
