/**
 * Which tables are made from the events, and which are what they are made from. Every table of the schema is in one
 * of the lists; a test sees to it. `drover ledger rebuild` empties the first ones and projects all events again.
 */

/** A table that `rebuild` makes anew. */
export interface ProjectionTable {
  readonly name: string
  /**
   * Which of its rows belong to the sessions in `pruned` (a table with their `session_id`): they are kept, because
   * the lines that they were made from are gone. null: rows that need no line.
   */
  readonly ofPruned: string | null
}

const BY_SESSION = 'session_id IN (SELECT session_id FROM pruned)'

/** Tables that only events decide. Children before their parents. */
export const PROJECTION_TABLES: readonly ProjectionTable[] = [
  { name: 'agent_lifecycle_events', ofPruned: BY_SESSION },
  { name: 'invocation_model_usage', ofPruned: BY_SESSION },
  { name: 'claude_invocations', ofPruned: BY_SESSION },
  { name: 'agent_lifecycle', ofPruned: BY_SESSION },
  { name: 'agent_sessions', ofPruned: BY_SESSION },
  { name: 'task_dependency', ofPruned: null },
  { name: 'orchestrator_task', ofPruned: null },
  { name: 'agent_message', ofPruned: null },
  { name: 'session_message', ofPruned: null },
  { name: 'session_question', ofPruned: null },
  { name: 'actions', ofPruned: null },
]

/** What happened, what others own, and how far the recorder is. */
export const RECORD_TABLES: readonly string[] = [
  'session_event',
  'task_event',
  'event_gap',
  'recorded_spool',
  'recorder_fault',
  'recorder_position',
  'roadmap_priority',
  'schema_migration',
]

/** Over the records, filled by themselves where they are empty. Each search table has others behind it. */
export const INDEX_TABLES: readonly string[] = ['asked_search', 'said_search', 'search_position']
