/** What callers ask for, as schemas: one truth for CLI, HTTP, TypeScript and the tasks file. */
import { z } from 'zod'
import { invalidRequest, type Issue } from './errors.ts'
import { AGENT_TYPE_PATTERN, digestOf, ORCHESTRATOR_ID_PATTERN, TASK_ID_PATTERN } from './ids.ts'

/** The CLI refuses more on its standard input ("piped stdin input exceeds 10MB", measured). */
export const PROMPT_LIMIT_BYTES = 10 * 1024 * 1024
/** 1 runs first. BullMQ's own 0 would overtake everything and is never used. */
export const HIGHEST_PRIORITY = 1
export const LOWEST_PRIORITY = 2_097_151
export const DEFAULT_PRIORITY = 1000
/** Longest whole life of a session: 30 days. */
const MAX_TIMEOUT_SECONDS = 30 * 24 * 3600

/** `C:\\Projects`, `C:/Projects`, `\\\\server\\share`: as the second source document writes them. */
const WINDOWS_PATH = /^(?:[A-Za-z]:|\\\\)/

const REQUIRED_TEXT = { error: 'is required, as text' }
const agentType = z
  .string(REQUIRED_TEXT)
  .regex(
    AGENT_TYPE_PATTERN,
    'must be a lower-case name such as "code_developer" (a-z, 0-9, _ and -, at most 64)',
  )
const taskId = z
  .string(REQUIRED_TEXT)
  .regex(
    TASK_ID_PATTERN,
    'must be an id such as "TASK-31-1" (letters, digits, . _ -, at most 128, not only digits)',
  )
const prompt = z
  .string(REQUIRED_TEXT)
  .refine((text) => text.trim().length > 0, 'must not be empty')
  .refine(
    (text) => Buffer.byteLength(text) <= PROMPT_LIMIT_BYTES,
    'must be at most 10 MB (the CLI takes no more); put long material into a file of the workspace',
  )
const workspaceDir = z
  .string(REQUIRED_TEXT)
  .min(1, 'must not be empty')
  .max(4096)
  .refine((path) => !path.includes('\0'), 'must not contain a NUL character')
  .refine((path) => path.startsWith('/'), {
    error: ({ input }) =>
      WINDOWS_PATH.test(String(input))
        ? 'is a Windows path; pods run on Linux: give the directory as it is called there, such as /srv/claude-family'
        : 'must be an absolute path',
  })
export function whole(min: number, max: number): z.ZodInt {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, error).max(max, error)
}
const priority = whole(HIGHEST_PRIORITY, LOWEST_PRIORITY)

const TEMPLATE_VARS_LIMIT = 100
const template = z
  .string({ error: 'must be the name of a template' })
  .regex(AGENT_TYPE_PATTERN, 'must be the name of a template, such as "bug_fix"')
/** What a template is rendered with. Numbers are written in digits. */
export const templateVarsSchema = z
  .record(
    z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be a name such as "issue" (a-z, 0-9 and _, at most 64)'),
    z.union([z.string(), z.number()], { error: 'must be text or a number' }),
    { error: 'must be an object of names and values' },
  )
  .refine(
    (vars) => Object.keys(vars).length <= TEMPLATE_VARS_LIMIT,
    `must have at most ${TEMPLATE_VARS_LIMIT} members`,
  )
export type TemplateVars = Readonly<Record<string, string | number>>

/** The same key is the same request. It has to fit into a header. */
export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/, 'must be 1 to 200 printable characters')

/** Members of a request, for other schemas that take the same ones. */
export const REQUEST_FIELDS = {
  agentType,
  prompt,
  taskId,
  workspaceDir,
  timeoutSeconds: whole(1, MAX_TIMEOUT_SECONDS),
} as const

