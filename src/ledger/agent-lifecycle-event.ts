/** Table `agent_lifecycle_events`: every change in the life of an agent. */
import type { Db } from './database.ts'

export interface LifecycleEvent {
  readonly agent_id: string
  readonly event_type: 'spawned' | 'started' | 'health' | 'stalled' | 'killed' | 'exited' | 'closed'
  readonly health_status: string | null
  readonly cpu_percent: number | null
  readonly memory_mb: number | null
  readonly recorded_at: string
  readonly session_id: string
  readonly seq: number
}

export interface AgentLifecycleEventTable {
  add(event: LifecycleEvent): void
}

export function createAgentLifecycleEventTable(db: Db): AgentLifecycleEventTable {
  const insert = db.prepare(`
    INSERT INTO agent_lifecycle_events (
      agent_id, event_type, health_status, cpu_percent, memory_mb, recorded_at, session_id, seq)
    VALUES (@agent_id, @event_type, @health_status, @cpu_percent, @memory_mb, @recorded_at, @session_id, @seq)`)

  return { add: (event) => void insert.run(event) }
}
