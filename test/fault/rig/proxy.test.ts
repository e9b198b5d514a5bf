import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../../support/until.ts'
import { createProxy, type Proxy } from './proxy.ts'
import { createRandom } from './random.ts'

/** Answers every line with `got <line>`, and remembers all. */
let server: Server
let received: string
let proxy: Proxy
const clients: Socket[] = []

beforeEach(async () => {
  received = ''
  server = createServer((socket) => {
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text
      for (const line of text.split('\n').slice(0, -1)) socket.write(`got ${line}\n`)
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server that listens has a port
  const { port } = server.address() as AddressInfo
  proxy = await createProxy(() => port, createRandom(1))
})
afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy()
  await proxy.close()
  await new Promise((done) => server.close(done))
})

interface Client {
  send(line: string): void
  answers(): string
  ending(): string | null
}

function open(): Client {
  let text = ''
  let ended: string | null = null
  const socket = connect(proxy.port, '127.0.0.1')
  clients.push(socket)
  socket.setEncoding('utf8').on('data', (more: string) => (text += more))
  socket.on('error', (error: NodeJS.ErrnoException) => (ended = error.code ?? 'error'))
  socket.on('end', () => (ended ??= 'end'))
  return { send: (line) => socket.write(`${line}\n`), answers: () => text, ending: () => ended }
}

test('bytes pass, whole and in single bytes, and are counted', async () => {
  const client = open()
  client.send('one')
  await until(() => client.answers() === 'got one\n')
  proxy.mode('slice')
  client.send('two')
  await until(() => client.answers() === 'got one\ngot two\n')
  expect(proxy.counts).toMatchObject({ connections: 1, bytesUp: 8, bytesDown: 16, slicedBytes: 12 })
})

test('a black hole tells nobody, and what was sent into it arrives when it is healed', async () => {
  const client = open()
  client.send('one')
  await until(() => client.answers() === 'got one\n')
  proxy.mode('hole')
  client.send('two')
  const second = open()
  second.send('three')
  await until(() => proxy.counts.connections === 2)
  expect(received).toBe('one\n')
  proxy.mode('pass')
  await until(() => client.answers().endsWith('two\n') && second.answers() === 'got three\n')
  expect([client.ending(), second.ending()]).toEqual([null, null])
})

test('a hole of one direction applies the command and keeps the answer back', async () => {
  const client = open()
  proxy.mode({ kind: 'hole', direction: 'down' })
  client.send('one')
  await until(() => received === 'one\n')
  expect(client.answers()).toBe('')
  proxy.mode('pass')
  await until(() => client.answers() === 'got one\n')
})

test('reset and close break open and new connections', async () => {
  const client = open()
  client.send('one')
  await until(() => client.answers() !== '')
  proxy.mode('reset')
  await until(() => client.ending() === 'ECONNRESET')
  const second = open()
  await until(() => second.ending() === 'ECONNRESET')
  proxy.mode('close')
  const third = open()
  await until(() => third.ending() === 'end')
  expect(proxy.counts).toMatchObject({ connections: 3, broken: 3 })
})

test('an answer is lost after its command was applied, for the nth command that matches', async () => {
  proxy.mode({ kind: 'drop-replies', match: 'renew', nth: 2 })
  const client = open()
  client.send('renew 1')
  await until(() => client.answers() === 'got renew 1\n')
  client.send('other')
  await until(() => client.answers().endsWith('other\n'))
  client.send('renew 2')
  await until(() => client.ending() !== null)
  expect(received).toContain('renew 2')
  expect(client.answers()).not.toContain('renew 2')
  const second = open()
  second.send('renew 3')
  await until(() => second.answers() === 'got renew 3\n')
  expect(proxy.counts.repliesDropped).toBe(1)
})

test.for(['before', 'after'] as const)('a trap springs just %s the command', async (at) => {
  proxy.mode({ kind: 'trap', match: 'needle', at })
  const client = open()
  client.send('hay')
  await until(() => client.answers() === 'got hay\n')
  client.send('needle')
  await proxy.sprung()
  if (at === 'after') await until(() => received.includes('needle'))
  client.send('later')
  proxy.cut()
  await until(() => client.ending() === 'ECONNRESET')
  // What was held back of a dead client never arrives.
  proxy.mode('pass')
  const second = open()
  second.send('end')
  await until(() => second.answers() === 'got end\n')
  expect(received).toBe(at === 'after' ? 'hay\nneedle\nend\n' : 'hay\nend\n')
})

test('delayed bytes come late, in order, also when the delay is switched off meanwhile', async () => {
  proxy.mode({ kind: 'delay', ms: 60, jitterMs: 60 })
  const client = open()
  const begun = performance.now()
  for (const line of ['1', '2', '3']) client.send(line)
  await until(() => received !== '')
  proxy.mode('pass')
  client.send('4')
  await until(() => client.answers() === 'got 1\ngot 2\ngot 3\ngot 4\n')
  expect(performance.now() - begun).toBeGreaterThanOrEqual(60)
})
