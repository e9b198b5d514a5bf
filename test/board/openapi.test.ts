import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { Envelope } from '../../src/core/envelope.ts'
import { EVENT_PAYLOADS } from '../../src/core/event-payloads.ts'
import { failureSchema } from '../../src/core/failure-schema.ts'
import { BAD_INPUTS } from '../core/bad-inputs.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, WORKSPACE, type Answered, type TestBoard } from './open-board.ts'
import { playSession } from './play-session.ts'

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { in: string; name: string; required: boolean; schema: Json }[]
  readonly requestBody?: { readonly content: Record<string, { schema: Json }> }
  readonly responses: Record<string, unknown>
}
type Json = Record<string, unknown>

let redis: TestRedis
let board: TestBoard
let document: {
  readonly openapi: string
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, Json> }
}
/** What a `{id}` of a path stands for, by the path's first word. */
let known: Readonly<Record<string, string>>

beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url)
  document = (await board.get('/api/v1/openapi.json')).body
  const sessionId = await board.spawn()
  const task = { task_id: 'TASK-1', agent_type: 'code_developer', prompt: 'Do it' }
  await board.post('/api/v1/tasks', { tasks: [task] })
  const sent = await board.post('/api/v1/messages', { to: sessionId, text: 'hello' })
  const { print, end, agent } = await playSession(board, sessionId)
  await print({ type: 'system', subtype: 'init' })
  await end()
  await until(
    async () => (await board.get(`/api/v1/sessions/${sessionId}`)).body.session.status === 'completed',
  )
  known = {
    sessions: sessionId,
    agents: agent.agentId,
    tasks: 'TASK-1',
    messages: sent.body.message_id,
    'agent-types': 'architect',
  }
})
afterAll(async () => {
  await board.stop()
  await redis.stop()
})

/** Bodies of those that ask for more than nothing. */
const BODIES: Readonly<Record<string, unknown>> = {
  postSessions: { agent_type: 'architect', prompt: 'Design it', workspace_dir: WORKSPACE },
  postTasks: { tasks: [{ task_id: 'TASK-2', agent_type: 'architect', prompt: 'Do it' }] },
  postMessages: { to: 'operator', text: 'hello' },
  postMessagesBroadcast: { text: 'hello' },
  postMessagesByIdReply: { text: 'hello' },
}

function operations(): { path: string; method: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
}

const idOf = (path: string): string => known[path.split('/').at(3) ?? ''] ?? 'x'
const filled = (path: string, id: string): string => path.replaceAll(/\{\w+\}/g, encodeURIComponent(id))

/** Is it what is said of it, with no member that nobody says? */
function expectDescribed(path: string, method: string, { status, headers, body }: Answered): void {
  const where = `${method} ${path}: ${status} ${JSON.stringify(body).slice(0, 300)}`
  if (headers.get('content-type')?.includes('application/json') !== true)
    return expect(status, where).toBe(200)
  const route = board.board.routes.find(
    (candidate) =>
      candidate.method === method.toUpperCase() && candidate.url.replaceAll(/:(\w+)/g, '{$1}') === path,
  )
  const declared = (route?.schema?.response ?? {}) as Record<string, unknown>
  const schema = status >= 400 && !(status in declared) ? failureSchema : declared[status]
  if (!(schema instanceof z.ZodType)) throw new Error(`${where} is not declared`)
  const parsed = schema.safeParse(body)
  if (!parsed.success) throw new Error(`${where}\n${z.prettifyError(parsed.error)}`)
  expect(parsed.data, where).toEqual(body)
}

async function ask(
  path: string,
  method: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  return method === 'get' ? board.get(path, headers) : board.post(path, body ?? {}, headers)
}

test('the document is OpenAPI 3.1 without a fault', async () => {
  expect(document.openapi).toBe('3.1.0')
  const config = await createConfig({
    extends: ['recommended-strict'],
    rules: {
      'operation-operationId': 'error',
      'no-unused-components': 'error',
      'operation-2xx-response': 'error',
      // A tag's name says it.
      'tag-description': 'off',
    },
  })
  const problems = await lintFromString({ source: JSON.stringify(document), config })
  expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([])
})

test('docs/http-api.md names every route, and no other', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/http-api.md'), 'utf8')
  const named = [...page.matchAll(/`(GET|POST|PUT|DELETE) (\/[^`?]*)[^`]*`/g)].map(
    ([, method, path]) => `${method} ${path}`,
  )
  const there = board.board.routes
    .filter(
      ({ method, url }) => method !== 'HEAD' && !url.startsWith('/assets/') && !url.startsWith('/queues'),
    )
    .map(({ method, url }) => `${method} ${url}`)
  expect([...new Set(named)].filter((name) => name !== 'GET /queues/').toSorted()).toEqual(there.toSorted())
})

