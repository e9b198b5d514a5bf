/** Table `task_dependency`: the questions that several statements ask of it, as SQL. */

/**
 * Selects what a task waits for: its dependencies that are not completed, those that nobody has added yet included.
 *
 * @param taskId a column
 */
export function waitedFor(taskId: string): string {
  return `SELECT d.depends_on
    FROM task_dependency AS d LEFT JOIN orchestrator_task AS o ON o.task_id = d.depends_on
    WHERE d.task_id = ${taskId} AND coalesce(o.status, 'pending') <> 'completed'`
}

/** Selects those of a task's dependencies that did not end well, so that it can never start. */
export function failedDependencies(taskId: string): string {
  return `SELECT d.depends_on
    FROM task_dependency AS d JOIN orchestrator_task AS o ON o.task_id = d.depends_on
    WHERE d.task_id = ${taskId} AND o.status IN ('failed', 'cancelled', 'blocked')`
}
