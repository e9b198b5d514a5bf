/** `POST /tasks`: all of a file or nothing. */
import type { Actor } from '../core/envelope.ts'
import { DroverError, invalidRequest, isDroverError, type Issue } from '../core/errors.ts'
import { digestOf } from '../core/ids.ts'
import { refuseTooDeep, tooManyChildren, type LineageLimits } from '../core/lineage.ts'
import { priorityOfTask, type TaskRequest, type TasksFile } from '../core/request.ts'
import type { AddedTasks } from '../core/task-view.ts'
import type { LedgerReader, TaskView } from '../ledger/ledger.ts'
import { chainOf } from '../producer/lineage.ts'
import type { NewTask, Tasks } from '../producer/tasks.ts'
import { withPrompt } from '../producer/with-prompt.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'
import type { AgentTypeRegistry } from '../queue/agent-types.ts'
import type { CountChildren } from '../queue/children.ts'
import type { SessionStore } from '../queue/session-store.ts'
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
  readonly store: Pick<SessionStore, 'read'>
  readonly lineage: LineageLimits
  readonly countChildren: CountChildren
  readonly types: AgentTypeRegistry
  readonly recorder: Pick<Recorder, 'waitFor'>
  readonly viaRedis: ViaRedis
}

type Located = TaskRequest & { readonly workspace_dir: string }

/** Who adds them, and the session whose agent that is. */
export interface AddedBy {
  readonly actor: Actor
  readonly createdBy: string | null
}

export type AddTasks = (asked: TasksFile, by: AddedBy) => Promise<AddedTasks>

/**
 * @returns a function that throws `invalid_request`, `agent_type_not_found`, `task_not_found`, `dependency_cycle`,
 *   `idempotency_conflict` or `lineage_limit` before anything is added
 */
export function createAddTasks(parts: AddTasksParts): AddTasks {
  const { ledger } = parts

  async function refuseUnfit(tasks: readonly Located[]): Promise<void> {
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

  /** The prompts that templates make. All that is wrong with them is said at once. */
  async function withPrompts(tasks: readonly Located[]): Promise<NewTask[]> {
    const names = tasks.flatMap(({ template, agent_type }) => (template == null ? [] : [agent_type]))
    const types = new Map<string, AgentTypeSummary>()
    for (const name of new Set(names)) types.set(name, await parts.viaRedis(parts.types.current(name)))
    const issues: Issue[] = []
    const prompted = tasks.map((task, index): NewTask => {
      const { prompt: _given, ...others } = task
      try {
        const { prompt, vars } = withPrompt(requestOf(task), types.get(task.agent_type) ?? null, {
          isInherited: false,
          priorityNumber: task.priority_number ?? null,
        })
        return { ...others, prompt, vars }
      } catch (error) {
        if (!isDroverError(error) || error.code !== 'invalid_request') throw error
        issues.push(...issuesOfTask(index, error))
        return { ...others, prompt: '' }
      }
    })
    if (issues.length > 0) throw invalidRequest(issues)
    return prompted
  }

  /** A task is a session that its agent causes: bounded as if it had asked for that. */
  async function countAsChildren(sessionId: string, [first, ...others]: readonly NewTask[]): Promise<void> {
    if (first === undefined) return
    const { maxDepth, maxChildren } = parts.lineage
    refuseTooDeep(await chainOf(parts.store, sessionId, maxDepth), first.agent_type, parts.lineage)
    if (!(await parts.countChildren(sessionId, 1 + others.length, maxChildren)))
      throw tooManyChildren(sessionId, maxChildren)
  }

  return async ({ tasks: asked, priorities }, by) => {
    const located = asked.map((task) => ({
      ...task,
      workspace_dir: task.workspace_dir ?? parts.defaultWorkspace,
    }))
    await refuseUnfit(located)
    const tasks = await withPrompts(located)
    const added = tasks.filter((task) => presentAs(task) === null)
    const named = priorities ?? []
    if (by.createdBy !== null) await parts.viaRedis(countAsChildren(by.createdBy, added))
    const recorded =
      added.length + named.length === 0 ||
      (await parts.recorder.waitFor(await parts.viaRedis(parts.tasks.add(added, named, by)), LEDGER_WAIT_MS))
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

function requestOf(task: Located): Parameters<typeof withPrompt>[0] {
  const { prompt, agent_type, task_id, workspace_dir, template, vars } = task
  return { agent_type, task_id, workspace_dir, template, vars, ...(prompt == null ? {} : { prompt }) }
}

function issuesOfTask(index: number, { details }: DroverError): Issue[] {
  const issues = details['issues'] as readonly Issue[]
  return issues.map(({ path, message }) => ({ path: `tasks.${index}.${path}`, message }))
}

function refuseRepeatedIds(tasks: readonly Located[]): void {
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
    hasSamePrompt(present, task) &&
    present.priority === priorityOfTask(task) &&
    present.priority_number === (task.priority_number ?? null) &&
    present.workspace_dir === task.workspace_dir &&
    present.worktree === (task.worktree ?? null) &&
    dependsOn.size === present.depends_on.length &&
    present.depends_on.every((id) => dependsOn.has(id))
  )
}

/** Made of the same template and variables it counts as the same, also after the template has changed. */
function hasSamePrompt(present: TaskView, { template = null, vars, prompt }: NewTask): boolean {
  if (present.template !== template) return false
  return template === null ? present.prompt === prompt : digestOf(present.vars) === digestOf(vars)
}

function conflict(taskId: string): DroverError {
  return new DroverError(
    'idempotency_conflict',
    `The task ${taskId} is there already, and not the same. Give the new one another id.`,
    { task_id: taskId },
  )
}
