/** The client against servers that misbehave; against a real board it is tested with the command line. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { isDroverError } from '../../src/core/errors.ts'
import { composeEvent } from '../../src/core/envelope.ts'
import { createHttpClient, type HttpClient } from '../../src/producer/http-client.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

async function serve(handler: Handler): Promise<HttpClient> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return createHttpClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

const serveStream = (handler: Handler): Promise<HttpClient> =>
  serve((request, response) => handler(request, response.setHeader('content-type', 'text/event-stream')))
const JSON_TYPE = { 'content-type': 'application/json' }

const failureOf = async (promise: Promise<unknown>): Promise<{ code: string; message: string }> => {
  try {
    await promise
  } catch (error) {
    if (isDroverError(error)) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('it did not fail')
}

const ID = 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890'
const textOf = (seq: number, payload: unknown = {}): string =>
  composeEvent(
    {
      session_id: ID,
      agent_id: null,
      agent_type: 'architect',
      epoch: 0,
      seq,
      line: null,
      ts: '2026-01-31T12:00:00.000Z',
      type: 'drover.session.claimed',
    },
    JSON.stringify(payload),
  )
const frame = (seq: number, payload?: unknown): string => `id: ${seq}\ndata: ${textOf(seq, payload)}\n\n`
const END = 'event: end\ndata: {"next":3}\n\n'

async function collect(client: HttpClient, patienceMs?: number): Promise<number[]> {
  const seqs: number[] = []
  const options = patienceMs === undefined ? {} : { patienceMs }
  for await (const event of client.events(ID, options)) seqs.push(event.seq ?? 0)
  return seqs
}

describe('a board that is not there', () => {
  test('is said with its address and what to do', async () => {
    const client = createHttpClient({ url: 'http://127.0.0.1:1' })
    const message = 'Nobody answers at http://127.0.0.1:1. Start Drover with `drover up`, or set DROVER_URL.'
    expect(await failureOf(client.sessions())).toEqual({ code: 'board_unavailable', message })
    expect(await failureOf(collect(client))).toEqual({ code: 'board_unavailable', message })
    expect(
      (await failureOf(client.spawn({ agent_type: 'architect' }, { idempotencyKey: 'k' }))).message,
    ).toBe(message)
  })

  test('and something else is: that is said', async () => {
    const page = await serve((_, response) =>
      response.setHeader('content-type', 'text/html').end('<h1>hello</h1>'),
    )
    expect((await failureOf(page.sessions())).message).toMatch(/is no Drover board \(HTTP 200\)/)
    const api = await serve((_, response) => response.writeHead(404).end('{"error":{"code":404}}'))
    expect((await failureOf(api.sessions())).message).toMatch(/is no Drover board \(HTTP 404\)/)
    expect((await failureOf(collect(page))).message).toMatch(/is no Drover board/)
    const json = await serve((_, response) => response.end('{}'))
    expect((await failureOf(collect(json))).message).toMatch(/sends no events/)
  })
})

test('a failure document becomes the error that it was', async () => {
  const client = await serve((_, response) => {
    const document = {
      success: false,
      error: 'task_not_found',
      message: 'There is no task "X".',
      task_id: 'X',
    }
    response.writeHead(404).end(JSON.stringify(document))
  })
  const error = await client.task('X').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'task_not_found', details: { task_id: 'X' }, exitCode: 2 })
})

test('ids and filters are escaped', async () => {
  const paths: (string | undefined)[] = []
  const client = await serve((request, response) => {
    paths.push(request.url)
    response.end('{}')
  })
  await client.task('../agents?x=1')
  await client.sessions({ q: 'a&b=ü', limit: 5 })
  expect(paths).toEqual(['/api/v1/tasks/..%2Fagents%3Fx%3D1', '/api/v1/sessions?q=a%26b%3D%C3%BC&limit=5'])
})

test('the token goes along, and who asks', async () => {
  let headers: IncomingMessage['headers'] = {}
  const { url } = await serve((request, response) => {
    headers = request.headers
    response.end('{}')
  })
  await createHttpClient({ url, token: 's3cret', userAgent: 'drover-cli/0.1.0' }).sessions()
  expect(headers).toMatchObject({ authorization: 'Bearer s3cret', 'user-agent': 'drover-cli/0.1.0' })
})

describe('events', () => {
  test('come whole, however the bytes are cut', async () => {
    const payload = { text: 'Grüße 👋 \u2028 over two lines' }
    const bytes = Buffer.from(`: still here\n\n${frame(1, payload)}${frame(2)}${END}`)
    const client = await serveStream((_, response) => {
      // Byte by byte cuts characters and lines; each write is a chunk of its own.
      for (const byte of bytes) response.write(Buffer.from([byte]))
      response.end()
    })
    const events = []
    for await (const event of client.events(ID)) events.push(event)
    expect(events.map(({ seq }) => seq)).toEqual([1, 2])
    expect(events[0]?.payload).toEqual(payload)
  })

  test('as texts are what was published, number by number', async () => {
    const text = textOf(1).replace('{}}', '{"cost":0.10,"big":12345678901234567890}}')
    const client = await serveStream((_, response) => response.end(`data: ${text}\n\n${END}`))
    const texts = []
    for await (const one of client.eventTexts(ID)) texts.push(one)
    expect(texts).toEqual([text])
  })

  test('go on after a cut from the last one, without a gap or a repeat', async () => {
    const asked: (string | undefined)[] = []
    const client = await serveStream((request, response) => {
      asked.push(request.headers['last-event-id'] as string | undefined)
      // Cut in the middle of the second event, then in the middle of nowhere; a repeat is dropped.
      if (asked.length === 1) response.write(frame(1) + frame(2).slice(0, 40), () => response.destroy())
      else if (asked.length === 2) response.end(frame(1) + frame(2))
      else response.end(frame(3) + END)
    })
    expect(await collect(client)).toEqual([1, 2, 3])
    expect(asked).toEqual([undefined, '1', '2'])
  })

  test('go on while the board is started again: refused, stopping, away', async () => {
    let connections = 0
    const client = await serveStream((_, response) => {
      connections += 1
      if (connections === 1) response.write(frame(1), () => response.destroy())
      // What Fastify says while it closes.
      else if (connections === 2)
        response.writeHead(503, JSON_TYPE).end('{"error":"Service Unavailable","statusCode":503}')
      else if (connections === 3) {
        response
          .writeHead(503, JSON_TYPE)
          .end('{"success":false,"error":"ledger_unavailable","message":"behind"}')
      } else response.end(frame(2) + END)
    })
    expect(await collect(client)).toEqual([1, 2])
  })

  test('fail once patience is over', async () => {
    const client = await serveStream((_, response) => response.write(frame(1), () => response.destroy()))
    const first = collect(client, 0)
    expect((await failureOf(first)).code).toBe('board_unavailable')
  })

  test('of a session that is not there fail at once', async () => {
    const document = { success: false, error: 'session_not_found', message: 'There is no session.' }
    const client = await serve((_, response) => response.writeHead(404).end(JSON.stringify(document)))
    expect((await failureOf(collect(client))).code).toBe('session_not_found')
  })

  test('end quietly when they are no longer wanted', async () => {
    const client = await serveStream((_, response) => void response.write(frame(1)))
    const stop = new AbortController()
    const seqs: (number | null)[] = []
    for await (const event of client.events(ID, { signal: stop.signal })) {
      seqs.push(event.seq)
      stop.abort()
    }
    expect(seqs).toEqual([1])
  })
})

describe('spawn', () => {
  const accepted = { success: true, session_id: ID, status: 'queued', timeout_seconds: 60 }
  const answer = { ...accepted, status: 'completed', completed_at: '2026-01-31T12:00:00.000Z' }
  const body = { agent_type: 'architect', prompt: 'x', wait: 'completed' as const }
  const ended = frame(1).replace('drover.session.claimed', 'drover.session.ended')

  /** A board that accepts, has one event, and knows the end. */
  const boardOf = (respond: (path: string, request: IncomingMessage, response: ServerResponse) => boolean) =>
    serve((request, response) => {
      request.resume()
      const path = `${request.method} ${request.url}`
      if (respond(path, request, response)) return
      if (path.startsWith('POST')) response.end(JSON.stringify(accepted))
      else if (path.endsWith('/events'))
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(ended)
      else response.end(JSON.stringify({ success: true, session: {}, answer }))
    })

  test('waits by the events, and answers what the ledger says', async () => {
    const client = await boardOf(() => false)
    expect(await client.spawn(body)).toEqual(answer)
    expect(await client.accept(body)).toEqual(accepted)
  })

  test('is asked again with its key when the answer is lost', async () => {
    const keys: (string | undefined)[] = []
    const client = await boardOf((path, request, response) => {
      if (!path.startsWith('POST')) return false
      keys.push(request.headers['idempotency-key'] as string | undefined)
      if (keys.length > 1) return false
      response.destroy()
      return true
    })
    expect(await client.spawn(body, { idempotencyKey: 'k' })).toEqual(answer)
    expect(keys).toEqual(['k', 'k'])
  })

  test('without a key is asked once: it could run twice', async () => {
    let requests = 0
    const client = await boardOf((_, __, response) => {
      requests += 1
      response.destroy()
      return true
    })
    expect((await failureOf(client.spawn(body))).code).toBe('board_unavailable')
    expect(requests).toBe(1)
  })

  test('is not asked again when it was refused', async () => {
    let requests = 0
    const client = await boardOf((_, __, response) => {
      requests += 1
      response.writeHead(503).end('{"success":false,"error":"resource_exhaustion","message":"No room."}')
      return true
    })
    expect((await failureOf(client.spawn(body, { idempotencyKey: 'k' }))).code).toBe('resource_exhaustion')
    expect(requests).toBe(1)
  })

  test('waits on while the ledger is behind, and while the board is away', async () => {
    let looks = 0
    const client = await boardOf((path, _, response) => {
      if (path.startsWith('POST') || path.endsWith('/events')) return false
      looks += 1
      if (looks === 1) response.destroy()
      else if (looks === 2) response.end(JSON.stringify({ success: true, session: {}, answer: null }))
      else return false
      return true
    })
    expect(await client.spawn(body)).toEqual(answer)
    expect(looks).toBe(3)
  })

  test('stops waiting when it is told to', async () => {
    const client = await boardOf((path) => path.endsWith('/events'))
    const stop = new AbortController()
    const waiting = client.spawn(body, { signal: stop.signal })
    stop.abort(new Error('told to'))
    await expect(waiting).rejects.toThrow('told to')
  })
})
