/**
 * The bad-input corpus over HTTP (reliability §9): what is no request, what is no JSON, and each nasty string in each
 * text field. The answer is a document with one of our codes and never a 5xx; what is refused leaves nothing behind.
 */
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { ERROR_CATALOGUE } from '../../src/core/errors.ts'
import { broadcastSchema, sendMailSchema } from '../../src/core/mail.ts'
import { killBodySchema, spawnBodySchema, tasksFileSchema } from '../../src/core/request.ts'
import { createHttpClient } from '../../src/producer/http-client.ts'
import { BAD_INPUTS } from '../core/bad-inputs.ts'
import type { Answered } from './open-board.ts'
import { boardOfFile } from './board-of-file.ts'

const REQUEST_TIMEOUT_MS = 1000

const { board } = await boardOfFile({ requestTimeoutMs: REQUEST_TIMEOUT_MS })

/** Sends bytes over a connection of its own, and resolves with all that came when the other side has closed it. */
function raw(...parts: readonly (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(board.board.port, '127.0.0.1')
    let received = ''
    socket.setEncoding('utf8').on('data', (text) => (received += text))
    // A board that refuses a body does not read it to its end.
    socket.on('error', () => {})
    socket.on('close', () => resolve(received))
    for (const part of parts) socket.write(part)
  })
}

const head = (first: string, headers: readonly string[] = []): string =>
  [`${first} HTTP/1.1`, `Host: 127.0.0.1:${board.board.port}`, 'Connection: close', ...headers, '', ''].join(
    '\r\n',
  )
const get = (path: string, ...headers: readonly string[]): Promise<string> =>
  raw(head(`GET ${path}`, headers))
const JSON_TYPE = 'Content-Type: application/json'
const post = (body: string | Uint8Array, ...headers: readonly string[]): Promise<string> =>
  raw(
    head('POST /api/v1/sessions', [JSON_TYPE, `Content-Length: ${Buffer.byteLength(body)}`, ...headers]),
    body,
  )

interface Said {
  readonly status: number
  readonly body: any
}

function parsed(received: string): Said {
  const [top = '', ...rest] = received.split('\r\n\r\n')
  const text = rest.join('\r\n\r\n')
  return { status: Number(/^HTTP\/1.1 (\d+)/.exec(top)?.[1]), body: text === '' ? null : JSON.parse(text) }
}

/** A document of ours, whatever it says: no stack, no place in our sources, nothing of Fastify's own. */
function expectOurs({ status, body }: Said, what: string): void {
  expect(status, what).toBeLessThan(500)
  if (status < 300) return
  expect(Object.keys(ERROR_CATALOGUE), what).toContain(body.error)
  expect(body, what).toMatchObject({ success: false, message: expect.stringMatching(/\S/) })
  expect(JSON.stringify(body), what).not.toMatch(
    /\.ts:\d|node_modules|node:internal|FST_ERR|statusCode|\n\s+at /,
  )
}

/** Keys of what was asked for; what the board keeps for itself comes and goes. */
const ASKED_FOR = /:(?:session|ended|message|inbox):|:q:[^:]+:[0-9a-f-]{36}$/

/** How much there is: what is refused adds nothing to it. */
async function amount(): Promise<readonly number[]> {
  const keys = (await board.redis.keys('*')).filter((key) => ASKED_FOR.test(key))
  return [await board.redis.xlen(board.keys.events), keys.length]
}

