import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { isLoopback } from '../../src/board/address.ts'
import { boardOfFile } from './board-of-file.ts'

const { board } = await boardOfFile()

/** `fetch` sets Host itself, so the request is written by hand. */
async function ask(
  path: string,
  headers: readonly string[],
  method = 'GET',
): Promise<{ status: number; text: string }> {
  const socket = connect(board.board.port, '127.0.0.1')
  socket.end([`${method} ${path} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n'))
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk
  return { status: Number(text.slice(9, 12)), text }
}

const ROUTES = [
  '/',
  '/healthz',
  '/readyz',
  '/api/v1/sessions',
  '/queues/',
  '/queues/api/queues',
  '/assets/board.css',
  '/nope',
]

test.each(ROUTES)('%s answers only to loopback names with the right port', async (path) => {
  const { port } = board.board
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
    expect((await ask(path, [`Host: ${host}`])).status).not.toBe(403)
  }
  for (const host of [
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `evil.example:${port}`,
    `127.0.0.1:${port}.evil.example`,
    '',
  ]) {
    const { status, text } = await ask(path, [`Host: ${host}`])
    expect({ host, status }).toEqual({ host, status: 403 })
    expect(text).toContain('"error":"forbidden"')
  }
})

test.each(ROUTES)('%s answers only to its own pages', async (path) => {
  const { port } = board.board
  const own = await ask(path, [`Host: localhost:${port}`, `Origin: http://localhost:${port}`])
  expect(own.status).not.toBe(403)
  for (const origin of [
    'http://evil.example',
    'null',
    `https://localhost:${port}`,
    `http://localhost:${port + 1}`,
    `http://127.0.0.1:${port}`,
  ]) {
    const { status } = await ask(path, [`Host: localhost:${port}`, `Origin: ${origin}`])
    expect({ origin, status }).toEqual({ origin, status: 403 })
  }
})

test('a foreign page starts nothing, however it asks', async () => {
  const body = '{"agent_type":"architect","prompt":"x"}'
  for (const type of ['text/plain', 'application/json']) {
    const response = await fetch(`${board.url}/api/v1/sessions`, {
      method: 'POST',
      headers: { 'content-type': type, origin: 'http://evil.example' },
      body,
    })
    expect(response.status).toBe(403)
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  }
  expect(
    (
      await ask(
        '/api/v1/sessions',
        [`Host: localhost:${board.board.port}`, 'Origin: http://evil.example'],
        'OPTIONS',
      )
    ).status,
  ).toBe(403)
  expect((await board.get('/api/v1/sessions')).body.sessions).toEqual([])
})

test('pages allow nothing but themselves', async () => {
  for (const path of ['/', '/sessions/x', '/queues/']) {
    const { headers } = await board.get(path)
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/default-src '(none|self)'/)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/script-src [^;]*unsafe/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
})

test.each([
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['localhost', true],
  ['::1', true],
  ['0.0.0.0', false],
  ['127.0.0.1.evil.example', false],
  ['localhost.evil.example', false],
  ['10.0.0.1', false],
])('isLoopback(%s) is %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected)
})
