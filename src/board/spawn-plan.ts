/**
 * What a `POST /sessions` asks for, worked out against the ledger: the request as it will be recorded, the session's
 * id, and the tasks that it waits for.
 *
 * A session with a task has the id of that task's run, so that whoever dispatches it (this request, `ensureJobs`, a
 * repeat) makes the same session.
 */
import { DroverError, invalidRequest } from '../core/errors.ts'
import { newId, sessionIdOfKey, sessionIdOfTask, sha256 } from '../core/ids.ts'
import { digestOfWork, type TakenOut } from '../core/redacted.ts'
import type { SpawnBody, SpawnRequest } from '../core/request.ts'
import type { LedgerReader, TaskView } from '../ledger/ledger.ts'
import { withPrompt } from '../producer/with-prompt.ts'
import { requestOfTask } from '../producer/tasks.ts'
import type { AgentTypeSummary } from '../core/type-view.ts'
import { findCycle } from './cycle.ts'
import { earlierAcceptance } from './earlier.ts'
import { requireTask } from './known.ts'

export interface SpawnPlan {
  readonly request: SpawnRequest
  /** Derived from the task or the idempotency key; null: a fresh one. */
  readonly sessionId: string | null
  /** Tasks that are not completed. */
  readonly waitingFor: readonly string[]
  /** The session whose agent added its task; null without one. */
  readonly createdBy: string | null
  /** What was taken out of the task that the prompt is of, and the prompt with it; null for nothing. */
  readonly before: TakenOut | null
  /** Its task is made of its acceptance. */
  readonly makesTask: boolean
}

export interface PlanParts {
  readonly ledger: LedgerReader
  readonly namespace: string
  /** For requests and tasks that name none. */
  readonly defaultWorkspace: string
}

/** The members of the body that say what to run. */
export type AskedSession = Omit<SpawnBody, 'wait' | 'on_busy'>

/**
 * @param type of the request, where it names a template
 * @param takenOut of the request's task, where it names one
 * @throws DroverError `invalid_request`, `task_not_found`, `task_not_ready`, `dependency_cycle`
 */
export function planSpawn(
  parts: PlanParts,
  asked: AskedSession,
  idempotencyKey: string | null,
  type: AgentTypeSummary | null,
  takenOut: TakenOut | null,
): SpawnPlan {
  const given = withoutNulls(asked)
  if (given.task_id != null) {
    return planForTask(parts, { ...given, task_id: given.task_id }, idempotencyKey, type, takenOut)
  }
  if ((given.depends_on ?? []).length > 0) return planWithNewTask(parts, given, idempotencyKey, type)
  const { depends_on: _none, ...request } = given
  return {
    request: withPrompt({ ...request, workspace_dir: workspaceOf(parts, given) }, type),
    sessionId: idempotencyKey === null ? null : sessionIdOfKey(parts.namespace, idempotencyKey),
    waitingFor: [],
    createdBy: null,
    before: null,
    makesTask: false,
  }
}

/** The task says what the request does not. */
function planForTask(
  parts: PlanParts,
  asked: AskedSession & { readonly task_id: string },
  idempotencyKey: string | null,
  type: AgentTypeSummary | null,
  takenOut: TakenOut | null,
): SpawnPlan {
  const { ledger, namespace } = parts
  const taskId = asked.task_id
  const task = requireTask(ledger, taskId)
  const { prompt: promptAsked, ...others } = asked
  // The prompt that the task was added with is the task's, which is recorded in other words.
  const isTasksOwn = promptAsked !== undefined && isRedactedAs(task, promptAsked, others)
  const given: AskedSession = isTasksOwn ? others : asked
  if (given.agent_type !== task.agent_type) {
    throw invalidRequest([
      { path: 'agent_type', message: `must be ${task.agent_type}, the type of the task ${taskId}` },
    ])
  }
  const sessionId = sessionIdOfTask(namespace, taskId, task.run)
  if (!isOpen(task) && !isRepeat(ledger, sessionId, idempotencyKey)) throw notReady(task)

  const more = (given.depends_on ?? []).filter((id) => !task.depends_on.includes(id))
  const waitingForMore = incomplete(ledger, more)
  refuseCycle(ledger, taskId, more)
  const { depends_on: _asked, ...overrides } = given
  const isOwnPrompt = given.prompt !== undefined || given.template !== undefined || given.vars !== undefined
  const isInherited = given.prompt === undefined
  const requestWith = (prompt: string): SpawnRequest => {
    const workspace = task.workspace_dir ?? parts.defaultWorkspace
    const ofTask = requestOfTask({ ...task, workspace_dir: workspace, prompt })
    const { template: _name, vars: _vars, ...plain } = ofTask
    const request: SpawnRequest = {
      ...(isOwnPrompt ? plain : ofTask),
      ...(overrides as Partial<SpawnRequest> & { readonly agent_type: string }),
      ...(more.length > 0 ? { depends_on: more } : {}),
    }
    return isOwnPrompt
      ? withPrompt(request, type, { isInherited, priorityNumber: task.priority_number })
      : request
  }
  const asGiven = (isTasksOwn ? promptAsked : takenOut?.prompt) ?? null
  return {
    // As it is recorded: what it is told by stays the same, also where Redis has lost the prompt as it was given.
    request: requestWith(task.prompt),
    before:
      takenOut === null || !isInherited
        ? null
        : { ...takenOut, prompt: asGiven === null ? null : requestWith(asGiven).prompt },
    sessionId,
    waitingFor: [...new Set([...task.waiting_for, ...waitingForMore])],
    createdBy: task.created_by,
    makesTask: false,
  }
}