describe('what is no request', () => {
  test.each([
    ['a method that there is not', () => raw(head('BREW /healthz')), 400],
    ['a method that a route has not', () => raw(head('DELETE /api/v1/sessions')), 404],
    ['TRACE', () => raw(head('TRACE /')), 404],
    ['OPTIONS', () => raw(head('OPTIONS /api/v1/sessions')), 404],
    ['garbage', () => raw('\0\u0001\u0002 garbage\r\n\r\n'), 400],
    ['a header with a bare CR', () => get('/healthz', 'X: a\rb'), 400],
    ['letters beyond ASCII in a header', () => get('/healthz', 'X-Name: äöü🙂'), 200],
    ['101 headers', () => get('/healthz', ...Array.from({ length: 101 }, (_, n) => `X-${n}: ${n}`)), 200],
    ['2000 headers', () => get('/healthz', ...Array.from({ length: 2000 }, (_, n) => `X-${n}: ${n}`)), 431],
    ['a header of 70 KB', () => get('/healthz', `X: ${'a'.repeat(70_000)}`), 431],
    ['a path of 10 KB', () => get(`/${'a'.repeat(10_000)}`), 404],
    ['a path up and out', () => get('/api/v1/../../etc/passwd'), 404],
    ['the same, encoded', () => get('/api/v1/sessions/..%2f..%2fetc%2fpasswd'), 404],
    ['NUL in a path', () => get('/api/v1/sessions/%00'), 404],
    ['two slashes', () => get('//api//v1//sessions'), 404],
    [
      'chunks that are none',
      () => raw(head('POST /api/v1/sessions', [JSON_TYPE, 'Transfer-Encoding: chunked']), 'zz\r\nx\r\n'),
      400,
    ],
    ['both lengths', () => post('{}', 'Transfer-Encoding: chunked'), 400],
    ['two lengths', () => post('{}', 'Content-Length: 9'), 400],
    [
      'a length below 0',
      () => raw(head('POST /api/v1/sessions', [JSON_TYPE, 'Content-Length: -1']), '{}'),
      400,
    ],
  ] as const)('%s', async (what, send, status) => {
    const before = await amount()
    const said = parsed(await send())
    expectOurs(said, what)
    expect(said.status).toBe(status)
    expect(await amount()).toEqual(before)
  })

  test('a sender that is too slow is not waited for', async () => {
    const began = performance.now()
    const slow = await Promise.all([
      raw(head('POST /api/v1/sessions', [JSON_TYPE, 'Content-Length: 100']), '{"agent_type"'),
      raw(head('POST /api/v1/sessions', [JSON_TYPE, 'Transfer-Encoding: chunked']), 'ffffff\r\n{'),
      raw('GET /healthz HTTP/1.1\r\nHost: 127'),
    ])
    expect(performance.now() - began).toBeLessThan(REQUEST_TIMEOUT_MS * 20)
    for (const received of slow) {
      const said = parsed(received)
      expectOurs(said, received)
      expect(said).toMatchObject({ status: 408, body: { error: 'invalid_request' } })
    }
  })

  test('requests one behind another are answered one behind another', async () => {
    const one = `GET /api/v1/agents/first HTTP/1.1\r\nHost: 127.0.0.1:${board.board.port}\r\n\r\n`
    const received = await raw(one, one.replace('first', 'second'), head('GET /api/v1/agents/third'))
    expect([...received.matchAll(/"agent_id":"(\w+)"/g)].map(([, id]) => id)).toEqual([
      'first',
      'second',
      'third',
    ])
  })
})

