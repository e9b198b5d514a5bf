import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { splitEvent } from '../../src/core/envelope.ts'
import { newSessionId } from '../../src/core/ids.ts'
import { keysOf } from '../../src/queue/keys.ts'
import { acceptance } from '../support/namespace.ts'
import { until } from '../support/until.ts'
import { openBoard } from './open-board.ts'
import { playSession, says } from './play-session.ts'
import { openStream } from './read-stream.ts'
import { boardOfFile } from './board-of-file.ts'

const { redis, board } = await boardOfFile({ heartbeatMs: 60 })

const eventsUrl = (id: string): string => `${board.url}/api/v1/sessions/${id}/events`
const page = async (id: string, query = ''): Promise<any> =>
  (await board.get(`/api/v1/sessions/${id}/events${query}`)).body

/** What was published, as it is on the stream. */
async function published(id: string): Promise<string[]> {
  const entries = await board.redis.xrange(board.keys.events, '-', '+')
  return entries
    .map(([, fields]) => fields[1] ?? '')
    .filter((text) => splitEvent(text).header.session_id === id)
}

/** A session with so many lines that has ended, and is recorded. */
async function recordedSession(lines: number): Promise<string> {
  const id = await board.spawn()
  const played = await playSession(board, id)
  for (let n = 0; n < lines; n++) await played.print(says(`line ${n}`))
  await played.end()
  await until(async () => (await page(id, '?after=0&limit=1000')).ended)
  return id
}

/** The rest of the stream after `after`: seqs, and whether it ended by its end. */
async function readFrom(id: string, after: number | null, most = Number.POSITIVE_INFINITY) {
  const stream = await openStream(eventsUrl(id), after)
  const seqs: number[] = []
  const texts: string[] = []
  for await (const frame of stream.frames()) {
    if (frame.event === 'end') return { seqs, texts, ended: true }
    if (frame.id === null) continue
    seqs.push(Number(frame.id))
    texts.push(frame.data ?? '')
    if (seqs.length >= most) break
  }
  return { seqs, texts, ended: false }
}

const upTo = (last: number, from = 1): number[] => Array.from({ length: last - from + 1 }, (_, n) => from + n)

test('pages of a session: after, limit, next, ended', async () => {
  const id = await recordedSession(6)
  const all = await page(id)
  const last = all.events.length
  expect(all).toMatchObject({ success: true, next: last, ended: true })
  expect(all.events.map((event: any) => event.seq)).toEqual(upTo(last))
  expect(all.events[0].type).toBe('drover.session.accepted')

  const first = await page(id, '?limit=3')
  expect(first).toMatchObject({ next: 3, ended: false })
  const rest = await page(id, `?after=${first.next}&limit=1000`)
  expect([...first.events, ...rest.events]).toEqual(all.events)
  expect(await page(id, `?after=${last}`)).toEqual({
    success: true,
    events: [],
    next: last,
    ended: true,
    as_of: expect.any(String),
    stale_seconds: expect.any(Number),
  })
  expect(await board.get(`/api/v1/sessions/${id}/events?after=x`)).toMatchObject({ status: 400 })
})

test('an event is passed on as it was printed: key order, numbers and line breaks in white space', async () => {
  const id = await board.spawn()
  const played = await playSession(board, id)
  const raw = '{"type":"assistant","z":1.0,"a":12345678901234567890,"u":"\\u2028\\r\\n",\r "e":1e3}'
  await board.store.lines(played.agent, { first: 1, lines: [{ type: 'claude.assistant', payloadText: raw }] })
  await until(async () => (await board.get(`/api/v1/sessions/${id}/events`)).body.events.length >= 5)

  const json = await (await fetch(eventsUrl(id))).text()
  expect(json).toContain(raw)
  const { texts } = await readFrom(id, 4, 1)
  // In a frame a line break would end the line.
  expect(splitEvent(texts[0] ?? '').payloadText).toBe(raw.replace('\r', ' '))
  await board.store.change(played.agent, { to: 'cancelled', events: [], last: true })
})

test('a stream: its headers, the events as they were published, and the end', async () => {
  const id = await recordedSession(3)
  const stream = await openStream(eventsUrl(id))
  expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  expect(stream.headers.get('cache-control')).toContain('no-cache')
  const frames = []
  for await (const frame of stream.frames()) frames.push(frame)

  const texts = await published(id)
  expect(frames.slice(1, -1).map((frame) => frame.data)).toEqual(texts)
  expect(frames.slice(1, -1).map((frame) => frame.id)).toEqual(upTo(texts.length).map(String))
  expect(frames.at(-1)).toMatchObject({ event: 'end', data: `{"next":${texts.length}}` })
})

