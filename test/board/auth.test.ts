import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toolsFor, routesOfTools } from '../../src/board/tool-routes.ts'
import { ORCHESTRATOR_TOOLS } from '../../src/config/agent-spec.ts'
import { SCOPES, type Scope } from '../../src/core/scope.ts'
import { newToken, tokenHash } from '../../src/core/token.ts'
import { connectMcp, type McpConnection } from '../mcp/connect-mcp.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { openBoard, type TestBoard } from './open-board.ts'
import { playSession } from './play-session.ts'

const token = Object.fromEntries(SCOPES.map((scope) => [scope, newToken()])) as Record<Scope, string>
const bearer = (text: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${text}` })

let redis: TestRedis
let open: TestBoard
let closed: TestBoard
beforeAll(async () => {
  redis = await startRedis()
  open = await openBoard(redis.url)
  closed = await openBoard(redis.url, {
    host: '0.0.0.0',
    tokens: SCOPES.map((scope) => `${scope}-token:${scope}:${tokenHash(token[scope])}`),
  })
})
afterAll(async () => {
  await Promise.all([open.stop(), closed.stop()])
  await redis.stop()
})

/** Any method and any Host: `fetch` sets its own. */
async function raw(
  { board }: TestBoard,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<{ status: number; text: string }> {
  const socket = connect(board.port, '127.0.0.1')
  const lines = {
    host: `127.0.0.1:${board.port}`,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...headers,
  }
  socket.write(
    [
      `${method} ${path} HTTP/1.1`,
      ...Object.entries(lines).map(([name, value]) => `${name}: ${value}`),
      '',
      body,
    ].join('\r\n'),
  )
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk
  return { status: Number(text.slice(9, 12)), text }
}

/** A path that leads to a route. */
const pathOf = (url: string): string => url.replaceAll(/:[A-Za-z]+/g, 'x').replace('*', 'x')

/** What no route was declared for. */
const ELSEWHERE = [
  ['GET', '/nope'],
  ['OPTIONS', '/api/v1/sessions'],
  ['PUT', '/api/v1/sessions'],
  ['TRACE', '/'],
  ['GET', '/api/v1/tasks/%zz'],
  ['GET', `/api/v1/tasks/${'x'.repeat(300)}`],
  ['GET', '/healthz/'],
  ['GET', '//healthz'],
] as const

test('every route of the board is known here: pages, assets, API, Bull Board', () => {
  const paths = new Set(closed.board.routes.map(({ url }) => url))
  for (const path of ['/', '/assets/home.js', '/api/v1/sessions', '/queues/api/queues', '/metrics'])
    expect(paths).toContain(path)
  expect(closed.board.routes.filter(({ method }) => method === 'HEAD').length).toBeGreaterThan(10)
})

test('without a token every route answers 401, but for /healthz', async () => {
  const wrong: string[] = []
  for (const { method, url } of closed.board.routes) {
    const { status, text } = await raw(closed, method, pathOf(url))
    const expected = url === '/healthz' ? 200 : 401
    if (status !== expected) wrong.push(`${method} ${url}: ${status}`)
    if (status === 401) expect(text.toLowerCase()).toContain('www-authenticate: bearer')
  }
  for (const [method, path] of ELSEWHERE) {
    const { status } = await raw(closed, method, path)
    if (status !== 401) wrong.push(`${method} ${path}: ${status}`)
  }
  expect(wrong).toEqual([])
})

test('with a token that lacks the scope every route answers 403, and names the scope', async () => {
  const wrong: string[] = []
  for (const { method, url, scope } of closed.board.routes) {
    if (scope === 'open') continue
    for (const other of SCOPES.filter((name) => name !== scope && name !== 'admin')) {
      const { status, text } = await raw(closed, method, pathOf(url), bearer(token[other]))
      const isNamed = method === 'HEAD' || text.includes(`lacks the scope \\"${scope}\\"`)
      if (status !== 403 || !isNamed) wrong.push(`${method} ${url} with ${other}: ${status}`)
    }
  }
  expect(wrong).toEqual([])
})

test('with its scope, and with admin, a route is not refused', async () => {
  const wrong: string[] = []
  for (const { method, url, scope } of closed.board.routes) {
    // Bull Board's changes are refused to everybody, but for a few.
    if (scope === 'open' || (scope === 'admin' && url.startsWith('/queues'))) continue
    for (const holder of [scope, 'admin'] as const) {
      const { status } = await raw(closed, method, pathOf(url), bearer(token[holder]))
      if (status === 401 || status === 403) wrong.push(`${method} ${url} with ${holder}: ${status}`)
    }
  }
  expect(wrong).toEqual([])
})

test('without tokens a foreign Host and a foreign Origin are refused on every route', async () => {
  const wrong: string[] = []
  const own = `127.0.0.1:${open.board.port}`
  for (const [method, path] of [
    ...open.board.routes.map(({ method, url }) => [method, pathOf(url)] as const),
    ...ELSEWHERE,
  ]) {
    for (const headers of [{ host: 'evil.example' }, { origin: 'http://evil.example' }, { origin: 'null' }]) {
      const { status } = await raw(open, method, path, headers)
      if (status !== 403) wrong.push(`${method} ${path} ${JSON.stringify(headers)}: ${status}`)
    }
    const { status } = await raw(open, method, path, { origin: `http://${own}` })
    if (status === 401) wrong.push(`${method} ${path}: ${status}`)
  }
  expect(wrong).toEqual([])
})

