/** `POST /tasks`: all of a file or nothing. */
import type { Actor } from '../core/envelope.ts'
import { DroverError, invalidRequest } from '../core/errors.ts'
import { digestOf } from '../core/ids.ts'
import { digestOfWork } from '../core/redacted.ts'
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
import { createTaskProblems, type TaskProblems } from './task-problems.ts'
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

  /**
   * Types and tasks that there are not, and circles. A name is said once, where it is first.
   *
   * @returns the agent types that there are
   */
  async function noteUnfit(tasks: readonly Located[], problems: TaskProblems): Promise<ReadonlySet<string>> {
    const known = new Set<string>()
    const named = new Set<string>()
    const inFile = new Map(tasks.map((task) => [task.task_id, task.depends_on ?? []]))
    noteRepeatedIds(tasks, problems)
    for (const [index, { agent_type: type }] of tasks.entries()) {
      const ofType = { index, member: 'agent_type' }
      const require = async (): Promise<AgentTypeSummary> => await parts.viaRedis(parts.types.require(type))
      if (!named.has(type) && (await problems.gather(ofType, ['agent_type_not_found'], require)) !== null) {
        known.add(type)
      }
      named.add(type)
    }
    const others = new Set<string>()
    for (const [index, { depends_on: dependsOn }] of tasks.entries()) {
      for (const [at, id] of (dependsOn ?? []).entries()) {
        if (inFile.has(id) || others.has(id)) continue
        others.add(id)
        const ofTask = { index, member: `depends_on.${at}` }
        await problems.gather(ofTask, ['task_not_found'], () => requireTask(ledger, id, [...inFile.keys()]))
      }
    }
    const cycle = findCycle(inFile.keys(), (id) => inFile.get(id) ?? ledger.tasks.get(id)?.depends_on ?? [])
    if (cycle !== null) {
      const first = tasks.findIndex(({ task_id: id }) => cycle.includes(id))
      problems.note(first, 'depends_on', dependencyCycle(cycle))
    }
    return known
  }

  /** The ledger's task of that id, which must be the same. */
  function presentAs(task: NewTask): TaskView | null {
    const present = ledger.tasks.get(task.task_id)
    if (present !== null && !isSame(present, task)) throw conflict(task.task_id)
    return present
  }

  /** The prompts that templates make; '' where that cannot be said. */
  async function withPrompts(
    tasks: readonly Located[],
    known: ReadonlySet<string>,
    problems: TaskProblems,
  ): Promise<NewTask[]> {
    const names = tasks.flatMap(({ template, agent_type: name }) => (template == null ? [] : [name]))
    const types = new Map<string, AgentTypeSummary>()
    for (const name of new Set(names)) {
      if (known.has(name)) types.set(name, await parts.viaRedis(parts.types.current(name)))
    }
    return await Promise.all(
      tasks.map(async (task, index): Promise<NewTask> => {
        const { prompt: _given, ...others } = task
        const type = types.get(task.agent_type) ?? null
        // Of a type that is not known its templates are not known either.
        if (task.template != null && type === null) return { ...others, prompt: '' }
        const made = await problems.gather({ index, member: '' }, ['invalid_request'], () =>
          withPrompt(requestOf(task), type, {
            isInherited: false,
            priorityNumber: task.priority_number ?? null,
          }),
        )
        return made === null ? { ...others, prompt: '' } : { ...others, prompt: made.prompt, vars: made.vars }
      }),
    )
  }

  /** A task is a session that its agent causes: bounded as if it had asked for that. */
  async function countAsChildren(sessionId: string, tasks: readonly NewTask[]): Promise<void> {
    const [first] = tasks
    if (first === undefined) return
    const { maxDepth, maxChildren } = parts.lineage
    refuseTooDeep(await chainOf(parts.store, sessionId, maxDepth), first.agent_type, parts.lineage)
    const ids = tasks.map(({ task_id }) => task_id)
    if (!(await parts.countChildren(sessionId, ids, maxChildren))) {
      throw tooManyChildren(sessionId, maxChildren)
    }
  }

  return async ({ tasks: asked, priorities }, by) => {
    const located = asked.map((task) => ({
      ...task,
      workspace_dir: task.workspace_dir ?? parts.defaultWorkspace,
    }))
    const problems = createTaskProblems()
    const tasks = await withPrompts(located, await noteUnfit(located, problems), problems)
    for (const [index, task] of tasks.entries()) {
      const place = { index, member: '' }
      if (!problems.has(index)) {
        await problems.gather(place, ['idempotency_conflict'], () => presentAs(task))
      }
    }
    problems.refuse()
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

function noteRepeatedIds(tasks: readonly Located[], problems: TaskProblems): void {
  const seen = new Set<string>()
  for (const [index, { task_id: id }] of tasks.entries()) {
    const issue = { path: 'task_id', message: `"${id}" is there a second time` }
    if (seen.has(id)) problems.note(index, '', invalidRequest([issue]))
    seen.add(id)
  }
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

/**
 * Made of the same template and variables it counts as the same, also after the template has changed. Where something was
 * taken out of what is recorded, what was given is compared.
 */
function hasSamePrompt(present: TaskView, task: NewTask): boolean {
  const { template = null, vars, prompt } = task
  if (present.template !== template) return false
  if (present.redacted !== null) return present.redacted.digest === digestOfWork(task)
  return template === null ? present.prompt === prompt : digestOf(present.vars) === digestOf(vars)
}

function conflict(taskId: string): DroverError {
  return new DroverError(
    'idempotency_conflict',
    `The task ${taskId} is there already, and not the same. Give the new one another id.`,
    { task_id: taskId },
  )
}
