-- A priority's status in a few looks, however many tasks it has: `priority_status` went over all of them at each change.

DROP TRIGGER roadmap_priority_added;
DROP TRIGGER orchestrator_task_added;
DROP TRIGGER orchestrator_task_moved;
DROP VIEW priority_timeline;
DROP VIEW priority_status;

-- What the tasks of each named priority say of it. `priority_timeline` says the same of all, from its sums.
CREATE VIEW priority_status AS
SELECT
  p.priority_number,
  CASE
    WHEN NOT EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status IN ('pending', 'spawned', 'running', 'failed', 'cancelled', 'blocked')) THEN 'completed'
    WHEN EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status IN ('spawned', 'running')) THEN 'in_progress'
    WHEN EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status IN ('failed', 'cancelled', 'blocked')) THEN 'blocked'
    WHEN EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number
      AND t.status = 'completed') THEN 'in_progress'
    ELSE 'planned'
  END AS status
FROM roadmap_priority AS p
WHERE EXISTS (SELECT 1 FROM orchestrator_task AS t WHERE t.priority_number = p.priority_number);

-- A priority without tasks keeps the status that it was given.
CREATE TRIGGER roadmap_priority_added AFTER INSERT ON roadmap_priority
BEGIN
  UPDATE roadmap_priority SET status = s.status FROM priority_status AS s
  WHERE roadmap_priority.priority_number = NEW.priority_number AND s.priority_number = NEW.priority_number;
END;

CREATE TRIGGER orchestrator_task_added AFTER INSERT ON orchestrator_task WHEN NEW.priority_number IS NOT NULL
BEGIN
  UPDATE roadmap_priority SET status = s.status FROM priority_status AS s
  WHERE roadmap_priority.priority_number = NEW.priority_number AND s.priority_number = NEW.priority_number;
END;

CREATE TRIGGER orchestrator_task_moved AFTER UPDATE OF status ON orchestrator_task
WHEN NEW.priority_number IS NOT NULL AND NEW.status <> OLD.status
BEGIN
  UPDATE roadmap_priority SET status = s.status FROM priority_status AS s
  WHERE roadmap_priority.priority_number = NEW.priority_number AND s.priority_number = NEW.priority_number;
END;

CREATE VIEW priority_timeline AS
SELECT
  p.priority_number,
  r.title,
  CASE
    WHEN count(t.task_id) = 0 THEN r.status
    WHEN sum(t.status = 'completed') = count(t.task_id) THEN 'completed'
    WHEN sum(t.status IN ('spawned', 'running')) > 0 THEN 'in_progress'
    WHEN sum(t.status IN ('failed', 'cancelled', 'blocked')) > 0 THEN 'blocked'
    WHEN sum(t.status = 'completed') > 0 THEN 'in_progress'
    ELSE 'planned'
  END AS roadmap_status,
  count(t.task_id) AS tasks,
  coalesce(sum(t.status = 'completed'), 0) AS completed,
  coalesce(sum(t.status IN ('spawned', 'running')), 0) AS active,
  coalesce(sum(t.status IN ('pending', 'blocked')), 0) AS waiting,
  coalesce(sum(t.status IN ('failed', 'cancelled')), 0) AS failed,
  min(t.created_at) AS created_at,
  min(t.started_at) AS started_at,
  CASE WHEN sum(t.status = 'completed') = count(t.task_id) THEN max(t.completed_at) END AS completed_at
FROM (
  SELECT priority_number FROM roadmap_priority
  UNION
  SELECT priority_number FROM orchestrator_task WHERE priority_number IS NOT NULL
) AS p
LEFT JOIN roadmap_priority AS r USING (priority_number)
LEFT JOIN orchestrator_task AS t USING (priority_number)
GROUP BY p.priority_number
ORDER BY p.priority_number;