test('with tokens a page of another site is refused on every route, whatever it sends along', async () => {
  const wrong: string[] = []
  for (const { method, url } of closed.board.routes) {
    if (url === '/healthz') continue
    const { status } = await raw(closed, method, pathOf(url), {
      origin: 'https://evil.example',
      cookie: `drover_token=${token.admin}`,
    })
    if (status !== 403) wrong.push(`${method} ${url}: ${status}`)
  }
  expect(wrong).toEqual([])
})

test('Bull Board: reading needs read, its changes admin, and those that undo the queueing are refused to all', async () => {
  expect((await closed.get('/queues/api/queues', bearer(token.read))).status).toBe(200)
  const put = (path: string, scope: Scope): Promise<{ status: number }> =>
    raw(closed, 'PUT', `/queues/api/queues/${path}`, bearer(token[scope]))
  expect((await put('architect/pause', 'control')).status).toBe(403)
  expect((await put('architect/pause', 'admin')).status).toBe(200)
  expect((await put('architect/resume', 'admin')).status).toBe(200)
  for (const path of ['obliterate', 'concurrency', 'rate-limit', 'empty', 'add'])
    expect({ path, status: (await put(`architect/${path}`, 'admin')).status }).not.toMatchObject({
      status: 200,
    })
})

describe('tokens', () => {
  test('what is asked for is recorded as the token’s', async () => {
    const asked = { agent_type: 'architect', prompt: 'x', workspace_dir: '/srv/shop' }
    const { status, body } = await closed.post('/api/v1/sessions', asked, bearer(token.submit))
    expect(status).toBe(202)
    const events = await closed.get(`/api/v1/sessions/${body.session_id}/events`, bearer(token.read))
    expect(events.body.events[0].payload.actor).toEqual({ via: 'http', name: 'submit-token' })
  })

  test.each([
    ['nothing', ''],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['no token', 'Bearer'],
    ['another token', `Bearer ${newToken()}`],
    ['its hash', `Bearer ${tokenHash(token.admin)}`],
    ['a part of it', `Bearer ${token.admin.slice(0, -1)}`],
    ['something behind it', `Bearer ${token.admin}x`],
    ['a session’s that is not there', `Bearer drover_session_${crypto.randomUUID()}_${'a'.repeat(43)}`],
    ['characters of another kind', `Bearer ${'ÿ'.repeat(20)}`],
  ])('%s is refused', async (_what, authorization) => {
    const { status, text } = await raw(closed, 'GET', '/api/v1/sessions', { authorization })
    expect(status).toBe(401)
    expect(text).toContain('"error":"unauthorized"')
    expect(text).not.toContain(token.admin.slice(0, -1))
  })

  test('none is in the log', () => {
    const log = JSON.stringify(closed.log)
    for (const text of Object.values(token)) expect(log).not.toContain(text)
  })
})

