/** `tasks.yaml`: read, checked, every problem with its line. */
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument, type Document } from 'yaml'
import { refuse } from '../config/problems.ts'
import { readTextFile } from '../config/text-file.ts'
import { offsetOf } from '../config/yaml-position.ts'
import { DroverError, isDroverError, messageOf, type Issue } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { issuesOf, tasksFileSchema, type RoadmapPriorityRequest, type TaskRequest } from '../core/request.ts'

/** Bytes; the board takes no larger request. */
const MAX_BYTES = 10 * 1024 * 1024

/** A file without problems. */
export interface TasksFile {
  /** With absolute workspaces. */
  readonly tasks: readonly TaskRequest[]
  /** What places in the roadmap are called. */
  readonly priorities: readonly RoadmapPriorityRequest[]
  /** `invalid_request` for problems that are found later; `path` as in `tasks.3.workspace_dir`. */
  refused(problems: readonly Problem[]): Error
  /** What the board found wrong with them, with the lines of the file; any other error as it is. */
  located(error: unknown): unknown
}

/** One problem of the file. `problem` follows the name of the key: "is there a second time". */
export interface Problem {
  /** `['tasks', 3, 'prompt']` */
  readonly path: readonly (string | number)[]
  readonly problem: string
}

/**
 * Reads the file. A relative `workspace_dir` counts from the file's directory; a task without one gets `cwd`.
 *
 * @param file absolute
 * @throws DroverError `invalid_request` with all problems, each with file and line
 */
export function readTasksFile(file: string, cwd: string): TasksFile {
  const read = readTextFile(file, MAX_BYTES)
  if (!read.ok) throw refuse('The tasks were refused', [{ path: '', message: `${file} ${read.problem}` }])

  const counter = new LineCounter()
  const document = parseDocument(read.text, { lineCounter: counter })
  const refusedAt = (problems: readonly (Problem & { readonly line: number })[]): DroverError =>
    refuse(
      'The tasks were refused',
      problems
        .toSorted((a, b) => a.line - b.line)
        .map(({ line, path, problem }) => {
          const key = path.join('.')
          // A problem is what follows the key, or a sentence of its own.
          const joint = /^\p{Lu}/u.test(problem) ? ': ' : ' '
          return { path: key, message: `${file}:${line}: ${key === '' ? '' : `${key}${joint}`}${problem}` }
        }),
    )
  const refused = (problems: readonly Problem[]): DroverError =>
    refusedAt(problems.map((one) => ({ ...one, line: counter.linePos(offsetOf(one.path, document)).line })))

  if (document.errors.length > 0) {
    throw refusedAt(
      document.errors.map(({ pos, message }) => {
        // The parser's message ends with a position of its own and shows the line.
        const reason = message.replace(/ at line \d+, column \d+:.*/s, '')
        return { line: counter.linePos(pos[0]).line, path: [], problem: `is not valid YAML: ${reason}` }
      }),
    )
  }
  const located = (error: unknown): unknown => {
    const issues = isDroverError(error) ? error.details['issues'] : null
    if (!isDroverError(error) || !Array.isArray(issues)) return error
    const { message, details } = refused(
      (issues as Issue[]).map(({ path, message: problem }) => ({ path: path.split('.'), problem })),
    )
    return new DroverError(error.code, message, { ...error.details, ...details })
  }
  const value = valueOf(document, refused)
  const problems = [...settleWorkspaces(value, dirname(file), cwd), ...repeatedIds(value)]
  const parsed = tasksFileSchema.safeParse(value)
  if (parsed.success && problems.length === 0) {
    return { tasks: parsed.data.tasks, priorities: parsed.data.priorities ?? [], refused, located }
  }
  const ofSchema = parsed.success ? [] : issuesOf(parsed.error)
  throw refused([
    ...problems,
    ...ofSchema.map(({ path, message }) => ({ path: path === '' ? [] : path.split('.'), problem: message })),
  ])
}

/** An alias without an anchor, or a billion of them, shows only here. */
function valueOf(document: Document, refused: TasksFile['refused']): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw refused([{ path: [], problem: `is not valid YAML: ${messageOf(error)}` }])
  }
}

/** Makes the workspaces absolute, in place: the request's schema takes nothing else. */
function settleWorkspaces(value: unknown, directory: string, cwd: string): Problem[] {
  return tasksOf(value).flatMap((task, index): Problem[] => {
    const given = task['workspace_dir'] ?? null
    if (given === null) task['workspace_dir'] = cwd
    if (typeof given !== 'string' || given === '') return []
    task['workspace_dir'] = resolve(directory, given)
    if (!given.startsWith('~')) return []
    const problem = 'must not begin with "~", which is not expanded: write the directory out'
    return [{ path: ['tasks', index, 'workspace_dir'], problem }]
  })
}

function repeatedIds(value: unknown): Problem[] {
  const seen = new Set<unknown>()
  return tasksOf(value).flatMap(({ task_id: id }, index): Problem[] => {
    const repeated = id !== undefined && seen.has(id)
    seen.add(id)
    return repeated ? [{ path: ['tasks', index, 'task_id'], problem: 'is there a second time' }] : []
  })
}

function tasksOf(value: unknown): Record<string, unknown>[] {
  const tasks: unknown = isJsonObject(value) ? value['tasks'] : null
  // What is no object is the schema's to say; it keeps its place, so that the indexes stay right.
  return Array.isArray(tasks) ? tasks.map((task: unknown) => (isJsonObject(task) ? task : {})) : []
}
