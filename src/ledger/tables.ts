/** The ledger's tables, each with the statements by which it is written. */
import type { Db } from './database.ts'
import { createActionTable, type ActionTable } from './action.ts'
import { createAgentMessageTable, type AgentMessageTable } from './agent-message.ts'
import { createAgentLifecycleEventTable, type AgentLifecycleEventTable } from './agent-lifecycle-event.ts'
import { createAgentLifecycleTable, type AgentLifecycleTable } from './agent-lifecycle.ts'
import { createAgentSessionTable, type AgentSessionTable } from './agent-session.ts'
import { createClaudeInvocationTable, type ClaudeInvocationTable } from './claude-invocation.ts'
import { createEventGapTable, type EventGapTable } from './event-gap.ts'
import { createInvocationModelUsageTable, type InvocationModelUsageTable } from './invocation-model-usage.ts'
import { createSessionMessageTable, type SessionMessageTable } from './session-message.ts'
import { createSessionQuestionTable, type SessionQuestionTable } from './session-question.ts'
import { createOrchestratorTaskTable, type OrchestratorTaskTable } from './orchestrator-task.ts'
import { createRecordedSpoolTable, type RecordedSpoolTable } from './recorded-spool.ts'
import { createRecorderFaultTable, type RecorderFaultTable } from './recorder-fault.ts'
import { createRecorderPositionTable, type RecorderPositionTable } from './recorder-position.ts'
import { createRoadmapPriorityTable, type RoadmapPriorityTable } from './roadmap-priority.ts'
import { createSessionEventTable, type SessionEventTable } from './session-event.ts'
import { createTaskEventTable, type TaskEventTable } from './task-event.ts'
import { createUnbilledUsageTable, type UnbilledUsageTable } from './unbilled-usage.ts'

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

/** The tables of an open ledger. */
export function createTables(db: Db): Tables {
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