/** Whether a prompt is the one that the task was given, where something was taken out of what is recorded of that. */
function isRedactedAs(
  { redacted, template }: TaskView,
  prompt: string,
  others: Pick<AskedSession, 'template' | 'vars'>,
): boolean {
  if (redacted === null || template !== null || others.template !== undefined || others.vars !== undefined) {
    return false
  }
  return redacted.digest === digestOfWork({ prompt })
}

/** Only tasks can wait for tasks: the session gets one. The recorder makes it of the accepted event. */
function planWithNewTask(
  parts: PlanParts,
  given: AskedSession,
  idempotencyKey: string | null,
  type: AgentTypeSummary | null,
): SpawnPlan {
  const { ledger, namespace } = parts
  const dependsOn = [...new Set(given.depends_on ?? [])]
  const waitingFor = incomplete(ledger, dependsOn)
  const taskId = newTaskId(namespace, idempotencyKey)
  const workspace = workspaceOf(parts, given)
  return {
    request: withPrompt({ ...given, workspace_dir: workspace, task_id: taskId, depends_on: dependsOn }, type),
    sessionId: sessionIdOfTask(namespace, taskId, 0),
    waitingFor,
    createdBy: null,
    before: null,
    makesTask: true,
  }
}

function withoutNulls(asked: AskedSession): AskedSession {
  const entries = Object.entries(asked).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(entries) as AskedSession
}

function workspaceOf(parts: PlanParts, given: AskedSession): string {
  return given.workspace_dir ?? parts.defaultWorkspace
}

const isOpen = (task: TaskView): boolean => task.status === 'pending' || task.status === 'spawned'

/** The answer to this very request was lost: it is given again, whatever became of the task. */
function isRepeat(ledger: LedgerReader, sessionId: string, idempotencyKey: string | null): boolean {
  if (idempotencyKey === null) return false
  return earlierAcceptance(ledger, sessionId)?.idempotency_key === idempotencyKey
}

function notReady(task: TaskView): DroverError {
  const { task_id, status, session_id } = task
  return new DroverError(
    'task_not_ready',
    `The task ${task_id} is ${status}; only a task that is pending or spawned can be given a session.`,
    { task_id, status, session_id },
  )
}

function incomplete(ledger: LedgerReader, taskIds: readonly string[]): readonly string[] {
  return taskIds.filter((id) => requireTask(ledger, id).status !== 'completed')
}

function refuseCycle(ledger: LedgerReader, taskId: string, more: readonly string[]): void {
  const cycle = findCycle(more.length > 0 ? [taskId] : [], (id) => {
    const recorded = ledger.tasks.get(id)?.depends_on ?? []
    return id === taskId ? [...recorded, ...more] : recorded
  })
  if (cycle !== null) throw dependencyCycle(cycle)
}

/** The refusal of tasks that wait for one another, which names them in the order of the circle. */
export function dependencyCycle(cycle: readonly string[]): DroverError {
  return new DroverError(
    'dependency_cycle',
    `These tasks wait for one another: ${cycle.join(' → ')}. Take one of the dependencies away.`,
    { cycle },
  )
}

/** The sessions that a key may have made: of a request without tasks, and of one that was given a task. */
export function sessionIdsOfKey(namespace: string, idempotencyKey: string): readonly string[] {
  const minted = newTaskId(namespace, idempotencyKey)
  return [sessionIdOfKey(namespace, idempotencyKey), sessionIdOfTask(namespace, minted, 0)]
}

/** 48 bits, so that a million minted tasks stay apart; the same key mints the same id. */
function newTaskId(namespace: string, idempotencyKey: string | null): string {
  const digits =
    idempotencyKey === null ? newId().replaceAll('-', '') : sha256(`${namespace}\n${idempotencyKey}`)
  return `task-${digits.slice(0, 12)}`
}