describe("a session's token", () => {
  const secret = (sessionId: string): string => `drover_session_${sessionId}_${'s'.repeat(43)}`

  async function sessionWith(board: TestBoard, tools: string): Promise<string> {
    const asked = { agent_type: 'architect', prompt: 'x', workspace_dir: '/srv/shop' }
    const { body } = await board.post('/api/v1/sessions', asked, bearer(token.submit))
    const id = body.session_id as string
    await board.redis.hset(board.keys.session(id), { token_hash: tokenHash(secret(id)), tools })
    return id
  }

  test.concurrent.for([
    ['its session ends', { state: 'completed' }],
    ['its session has another agent', { token_hash: tokenHash('x') }],
  ] as const)('an event stream that it has opened ends when %s', async ([, fields]) => {
    const tools = 'check_session'
    const [asks, watched] = [await sessionWith(closed, tools), await sessionWith(closed, tools)]
    const open = (text: string): Promise<Response> =>
      fetch(`${closed.url}/api/v1/sessions/${watched}/events`, {
        headers: { accept: 'text/event-stream', ...bearer(text) },
      })
    const [its, another] = [await open(secret(asks)), await open(token.read)]
    expect([its.status, another.status]).toEqual([200, 200])
    await closed.redis.hset(closed.keys.session(asks), fields)
    // Resolves because the stream is over; it was not said that the session is.
    expect(await its.text()).not.toContain('event: end')
    expect((await open(secret(asks))).status).toBe(401)
    const reader = another.body?.getReader()
    expect(await reader?.read()).toMatchObject({ done: false })
    await reader?.cancel()
  })

  test('allows what its tools do, until the session ends; what it asks for is its own', async () => {
    for (const board of [open, closed]) {
      const id = await sessionWith(board, 'spawn_agent,get_active_sessions')
      const its = bearer(secret(id))
      expect((await board.get('/api/v1/sessions', its)).status).toBe(200)
      const other = '00000000-0000-4000-8000-000000000000'
      const asked = { agent_type: 'code_developer', prompt: 'x', workspace_dir: '/srv/shop' }
      const spawned = await board.post('/api/v1/sessions', asked, { ...its, 'drover-session': other })
      expect(spawned.status).toBe(202)
      const { body } = await board.get(`/api/v1/sessions/${spawned.body.session_id}`, its)
      expect(body.session.created_by).toBe(id)
      const killed = await board.post(`/api/v1/sessions/${id}/kill`, {}, its)
      expect(killed).toMatchObject({ status: 403, body: { error: 'forbidden', tools: ['kill_agent'] } })
      expect(killed.body.message).toContain('orchestrator_tools')

      expect((await board.get('/api/v1/sessions', bearer(`${secret(id).slice(0, -1)}t`))).status).toBe(401)
      const { end } = await playSession(board, id)
      await end()
      expect((await board.get('/api/v1/sessions', its)).status).toBe(401)
    }
  })

  test('opens the routes of its tools, each of them alone, and no other one', async () => {
    const id = await sessionWith(closed, '')
    const wrong: string[] = []
    const opened = new Set<string>()
    for (const tools of [...ORCHESTRATOR_TOOLS.map((tool) => [tool]), ORCHESTRATOR_TOOLS, []]) {
      await closed.redis.hset(closed.keys.session(id), 'tools', tools.join(','))
      for (const route of closed.board.routes.filter(({ scope }) => scope !== 'open')) {
        const { method, url } = route
        const { status } = await raw(closed, method, pathOf(url), bearer(secret(id)))
        const isOpen = toolsFor(route).some((tool) => tools.some((granted) => granted === tool))
        if ((status !== 403) !== isOpen) wrong.push(`${method} ${url} with ${tools.join(', ')}: ${status}`)
        if (status !== 403 && method !== 'HEAD') opened.add(`${method} ${url.replace('/api/v1', '')}`)
      }
    }
    expect(wrong).toEqual([])
    // A route that is new here was opened to agents: by which tool, and should it be?
    expect([...opened].toSorted()).toMatchInlineSnapshot(`
      [
        "DELETE /mcp",
        "GET /agent-types",
        "GET /agent-types/:type",
        "GET /agents",
        "GET /agents/:id",
        "GET /cost",
        "GET /events",
        "GET /mcp",
        "GET /messages",
        "GET /messages/:id",
        "GET /monitor",
        "GET /openapi.json",
        "GET /pods",
        "GET /search",
        "GET /sessions",
        "GET /sessions/:id",
        "GET /sessions/:id/events",
        "GET /sessions/:id/export",
        "GET /task-graph",
        "GET /tasks",
        "GET /tasks/:id",
        "POST /agents/kill-stalled",
        "POST /mcp",
        "POST /messages",
        "POST /messages/:id/acknowledge",
        "POST /messages/:id/reply",
        "POST /messages/broadcast",
        "POST /messages/inbox",
        "POST /sessions",
        "POST /sessions/:id/interrupt",
        "POST /sessions/:id/kill",
        "POST /sessions/:id/messages",
        "POST /sessions/:id/restart",
        "POST /sessions/restart-failed",
        "POST /tasks",
        "POST /tasks/:id/cancel",
        "POST /tasks/:id/retry",
      ]
    `)
  })

  test('the routes of a tool are there', () => {
    const declared = new Set(closed.board.routes.map(({ method, url }) => `${method} ${url}`))
    expect(routesOfTools().filter((route) => !declared.has(route))).toEqual([])
  })

  test('what none of its tools does is refused with the tools that would do it', async () => {
    const id = await sessionWith(closed, 'check_inbox')
    const sent = await closed.post('/api/v1/messages', { to: 'operator', text: 'x' }, bearer(secret(id)))
    expect(sent).toMatchObject({ status: 403, body: { tools: ['send_message'] } })
    const answered = await closed.post(`/api/v1/sessions/${id}/permissions`, {}, bearer(secret(id)))
    expect(answered).toMatchObject({ status: 403, body: { tools: [] } })
    expect(answered.body.message).toContain('for people and their programs')
  })

  test('logs nobody in', async () => {
    const id = await sessionWith(closed, '')
    const { status } = await login(closed, secret(id))
    expect(status).toBe(401)
  })
})

