/** Table `roadmap_priority`: titles as they were imported. Triggers keep the status as the tasks say. */
import type { Db } from './database.ts'

export interface RoadmapPriorityTable {
  /** Adds the priority or gives it another title. A status counts as long as no task has that number. */
  set(priority: {
    readonly priority_number: number
    readonly title: string
    readonly status: string | null
  }): void
}

export function createRoadmapPriorityTable(db: Db): RoadmapPriorityTable {
  const upsert = db.prepare(`
    INSERT INTO roadmap_priority (priority_number, title, status)
    VALUES (@priority_number, @title, coalesce(@status, 'planned'))
    ON CONFLICT (priority_number) DO UPDATE SET
      title = excluded.title,
      status = CASE WHEN @status IS NULL OR EXISTS (
        SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = excluded.priority_number
      ) THEN roadmap_priority.status ELSE @status END`)

  return { set: (priority) => void upsert.run(priority) }
}