/** The request of a session: body of `POST /sessions`, and what `drover.session.accepted` keeps. */
export const spawnRequestSchema = z.strictObject({
  agent_type: agentType,
  prompt,
  task_id: taskId.nullish(),
  orchestrator_id: z
    .string()
    .regex(ORCHESTRATOR_ID_PATTERN, 'must be printable, at most 128 characters')
    .nullish(),
  workspace_dir: workspaceDir,
  /** Bounds the session as a whole, restarts included. The spec's `timeout` where it is not given. */
  timeout_seconds: whole(1, MAX_TIMEOUT_SECONDS).nullish(),
  auto_restart: z.boolean().nullish(),
  priority: priority.nullish(),
  depends_on: z.array(taskId).max(1000).nullish(),
  /** In a git worktree of its own, of the repository of `workspace_dir`. The spec's `workspace` where it is not given. */
  worktree: z.boolean().nullish(),
  /** One of the agent type's. The prompt is then its `{{task}}`; what is recorded is the rendered prompt. */
  template: template.nullish(),
  vars: templateVarsSchema.nullish(),
})
export type SpawnRequest = z.infer<typeof spawnRequestSchema>

/**
 * A digest of what a request asks for. A prompt that was made of a template counts as that template and its variables,
 * so that a request can be repeated also after the template has changed.
 */
export function requestDigest(request: SpawnRequest): string {
  return digestOf(request.template == null ? request : { ...request, prompt: undefined })
}

export const WAITS = ['accepted', 'started', 'completed'] as const
export type Wait = (typeof WAITS)[number]
export const ON_BUSY = ['queue', 'fail'] as const
export type OnBusy = (typeof ON_BUSY)[number]

/** What costs are grouped by. */
export const COST_BY = ['agent_type', 'day', 'task', 'session', 'tree', 'model'] as const
export type CostBy = (typeof COST_BY)[number]

/** Without a prompt there must be a template. Said beside everything else that is wrong. */
const PROMPT_OR_TEMPLATE = {
  path: ['prompt'],
  message: 'is required, as text (or name a template)',
  // What is no object at all is another problem.
  when: ({ value }: { readonly value: unknown }): boolean => typeof value === 'object' && value !== null,
}
function saysWhatToDo({ prompt: text, template: name }: PromptSource): boolean {
  return text != null || name != null
}
interface PromptSource {
  readonly prompt?: string | null | undefined
  readonly template?: string | null | undefined
}

const spawnBody = spawnRequestSchema.extend({
  wait: z.enum(WAITS).default('accepted'),
  on_busy: z.enum(ON_BUSY).default('queue'),
})
/** A request and how to answer it. */
export const wholeSpawnBodySchema = spawnBody
  .partial({ prompt: true })
  .refine(saysWhatToDo, PROMPT_OR_TEMPLATE)
/** The body of `POST /sessions`: prompt and workspace may come from the task, the workspace from the board. */
export const spawnBodySchema = spawnBody.partial({ prompt: true, workspace_dir: true })
export type SpawnBody = z.infer<typeof spawnBodySchema>

const GRACE_LIMIT_SECONDS = 3600
const reason = z
  .string()
  .refine((text) => text.trim().length > 0, 'must not be empty')
  .refine((text) => text.length <= 500, 'must be at most 500 characters')

/** The body of `POST /sessions/:id/kill`, and of `POST /tasks/:id/cancel`. */
export const killBodySchema = z.strictObject({
  /** Between SIGTERM and SIGKILL. The pod's `session.kill_grace_ms` where it is not given. */
  grace_seconds: z
    .number({ error: `must be a number of seconds from 0 to ${GRACE_LIMIT_SECONDS}` })
    .min(0, `must be from 0 to ${GRACE_LIMIT_SECONDS} seconds`)
    .max(GRACE_LIMIT_SECONDS, `must be from 0 to ${GRACE_LIMIT_SECONDS} seconds`)
    .nullish(),
  /** SIGKILL at once. */
  force: z.boolean().nullish(),
  reason: reason.nullish(),
})
export type KillBody = z.infer<typeof killBodySchema>

/** The body of `POST /sessions/:id/restart`. */
export const restartBodySchema = z.strictObject({ force: z.boolean().nullish() })
export type RestartBody = z.infer<typeof restartBodySchema>

/** The body of `POST /sessions/restart-failed`. */
export const restartFailedBodySchema = z.strictObject({
  /** Sessions created since; the last 24 hours where it is not given. */
  since: z.string().nullish(),
})
export type RestartFailedBody = z.infer<typeof restartFailedBodySchema>

/** Most tasks that one may wait for. */
export const DEPENDENCIES_LIMIT = 1000
const priorityNumber = whole(0, LOWEST_PRIORITY)