test('every route under /api/v1 is in the document', () => {
  const there = board.board.routes
    .filter(({ method, url }) => method !== 'HEAD' && url.startsWith('/api/'))
    .map(({ method, url }) => `${method.toLowerCase()} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
  const described = operations().map(({ method, path }) => `${method} ${path}`)
  expect(described).toEqual(expect.arrayContaining(there))
})

test('every route answers what the document says, asked rightly', async () => {
  for (const { path, method, operation } of operations()) {
    const answer = await ask(filled(path, idOf(path)), method, BODIES[operation.operationId])
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(500)
    expectDescribed(path, method, answer)
  }
})

test('and for what is not there', async () => {
  for (const { path, method, operation } of operations().filter(({ path }) => path.includes('{'))) {
    const answer = await ask(filled(path, 'no-such-thing'), method, BODIES[operation.operationId])
    expect(answer.status, `${method} ${path}`).toBeGreaterThanOrEqual(400)
    expectDescribed(path, method, answer)
  }
})

const HOSTILE = [
  ...BAD_INPUTS.filter((bad) => bad.length < 20_000),
  '%00',
  '-1',
  'NaN',
  '1e309',
  '$(id)',
  '--help',
  '/'.repeat(5000),
  'x'.repeat(20_000),
]
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.constantFrom(...HOSTILE))
const anything = fc.oneof(
  text,
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER + 1, [], {}, [[]], [null]),
  fc.json({ maxDepth: 3 }).map((json): unknown => JSON.parse(json)),
  fc.constant(JSON.parse('{"__proto__": {"admin": true}, "constructor": {"prototype": {}}}') as unknown),
)

test(
  'whatever is asked of a route, it is answered by a document and never by a fault',
  { timeout: 60_000 },
  async () => {
    for (const { path, method, operation } of operations()) {
      const parameters = operation.parameters ?? []
      const queries = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
      const members = Object.keys((bodySchemaOf(operation)?.['properties'] as object | undefined) ?? {})
      const body = fc.oneof(
        anything,
        fc
          .tuple(fc.dictionary(fc.constantFrom('x', ...members), anything, { maxKeys: 3 }), fc.boolean())
          .map(([wrong, isNear]) =>
            isNear ? { ...(BODIES[operation.operationId] as object), ...wrong } : wrong,
          ),
      )
      const query = fc.array(fc.tuple(fc.constantFrom('x', 'limit', ...queries), text), { maxLength: 3 })
      const id = fc.oneof(fc.constant(idOf(path)), text)
      const asked = fc.record({
        id,
        query,
        body,
        key: fc.option(fc.string({ unit: 'grapheme-ascii', minLength: 1 })),
      })
      await fc.assert(
        fc.asyncProperty(asked, async (given) => {
          const pairs = given.query.map(([name, value]): [string, string] => [name, value.toWellFormed()])
          const search = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`
          const headers =
            given.key === null ? {} : { 'idempotency-key': given.key, 'drover-session': given.key }
          const answer = await ask(
            filled(path, given.id.toWellFormed()) + search,
            method,
            given.body,
            headers,
          )
          const said = JSON.stringify(answer.body)
          expect(answer.status, said).toBeLessThan(500)
          if (answer.status < 400) return
          expect(said).not.toMatch(/node_modules|\.ts:\d|\bat \w+ \(/)
          expect(failureSchema.parse(answer.body)).toEqual(answer.body)
        }),
        { numRuns: 25 },
      )
    }
  },
)

function bodySchemaOf(operation: Operation): Json | undefined {
  return operation.requestBody?.content['application/json']?.schema
}

test('events say what their schemas say', async () => {
  const { body } = await board.get('/api/v1/events?type=drover&limit=200')
  expect(body.events.length).toBeGreaterThan(10)
  for (const event of body.events as Envelope[]) {
    const schema = Object.entries(EVENT_PAYLOADS).find(([type]) => type === event.type)?.[1]
    const parsed = schema?.safeParse(event.payload)
    if (parsed?.success !== true)
      throw new Error(`${event.type}: ${JSON.stringify(event.payload)} ${parsed?.error}`)
    expect(parsed.data, event.type).toEqual(event.payload)
  }
})

test('all problems of a request are listed together: path, query, headers and body', async () => {
  const { status, body } = await board.post(
    '/api/v1/sessions',
    { agent_type: 'Nope!', prompt: ' ', wait: 'forever', more: 1 },
    { 'idempotency-key': 'ä'.repeat(3), 'drover-session': 'x' },
  )
  expect(status).toBe(400)
  expect(body.issues.map(({ path }: { path: string }) => path).toSorted()).toEqual([
    'Drover-Session',
    'Idempotency-Key',
    'agent_type',
    'more',
    'prompt',
    'wait',
  ])
})

test('the board still answers, and logged no fault', async () => {
  expect((await board.get('/readyz')).status).toBe(200)
  expect(board.log.filter(({ msg }) => msg === 'a request failed')).toEqual([])
})