test('a stream shows what happens as it happens, and a sign of life meanwhile', async () => {
  const id = await board.spawn()
  const stream = await openStream(eventsUrl(id))
  const seen: string[] = []
  let comments = 0
  const reading = (async () => {
    for await (const frame of stream.frames()) {
      if (frame.comment !== null) comments += 1
      if (frame.data !== null && frame.event === null) seen.push(splitEvent(frame.data).header.type)
    }
  })()
  await until(() => comments > 1)
  const played = await playSession(board, id)
  await until(() => seen.includes('drover.agent.started'))
  await played.print(says('hello'))
  await until(() => seen.includes('claude.assistant'))
  expect(seen).not.toContain('drover.session.ended')
  await played.end()
  await reading
  // Also what follows the session's end.
  expect(seen.slice(-3)).toEqual(['drover.agent.exited', 'drover.agent.closed', 'drover.session.ended'])
})

test('cut anywhere and resumed there, a stream has every event once', async () => {
  const id = await recordedSession(30)
  const last = (await published(id)).length
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: last }), { maxLength: 6 }), async (cuts) => {
      const seqs: number[] = []
      for (const most of cuts) {
        if (seqs.length < last) seqs.push(...(await readFrom(id, seqs.at(-1) ?? null, most)).seqs)
      }
      const rest = await readFrom(id, seqs.at(-1) ?? null)
      expect(rest.ended).toBe(true)
      expect([...seqs, ...rest.seqs]).toEqual(upTo(last))
    }),
    { numRuns: 25 },
  )
})

test('readers that come and go while a session runs get every event once, also when pub/sub is cut', async () => {
  const LINES = 400
  const id = await board.spawn()
  const played = await playSession(board, id)

  /** Reads to the end over connections of a few events each. */
  async function read(most: () => number): Promise<number[]> {
    const seqs: number[] = []
    for (;;) {
      const part = await readFrom(id, seqs.at(-1) ?? null, most())
      seqs.push(...part.seqs)
      if (part.ended) return seqs
    }
  }
  const readers = [
    read(() => Number.POSITIVE_INFINITY),
    read(() => 1 + Math.floor(Math.random() * 40)),
    read(() => 7),
    read(() => 100),
  ]
  for (let n = 0; n < LINES; n += 4) {
    await played.print(...upTo(4).map((k) => says(`line ${n + k}`)))
    if (n % 100 === 0) await board.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  }
  await played.end()

  const last = (await published(id)).length
  expect(last).toBeGreaterThan(LINES)
  for (const seqs of await Promise.all(readers)) expect(seqs).toEqual(upTo(last))
})

test('a reader that does not read for a while misses nothing', async () => {
  const LINES = 150
  const id = await board.spawn()
  const played = await playSession(board, id)
  const stream = await openStream(eventsUrl(id))
  const text = 'x'.repeat(400_000)
  for (let n = 0; n < LINES; n++) await played.print(says(`${n} ${text}`))
  await until(async () => (await page(id, `?after=${LINES}&limit=1`)).events.length === 1)
  await played.end()

  const seqs: number[] = []
  for await (const frame of stream.frames()) if (frame.id !== null) seqs.push(Number(frame.id))
  expect(seqs).toEqual(upTo(LINES + 7))
}, 120_000)

test('a reader that has gone is forgotten', async () => {
  const id = await board.spawn()
  const subscribers = async (): Promise<number> =>
    Number((await board.redis.pubsub('NUMSUB', board.keys.live(id)))[1])
  const stream = await openStream(eventsUrl(id))
  await stream.frames().next()
  expect(await until(async () => (await subscribers()) === 1)).toBe(true)
  stream.close()
  expect(await until(async () => (await subscribers()) === 0)).toBe(true)
})

test('whoever leaves while the session is not recorded yet waits for nothing, and nothing of it stays', async () => {
  const namespace = 'leaves'
  const keys = keysOf(namespace)
  // Another recorder has the lease, so this board records nothing.
  await board.redis.set(keys.recorderLease, 'another')
  const behind = await openBoard(redis.url, { namespace })
  try {
    const [waiter, awaited] = [newSessionId(), newSessionId()]
    for (const id of [waiter, awaited]) await behind.store.accept(acceptance(id))
    const looks = async (): Promise<number> =>
      Number(/cmdstat_hgetall:calls=(\d+)/.exec(await board.redis.info('commandstats'))?.[1] ?? 0)
    const before = await looks()
    const leaves = new AbortController()
    const headers = { accept: 'text/event-stream', 'drover-session': waiter, 'drover-wait': 'completed' }
    const url = `${behind.url}/api/v1/sessions/${awaited}/events`
    const asked = fetch(url, { headers, signal: leaves.signal }).catch(() => null)
    await until(async () => (await looks()) > before)
    leaves.abort()
    await asked
    await behind.redis.del(keys.recorderLease)
    await until(async () => (await behind.get(`/api/v1/sessions/${awaited}`)).status === 200)
    await expect.poll(() => behind.redis.zcard(keys.waits), { timeout: 2000 }).toBe(0)
  } finally {
    await behind.stop()
  }
})