export const taskSchema = z
  .strictObject({
    task_id: taskId,
    agent_type: agentType,
    /** With a template its `{{task}}`. */
    prompt: prompt.nullish(),
    /** `priorityOfTask` where it is not given. */
    priority: priority.nullish(),
    /** Its place in the roadmap. */
    priority_number: priorityNumber.nullish(),
    workspace_dir: workspaceDir.nullish(),
    depends_on: z.array(taskId).max(DEPENDENCIES_LIMIT).nullish(),
    /** As a session's. */
    worktree: z.boolean().nullish(),
    template: template.nullish(),
    vars: templateVarsSchema.nullish(),
  })
  .refine(saysWhatToDo, PROMPT_OR_TEMPLATE)
export type TaskRequest = z.infer<typeof taskSchema>

/** What a place in the roadmap is called. */
export const roadmapPrioritySchema = z.strictObject({
  priority_number: priorityNumber,
  title: z
    .string(REQUIRED_TEXT)
    .trim()
    .min(1, 'must not be empty')
    .max(500, 'must be at most 500 characters')
    .regex(/^\P{Cc}*$/u, 'must be one line, without control characters'),
  /** Counts as long as no task has that number: then it is as they say. */
  status: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,31}$/, 'must be a word such as "planned" (a-z, 0-9, _ and -, at most 32)')
    .nullish(),
})
export type RoadmapPriorityRequest = z.infer<typeof roadmapPrioritySchema>

/** `tasks.yaml` and the body of `POST /tasks`. */
export const tasksFileSchema = z.strictObject({
  tasks: z.array(taskSchema).min(1).max(10_000),
  priorities: z.array(roadmapPrioritySchema).max(10_000).nullish(),
})
export type TasksFile = z.infer<typeof tasksFileSchema>

/** The body of `POST /tasks/:id/retry`: there is nothing to say. */
export const retryTaskBodySchema = z.strictObject({})

/** The body of `POST /tasks/:id/dependencies`. */
export const dependenciesBodySchema = z.strictObject({
  depends_on: z
    .array(taskId, { error: 'must be a list of task ids' })
    .min(1, 'must name a task')
    .max(DEPENDENCIES_LIMIT, `must have at most ${DEPENDENCIES_LIMIT} entries`),
})
export type DependenciesBody = z.infer<typeof dependenciesBodySchema>

/** Without a priority of its own a task has that of its place in the roadmap: priority 3 runs before priority 12. */
export function priorityOfTask({ priority, priority_number }: TaskPlace): number {
  return priority ?? Math.max(HIGHEST_PRIORITY, priority_number ?? DEFAULT_PRIORITY)
}

interface TaskPlace {
  readonly priority?: number | null | undefined
  readonly priority_number?: number | null | undefined
}

/** Parses with a schema, or throws `invalid_request` with every problem at once. */
export function parseRequest<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalidRequest(issuesOf(parsed.error))
}

export function issuesOf(error: z.ZodError): Issue[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'unknown member' }))
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => ({
        path: issue.path.join('.'),
        message: `has a name that ${message}`,
      }))
    }
    return [{ path: issue.path.join('.'), message: inOurWords(issue) }]
  })
}

/** Zod's own sentences speak of types and arrays. Whatever a schema says itself stays. */
function inOurWords(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')) {
    const missing = issue.message.endsWith('received undefined')
    return missing ? 'is required' : (TYPE_NAMES[issue.expected] ?? issue.message)
  }
  if (issue.code === 'invalid_value' && issue.message.startsWith('Invalid ')) {
    return `must be one of ${issue.values.join(', ')}`
  }
  if (issue.code === 'too_small' && issue.message.startsWith('Too small')) {
    return issue.origin === 'array' || issue.origin === 'string'
      ? 'must not be empty'
      : `must be at least ${issue.minimum}`
  }
  if (issue.code === 'too_big' && issue.message.startsWith('Too big')) {
    const unit = { array: ' entries', string: ' characters' }[issue.origin as string] ?? ''
    return `must ${unit === '' ? 'be' : 'have'} at most ${issue.maximum}${unit}`
  }
  return issue.message
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  boolean: 'must be true or false',
  string: 'must be text',
  object: 'must be a JSON object',
  array: 'must be a list',
}