describe('a body', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  test.each([
    ['no JSON', '{', /not valid JSON/],
    ['empty', '', /empty body/],
    ['null', 'null', /agent_type/],
    ['a number beyond all', '1e999', /object/],
    ['an array', '[]', /object/],
    ['a text', '"hello"', /object/],
    ['keys of prototypes', '{"__proto__":{"agent_type":"architect"},"prompt":"x"}', /could not be read/],
    [
      'constructor',
      '{"constructor":{"prototype":{"a":1}},"agent_type":"architect","prompt":"x"}',
      /could not be read/,
    ],
    ['deep JSON', `{"agent_type":"architect","prompt":"x","depends_on":${deep}}`, /depends_on/],
    ['deep JSON in what is unknown', `{"agent_type":"architect","prompt":"x","x":${deep}}`, /unknown member/],
    ['no UTF-8', Buffer.from('{"agent_type":"architect","prompt":"\xff\xfe"}', 'latin1'), /not UTF-8/],
    ['gzip', gzipSync('{"agent_type":"architect","prompt":"x"}'), /not UTF-8|not valid JSON/],
    [
      'a prompt of 11 MB',
      JSON.stringify({ agent_type: 'architect', prompt: 'a'.repeat(11 * 1024 * 1024) }),
      /10 MB/,
    ],
  ] as const)('%s', async (what, body, message) => {
    const before = await amount()
    const said = parsed(await post(body))
    expectOurs(said, what)
    expect(said).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
    expect(said.body.message).toMatch(message)
    expect(await amount()).toEqual(before)
  })

  test.each([
    'text/plain',
    'text/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    ';;;',
    '',
  ])('as %j is none', async (type) => {
    const body = JSON.stringify({ agent_type: 'architect', prompt: 'x' })
    const headers = [`Content-Length: ${body.length}`, ...(type === '' ? [] : [`Content-Type: ${type}`])]
    const said = parsed(await raw(head('POST /api/v1/sessions', headers), body))
    expectOurs(said, type)
    expect(said).toMatchObject({ status: 400, body: { message: expect.stringContaining('no JSON body') } })
  })

  test('of 70 MB is refused as it comes, said to be so long or not', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'a')
    const chunks = Array.from({ length: 70 }, () => [
      `${chunk.length.toString(16)}\r\n`,
      chunk,
      '\r\n',
    ]).flat()
    const answers = [
      await raw(head('POST /api/v1/sessions', [JSON_TYPE, `Content-Length: ${70 * 1024 * 1024}`]), '{'),
      await raw(head('POST /api/v1/sessions', [JSON_TYPE, 'Transfer-Encoding: chunked']), ...chunks),
    ]
    for (const received of answers) {
      const said = parsed(received)
      expectOurs(said, 'large')
      // A busy machine may need longer to send it than the board waits.
      expect(said.body.message).toMatch(/too large|too long to arrive/)
    }
  })
})

const VALID = { agent_type: 'architect', prompt: 'Design it', workspace_dir: '/srv/shop' }
/** What a text field is sent in, and what says whether it may be. */
const FIELDS: readonly (readonly [path: string, schema: z.ZodType, put: (text: string) => unknown])[] = [
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, agent_type: text })],
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, prompt: text })],
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, task_id: text })],
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, orchestrator_id: text })],
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, workspace_dir: text })],
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, depends_on: [text] })],
  ['/sessions', spawnBodySchema, (text) => ({ ...VALID, [text]: 1, wait: text, on_busy: text })],
  ['/tasks', tasksFileSchema, (text) => ({ tasks: [{ ...VALID, task_id: text, prompt: text }] })],
  ['/messages', sendMailSchema, (text) => ({ to: text, text: 'x' })],
  ['/messages', sendMailSchema, (text) => ({ to: 'architect', text, message_id: text })],
  ['/messages/broadcast', broadcastSchema, (text) => ({ text, agent_type: text })],
  ['/sessions/nobody/kill', killBodySchema, (text) => ({ reason: text })],
]
const STRINGS = BAD_INPUTS.filter((text) => text.length < 1_000_000)

const ask = (path: string, body: unknown): Promise<Answered> => board.post(`/api/v1${path}`, body)

