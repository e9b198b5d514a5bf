import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { DroverError, messageOf } from '../../src/core/errors.ts'
import {
  DEFAULT_PRIORITY,
  HIGHEST_PRIORITY,
  issuesOf,
  LOWEST_PRIORITY,
  parseRequest,
  PROMPT_LIMIT_BYTES,
  spawnBodySchema,
  spawnRequestSchema,
  tasksFileSchema,
  taskSchema,
  wholeSpawnBodySchema,
} from '../../src/core/request.ts'
import { BAD_INPUTS } from './bad-inputs.ts'

const spawn = { agent_type: 'architect', prompt: 'Write the spec.', workspace_dir: '/srv/repo' }

const pathOf = (issue: { path: string }): string => issue.path

/** Paths of what is refused; [] when all is well. */
function refused(schema: z.ZodType, value: unknown): string[] {
  try {
    parseRequest(schema, value)
    return []
  } catch (error) {
    if (!(error instanceof DroverError)) throw error
    return z
      .object({ issues: z.array(z.object({ path: z.string() })) })
      .parse(error.details)
      .issues.map(pathOf)
  }
}

test('a request is taken as it is, and a body gets its defaults', () => {
  expect(parseRequest(spawnRequestSchema, spawn)).toEqual(spawn)
  expect(parseRequest(spawnBodySchema, spawn)).toEqual({ ...spawn, wait: 'accepted', on_busy: 'queue' })
  expect(parseRequest(wholeSpawnBodySchema, { ...spawn, wait: 'completed', on_busy: 'fail' })).toMatchObject({
    wait: 'completed',
    on_busy: 'fail',
  })
})

test('null is as good as absent where a member may be absent', () => {
  const nulls = {
    task_id: null,
    orchestrator_id: null,
    timeout_seconds: null,
    auto_restart: null,
    priority: null,
  }
  expect(parseRequest(spawnRequestSchema, { ...spawn, ...nulls, depends_on: null })).toMatchObject(nulls)
})

test('the body may leave prompt and workspace to the task, the request may not', () => {
  const body = { agent_type: 'architect', task_id: 'TASK-31-1' }
  expect(parseRequest(spawnBodySchema, body)).toMatchObject(body)
  expect(refused(spawnRequestSchema, body)).toEqual(['prompt', 'workspace_dir'])
  expect(refused(wholeSpawnBodySchema, body)).toEqual(['workspace_dir', 'prompt'])
})

test('all problems are told at once, each with its path', () => {
  const value = {
    agent_type: 'Architect',
    prompt: '  ',
    task_id: '42',
    workspace_dir: 'repo',
    timeout_seconds: 0,
    priority: 0,
    depends_on: ['TASK-1', '7'],
    cost: 3,
    state: 'running',
  }
  expect(refused(spawnRequestSchema, value).toSorted()).toEqual(
    [
      'agent_type',
      'prompt',
      'task_id',
      'workspace_dir',
      'timeout_seconds',
      'priority',
      'depends_on.1',
      'cost',
      'state',
    ].toSorted(),
  )
})

test('the refusal is a sentence that names the problems', () => {
  const message = messageFor(() => parseRequest(spawnRequestSchema, { ...spawn, prompt: '', nope: 1 }))
  expect(message).toBe('The request was refused: prompt: must not be empty; nope: unknown member.')
})

test.each([null, undefined, 3, 'text', [], [spawn]])(
  'a request that is no object is refused: %j',
  (value) => {
    expect(messageFor(() => parseRequest(spawnRequestSchema, value))).toMatch(/^The request was refused: /)
  },
)

test('members of the prototype are no members', () => {
  expect(refused(spawnRequestSchema, JSON.parse('{"__proto__": {"agent_type": "architect"}}'))).toContain(
    'agent_type',
  )
})

describe('bounds', () => {
  test.each([
    ['priority', HIGHEST_PRIORITY, true],
    ['priority', LOWEST_PRIORITY, true],
    ['priority', DEFAULT_PRIORITY, true],
    ['priority', 0, false],
    ['priority', LOWEST_PRIORITY + 1, false],
    ['priority', 1.5, false],
    ['priority', '1', false],
    ['priority', Number.NaN, false],
    ['timeout_seconds', 1, true],
    ['timeout_seconds', 30 * 24 * 3600, true],
    ['timeout_seconds', 30 * 24 * 3600 + 1, false],
    ['timeout_seconds', -1, false],
    ['timeout_seconds', Infinity, false],
    ['timeout_seconds', '5m', false],
    ['auto_restart', false, true],
    ['auto_restart', 'false', false],
    ['depends_on', Array.from({ length: 1000 }, (_, index) => `T${index}`), true],
    ['depends_on', Array.from({ length: 1001 }, (_, index) => `T${index}`), false],
  ])('%s %s', (member, value, accepted) => {
    expect(refused(spawnRequestSchema, { ...spawn, [member]: value })).toEqual(accepted ? [] : [member])
  })

  test('a prompt is bounded in bytes, not in characters', () => {
    const euros = '€'.repeat(Math.floor(PROMPT_LIMIT_BYTES / 3))
    expect(refused(spawnRequestSchema, { ...spawn, prompt: euros })).toEqual([])
    expect(refused(spawnRequestSchema, { ...spawn, prompt: `${euros}€` })).toEqual(['prompt'])
  })
})

test.each([
  ['prompt', (text: string) => text.trim() !== '' && Buffer.byteLength(text) <= PROMPT_LIMIT_BYTES],
  ['workspace_dir', (text: string) => text.startsWith('/') && text.length <= 4096 && !text.includes('\0')],
])('of all bad inputs %s takes exactly what its rule allows', (member, allowed) => {
  const wrong = BAD_INPUTS.filter((text) => {
    const taken = refused(spawnRequestSchema, { ...spawn, [member]: text }).length === 0
    return taken !== allowed(text)
  })
  expect(wrong).toEqual([])
})

test('a tasks file has at least one task, and its problems name the task', () => {
  const task = { task_id: 'TASK-31-1', agent_type: 'architect', prompt: 'Go.' }
  expect(parseRequest(taskSchema, { ...task, priority_number: 0, depends_on: [] })).toMatchObject(task)
  expect(parseRequest(tasksFileSchema, { tasks: [task] })).toEqual({ tasks: [task] })
  expect(refused(tasksFileSchema, { tasks: [] })).toEqual(['tasks'])
  expect(refused(tasksFileSchema, { tasks: [task, { ...task, prompt: '' }, { ...task, nope: 1 }] })).toEqual([
    'tasks.1.prompt',
    'tasks.2.nope',
  ])
})

test('a problem of the whole has no path', () => {
  const parsed = z.strictObject({}).safeParse(3)
  expect(parsed.success ? [] : issuesOf(parsed.error).map((issue) => issue.path)).toEqual([''])
})

function messageFor(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return messageOf(error)
  }
  return 'nothing was refused'
}
