/** Opening the ledger: one writer (the recorder's process), any number of readers. */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createActionTable, type ActionTable } from './action.ts'
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
import { createEventGapTable, createGapViews, type EventGapTable } from './event-gap.ts'
import { createEventList } from './event-list.ts'
import { createEventViews } from './event-view.ts'
import { createFigures } from './figures.ts'
import { createInvocationModelUsageTable, type InvocationModelUsageTable } from './invocation-model-usage.ts'
import { linkInvocations } from './invocations-link.ts'
import type { LedgerReader } from './ledger.ts'
import { migrate, requireCurrentSchema } from './migrate.ts'
import { createOpenWork, type OpenWork } from './open-work.ts'
import { createOrchestratorTaskTable, type OrchestratorTaskTable } from './orchestrator-task.ts'
import { createRecordedSpoolTable, type RecordedSpoolTable } from './recorded-spool.ts'
import { createRecorderFaultTable, type RecorderFaultTable } from './recorder-fault.ts'
import {
  createRecorded,
  createRecorderPositionTable,
  type RecorderPositionTable,
} from './recorder-position.ts'
import { createRestorable, type Restorable } from './restorable.ts'
import { createSaidSearch } from './said-search.ts'
import { createSearchIndex, type SearchIndex } from './search-index.ts'
import { createSessionEventTable, type SessionEventTable } from './session-event.ts'
import { createSessionViews } from './session-view.ts'
import { createTaskEventTable, type TaskEventTable } from './task-event.ts'
import { createTaskViews } from './task-view.ts'
import { createUnbilledLines, type UnbilledLines } from './unbilled-lines.ts'

/** The tables as the recorder writes them. */
export interface Tables {
  readonly sessionEvents: SessionEventTable
  readonly taskEvents: TaskEventTable
  readonly sessions: AgentSessionTable
  readonly agents: AgentLifecycleTable
  readonly agentEvents: AgentLifecycleEventTable
  readonly invocations: ClaudeInvocationTable
  readonly modelUsage: InvocationModelUsageTable
  readonly unbilledLines: UnbilledLines
  readonly tasks: OrchestratorTaskTable
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
  readonly search: SearchIndex
  /** Names of the migrations that opening it applied. */
  readonly applied: readonly string[]
  /** False when a real file sits where the link `claude_invocations.db` belongs. */
  readonly linked: boolean
  /**
   * All of `work` or nothing, with the write lock from the beginning (`BEGIN IMMEDIATE`). Inside another
   * transaction: a part of it that can be undone alone.
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
    const db = openDatabase(file)
    return closingOnError(db, () => {
      const applied = migrate(db)
      const linked = linkInvocations(file)
      waitBriefly(db)
      return {
        ...readerOf(db, file),
        tables: {
          sessionEvents: createSessionEventTable(db),
          taskEvents: createTaskEventTable(db),
          sessions: createAgentSessionTable(db),
          agents: createAgentLifecycleTable(db),
          agentEvents: createAgentLifecycleEventTable(db),
          invocations: createClaudeInvocationTable(db),
          modelUsage: createInvocationModelUsageTable(db),
          unbilledLines: createUnbilledLines(db),
          tasks: createOrchestratorTaskTable(db),
          position: createRecorderPositionTable(db),
          faults: createRecorderFaultTable(db),
          actions: createActionTable(db),
          gaps: createEventGapTable(db),
          spools: createRecordedSpoolTable(db),
        },
        openWork: answering(file, createOpenWork(db)),
        restorable: answering(file, createRestorable(db)),
        search: createSearchIndex(db),
        applied,
        linked,
        transaction: <T>(work: () => T): T => db.transaction(work).immediate(),
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
      return readerOf(db, file)
    })
  })
}

function readerOf(db: Db, file: string): LedgerReader {
  return {
    path: file,
    sessions: answering(file, createSessionViews(db)),
    agents: answering(file, createAgentViews(db)),
    tasks: answering(file, createTaskViews(db)),
    events: answering(file, createEventViews(db)),
    gaps: answering(file, createGapViews(db)),
    ...answering(file, { cost: createCostView(db) }),
    figures: answering(file, createFigures(db, file)),
    ...answering(file, {
      listEvents: createEventList(db),
      searchSaid: createSaidSearch(db),
      recorded: createRecorded(db),
      cost: createCostView(db),
    }),
    close: () => void db.close(),
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