describe('each nasty string', () => {
  test('in each field: what the schema refuses is refused with all that is wrong, and leaves nothing', async () => {
    const before = await amount()
    for (const [path, schema, put] of FIELDS) {
      const refused = STRINGS.map(put).filter((body) => !schema.safeParse(body).success)
      const answers = await Promise.all(refused.map((body) => ask(path, body)))
      for (const [n, said] of answers.entries()) {
        const what = `${path} ${JSON.stringify(refused[n]).slice(0, 200)}`
        expectOurs(said, what)
        expect(said, what).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
        // Before any schema: a name that could change what all objects have.
        if (String(said.body.message).includes('could not be read')) continue
        const wrong = schema.safeParse(refused[n]).error?.issues.length ?? 0
        expect(said.body.issues.length, what).toBeGreaterThanOrEqual(wrong)
      }
    }
    expect(await amount()).toEqual(before)
  })

  test('that a field takes gives an answer of ours, and a prompt is kept as it was given', async () => {
    for (const [path, schema, put] of FIELDS) {
      const taken = STRINGS.map(put).filter((body) => schema.safeParse(body).success)
      const answers = await Promise.all(taken.map((body) => ask(path, body)))
      for (const [n, said] of answers.entries()) {
        expectOurs(said, `${path} ${JSON.stringify(taken[n]).slice(0, 200)}`)
        const prompt = (taken[n] as { prompt?: string } | undefined)?.prompt
        if (path !== '/sessions' || said.status !== 202 || prompt === undefined) continue
        const { body } = await board.get(`/api/v1/sessions/${said.body.session_id}/events?limit=1`)
        expect(body.events[0].payload.request.prompt).toBe(prompt)
      }
    }
  })

  test('as an id in a path, in a query and in a header', async () => {
    const routes = ['sessions/%', 'agents/%', 'tasks/%', 'agent-types/%', 'messages/%', 'sessions/%/events']
    const queries = [
      'sessions?q=%',
      'sessions?status=%',
      'tasks?cursor=%',
      'events?type=%',
      'messages?since=%',
      'search?q=%',
      'cost?by=%',
    ]
    for (const text of STRINGS.filter(({ length }) => length < 5000)) {
      // A lone surrogate has no form in an address.
      const encoded = encodeURIComponent(text.toWellFormed())
      const asked = [...routes, ...queries].map((route) => `/api/v1/${route.replace('%', () => encoded)}`)
      for (const said of await Promise.all(asked.map((path) => board.get(path)))) {
        expectOurs(said, JSON.stringify(text))
      }
      const headers = { 'drover-session': encoded, 'idempotency-key': encoded.slice(0, 300) }
      const said = await board.post('/api/v1/sessions', VALID, headers)
      expectOurs(said, `headers ${JSON.stringify(text)}`)
      expect(said.status).toBe(400)
    }
  })

  test('and any other, through TypeScript: all problems of one request at once', async () => {
    const client = createHttpClient({ url: board.url })
    const before = await amount()
    const wrong = fc.record(
      {
        agent_type: fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constant(null)),
        prompt: fc.oneof(fc.constant(''), fc.constant(' \n'), fc.integer()),
        workspace_dir: fc.oneof(fc.constant('relative'), fc.constant('/a\0b'), fc.constant('')),
        timeout_seconds: fc.oneof(fc.constant(0), fc.double({ noInteger: true }), fc.constant('5m')),
        priority: fc.oneof(fc.constant(0), fc.constant(-1), fc.constant(2 ** 40)),
        depends_on: fc.array(fc.constantFrom('', '123', 'a:b'), { minLength: 1, maxLength: 3 }),
        unknown: fc.anything({ maxDepth: 2 }),
      },
      { requiredKeys: ['prompt'] },
    )
    await fc.assert(
      fc.asyncProperty(wrong, async (body) => {
        const sent: unknown = JSON.parse(JSON.stringify(body))
        const issues = spawnBodySchema.safeParse(sent).error?.issues ?? []
        const failure: unknown = await client.accept(sent as never).then(
          () => null,
          (error: unknown) => error,
        )
        expect(failure).toMatchObject({ code: 'invalid_request' })
        const { details } = failure as { details: { issues: { path: string }[] } }
        expect(details.issues.length).toBeGreaterThanOrEqual(issues.length)
      }),
      { numRuns: 200 },
    )
    expect(await amount()).toEqual(before)
  })
})