async function login(board: TestBoard, text: string, more: Readonly<Record<string, string>> = {}) {
  return await fetch(`${board.url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: board.url, ...(more['origin'] === undefined ? {} : { origin: more['origin'] }) },
    body: new URLSearchParams({ token: text, next: more['next'] ?? '/' }),
  })
}

describe('in a browser', () => {
  const asPage = { accept: 'text/html,application/xhtml+xml' }

  test('the login is there in place of each page, without a script and with its own style alone', async () => {
    for (const path of ['/', '/queues/', '/sessions/x?a=1', '/login']) {
      const { status, headers, body } = await closed.get(path, asPage)
      expect(status).toBe(401)
      expect(body).toContain('<form method="post" action="/login">')
      if (path !== '/login') expect(body).toContain(`value="${path}"`)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toMatch(/default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'/)
      expect(headers.get('referrer-policy')).toBe('same-origin')
    }
    expect((await closed.get('/?q="><script>', asPage)).body).not.toContain('<script>')
  })

  test('a token becomes a cookie that no script reads, good for pages, events and Bull Board', async () => {
    const answer = await login(closed, ` ${token.admin} `, { next: '/sessions/x?y=1' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/sessions/x?y=1'])
    const set = answer.headers.get('set-cookie') ?? ''
    expect(set).toMatch(/^drover_token=[^;]+; Path=\/; HttpOnly; SameSite=Strict$/)
    const cookie = set.split(';')[0] ?? ''
    for (const path of ['/', '/queues/', '/queues/api/queues', '/api/v1/sessions', '/assets/home.js'])
      expect((await closed.get(path, { cookie })).status).toBe(200)
    const page = await closed.get('/login', { cookie })
    expect(page.body).toContain('<b>admin-token</b> (admin)')
    const home = await closed.get('/', { cookie })
    expect(home.body).toContain('<form class="logout" method="post" action="/logout">')
    expect(home.body).toContain('Logged in as admin-token')
    expect(home.headers.get('content-security-policy')).toContain("form-action 'self'")

    const out = await fetch(`${closed.url}/logout`, {
      method: 'POST',
      redirect: 'manual',
      headers: { cookie },
    })
    expect([out.status, out.headers.get('location')]).toEqual([303, '/login'])
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0')
  })

  test('a wrong address is a page for a browser, and a document for a program and for all of the API', async () => {
    const cookie = ((await login(closed, token.read)).headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    const lost = await closed.get("/sessoins/'x", { ...asPage, cookie })
    expect(lost.status).toBe(404)
    expect(lost.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(lost.body).toContain('There is no page /sessoins/&#39;x here.')
    expect(lost.body).toContain('<a href="/">Sessions</a>')
    expect((await closed.get('/%zz', { ...asPage, cookie })).body).toContain('begins no character')
    for (const [path, headers] of [
      ['/sessoins', { cookie }],
      ['/api/v1/sessoins', { ...asPage, cookie }],
    ] as const)
      expect(await closed.get(path, headers)).toMatchObject({
        status: 404,
        body: { error: 'invalid_request' },
      })
  })

  test('the cookie is good for /mcp and what its tools do, with the scopes of its token', async () => {
    const connectWith = async (scope: Scope): Promise<McpConnection> => {
      const set = (await login(closed, token[scope])).headers.get('set-cookie') ?? ''
      return await connectMcp('HTTP', closed, { headers: { cookie: set.split(';')[0] ?? '' } })
    }
    const [reader, admin] = await Promise.all([connectWith('read'), connectWith('admin')])
    const asked = { agent_type: 'architect', task: 'x', workspace_dir: '/srv/shop' }
    expect((await reader.call('list_agent_types')).isError).toBe(false)
    expect((await reader.call('spawn_agent_async', asked)).document.error).toBe('forbidden')
    const { session_id } = (await admin.call('spawn_agent_async', asked)).document
    const events = await closed.get(`/api/v1/sessions/${session_id}/events`, bearer(token.read))
    expect(events.body.events[0].payload.actor).toEqual({ via: 'mcp', name: 'admin-token' })
    await Promise.all([reader.close(), admin.close()])
  })

  test('behind a proxy with https the cookie stays on https', async () => {
    const host = `127.0.0.1:${closed.board.port}`
    const { headers } = await login(closed, token.read, { origin: `https://${host}` })
    expect(headers.get('set-cookie')).toContain('; Secure')
  })

  test.each([
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '/.//evil.example',
    'javascript:0',
  ])('leads nowhere else: %s', async (next) => {
    expect((await login(closed, token.read, { next })).headers.get('location')).toBe('/')
  })

  test('a wrong token is told so', async () => {
    const answer = await login(closed, newToken())
    expect(answer.status).toBe(401)
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(await answer.text()).toContain('This is no token of this board.')
  })

  test('forms are read for the login alone', async () => {
    const answer = await fetch(`${closed.url}/api/v1/sessions`, {
      method: 'POST',
      headers: bearer(token.admin),
      body: new URLSearchParams({ agent_type: 'architect', prompt: 'x' }),
    })
    expect(answer.status).toBe(400)
  })

  test('a board without tokens has nothing to log in to', async () => {
    const answer = await fetch(`${open.url}/login`, { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/'])
  })
})

test('names of proxies can be allowed; then no other is answered', async () => {
  const board = await openBoard(redis.url, {
    host: '0.0.0.0',
    tokens: [`a:read:${tokenHash(token.read)}`],
    allowedHosts: ['drover.example', 'other.example:8443'],
  })
  try {
    const ask = async (headers: Readonly<Record<string, string>>): Promise<number> =>
      (await raw(board, 'GET', '/api/v1/sessions', { ...bearer(token.read), ...headers })).status
    expect(await ask({ host: 'Drover.example', origin: 'https://drover.example' })).toBe(200)
    expect(await ask({ host: 'drover.example:9000' })).toBe(200)
    expect(await ask({ host: 'other.example:8443' })).toBe(200)
    expect(await ask({ host: 'other.example' })).toBe(403)
    expect(await ask({ host: 'evil.example' })).toBe(403)
    expect(await ask({ host: `127.0.0.1:${board.board.port}`, origin: 'https://drover.example' })).toBe(200)
    // Probes ask by address.
    expect((await raw(board, 'GET', '/healthz', { host: '10.1.2.3:4680' })).status).toBe(200)
  } finally {
    await board.stop()
  }
})
