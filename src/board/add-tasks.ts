/** `POST /tasks`: all of a file or nothing. */
import type { Actor } from '../core/envelope.ts'
import { DroverError, invalidRequest } from '../core/errors.ts'
import { DEFAULT_PRIORITY, type TaskRequest } from '../core/request.ts'
import type { AddedTasks } from '../core/task-view.ts'
import type { LedgerReader, TaskView } from '../ledger/ledger.ts'
import type { Tasks } from '../producer/tasks.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import type { Recorder } from '../recorder/recorder.ts'
import { findCycle } from './cycle.ts'
import { requireTask } from './known.ts'
import { LEDGER_WAIT_MS } from './spawn.ts'
import { dependencyCycle } from './spawn-plan.ts'
import type { ViaRedis } from './via-redis.ts'

export interface AddTasksParts {
  readonly ledger: LedgerReader
  readonly defaultWorkspace: string
  readonly tasks: Tasks
  readonly types: AgentTypeRegistry
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly viaRedis: ViaRedis
}

type NewTask = TaskRequest & { readonly workspace_dir: string }

export type AddTasks = (asked: readonly TaskRequest[], actor: Actor) => Promise<AddedTasks>

/**
 * @returns a function that throws `invalid_request`, `agent_type_not_found`, `task_not_found`, `dependency_cycle` or
 *   `idempotency_conflict` before anything is added
 */
export function createAddTasks(parts: AddTasksParts): AddTasks {
  const { ledger } = parts

  async function refuseUnfit(tasks: readonly NewTask[]): Promise<void> {
    refuseRepeatedIds(tasks)
    for (const type of new Set(tasks.map((task) => task.agent_type))) {
      await parts.viaRedis(parts.types.require(type))
    }
    const inFile = new Map(tasks.map((task) => [task.task_id, task.depends_on ?? []]))
    for (const id of new Set([...inFile.values()].flat())) {
      if (!inFile.has(id)) requireTask(ledger, id, [...inFile.keys()])
    }
    const cycle = findCycle(inFile.keys(), (id) => inFile.get(id) ?? ledger.tasks.get(id)?.depends_on ?? [])
    if (cycle !== null) throw dependencyCycle(cycle)
  }

  /** The ledger's task of that id, which must be the same. */
  function presentAs(task: NewTask): TaskView | null {
    const present = ledger.tasks.get(task.task_id)
    if (present !== null && !isSame(present, task)) throw conflict(task.task_id)
    return present
  }

  return async (asked, actor) => {
    const tasks = asked.map((task) => ({
      ...task,
      workspace_dir: task.workspace_dir ?? parts.defaultWorkspace,
    }))
    await refuseUnfit(tasks)
    const added = tasks.filter((task) => presentAs(task) === null)
    const recorded =
      added.length === 0 ||
      (await parts.recorder.waitFor(await parts.viaRedis(parts.tasks.add(added, actor)), LEDGER_WAIT_MS))
    const inLedger = recorded && added.every((task) => ledger.tasks.get(task.task_id) !== null)
    return {
      success: true,
      durability: inLedger ? 'ledger' : 'redis',
      added: added.length,
      // Compared once more: of two that added the same id at the same time, the recorder took the first.
      tasks: tasks.map(presentAs).filter((task) => task !== null),
    }
  }
}

function refuseRepeatedIds(tasks: readonly NewTask[]): void {
  const seen = new Set<string>()
  const issues = tasks.flatMap(({ task_id }, index) => {
    const repeated = seen.has(task_id)
    seen.add(task_id)
    return repeated
      ? [{ path: `tasks.${index}.task_id`, message: `"${task_id}" is there a second time` }]
      : []
  })
  if (issues.length > 0) throw invalidRequest(issues)
}

function isSame(present: TaskView, task: NewTask): boolean {
  const dependsOn = new Set(task.depends_on ?? [])
  return (
    present.agent_type === task.agent_type &&
    present.prompt === task.prompt &&
    present.priority === (task.priority ?? DEFAULT_PRIORITY) &&
    present.priority_number === (task.priority_number ?? null) &&
    present.workspace_dir === task.workspace_dir &&
    present.worktree === (task.worktree ?? null) &&
    dependsOn.size === present.depends_on.length &&
    present.depends_on.every((id) => dependsOn.has(id))
  )
}

function conflict(taskId: string): DroverError {
  return new DroverError(
    'idempotency_conflict',
    `The task ${taskId} is there already, and not the same. Give the new one another id.`,
    { task_id: taskId },
  )
}
