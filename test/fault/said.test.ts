/**
 * F38: what is said to a session, and what it asks, while who carries it dies: at each step from the inbox to the
 * conversation, and from the question to its answer. A message is in the conversation once, an answer counts once, and
 * what was waited for a person is nobody's time.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../src/core/ids.ts'
import { isDroverError } from '../../src/index.ts'
import { fakePrompt, type FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { FieldPod } from './rig/pod.ts'
import { createProxy, type Proxy } from './rig/proxy.ts'

const ASKS = { permission_mode: 'manual', permission_prompts: 'ask' }
/** A turn that lasts until somebody answers. */
const HELD: FakeScript = { ask: ['rm one'], text: 'first' }
/** Its turn lasts for long enough to die in it. */
const SECOND = fakePrompt({ silence_ms: 300, text: 'second' }, 'And now this.')
const HOUR_MS = 3_600_000
const LONG = { timeoutMs: 30_000 }

/** Where the worker dies, as its proxy sees it: a command that contains the text is the last one, or is not sent. */
interface Death {
  readonly at: 'before' | 'after'
  readonly match: (messageId: string) => string
  /** The message is sent, and its turn begins, before the worker dies. */
  readonly says: 'message' | 'nothing'
  /** The pod that goes on has another disk. */
  readonly elsewhere?: boolean
}

const DEATHS = {
  'before Redis has that the agent took it up': {
    at: 'before',
    match: () => '"state":"started"',
    says: 'message',
  },
  'before Redis drops the message': {
    at: 'before',
    match: (messageId) => `"done":["${messageId}"`,
    says: 'message',
    elsewhere: true,
  },
  'before Redis has that the answer was given': {
    at: 'before',
    match: () => 'drover.session.resumed',
    says: 'nothing',
    elsewhere: true,
  },
} satisfies Record<string, Death>
type Name = keyof typeof DEATHS
const NAMES = Object.keys(DEATHS) as Name[]
const typeOf = (name: Name): string => `death-${NAMES.indexOf(name)}`
/** Of one pod: two sessions wait for a person when its worker dies, and one is about to ask. */
const WAITING = ['asks', 'stopped', 'unasked'] as const
/** Of a pod whose guard is frozen while a person is waited for. */
const FROZEN = 'frozen'
/** Of a session that nobody runs. */
const QUEUED = 'queued'

let field: Field
/** Between the board and Redis. */
let boardProxy: Proxy
const ids = {} as Record<Name | (typeof WAITING)[number] | typeof FROZEN, string>
const messageIds = {} as Record<Name, string>

beforeAll(async () => {
  const types = [...NAMES.map(typeOf), ...WAITING, FROZEN, QUEUED]
  field = await openField({
    pods: 0,
    board: false,
    sharedDataDir: true,
    // A machine that is busy with starting pods must not lose a lease, or look stalled: each death is the one meant.
    times: { ttlMs: 3500, renewMs: 400, marginMs: 800, stallMs: 8000 },
    types: Object.fromEntries(types.map((type) => [type, ASKS])),
  })
  boardProxy = await createProxy(() => field.redis.options.port ?? 0, field.random.stream('board'))
  await startBoard()
  const pods = await Promise.all(
    NAMES.map((name) => field.startPod({ id: `pod-${typeOf(name)}`, types: [typeOf(name)] })),
  )
  const waiting = await field.startPod({ id: 'pod-waiting', types: WAITING })
  const frozen = await field.startPod({ id: 'pod-frozen', types: [FROZEN] })
  await Promise.all([
    ...NAMES.map((name, at) => dieAt(name, pods[at] ?? waiting)),
    dieInTheWait(waiting),
    freezeGuard(frozen),
  ])
  const isElsewhere = (name: Name): boolean => (DEATHS[name] as Death).elsewhere === true
  await Promise.all([
    field.startPod({
      id: 'rescue',
      types: [...NAMES.filter((name) => !isElsewhere(name)).map(typeOf), ...WAITING, FROZEN],
    }),
    field.startPod({
      id: 'elsewhere',
      types: NAMES.filter(isElsewhere).map(typeOf),
      dataDir: join(field.scratch.dir, 'another-machine'),
    }),
  ])
}, 90_000)
afterAll(async () => {
  // The field looks for ports that are left.
  await field.board().stop()
  await boardProxy.close()
  await field.close()
})

const startBoard = () => field.startBoard({ REDIS_URL: `redis://127.0.0.1:${boardProxy.port}` })

const stateOf = (sessionId: string) => field.redis.hget(field.keys.session(sessionId), 'state')
const reaches = (sessionId: string, state: string) =>
  until(async () => (await stateOf(sessionId)) === state, {
    timeoutMs: 30_000,
    message: () => `${sessionId} to be ${state}: ${typesOf(sessionId).join(', ')}`,
  })
const isPrinted = (sessionId: string, text: string) =>
  until(
    async () =>
      (await field.redis.xrange(field.keys.events, '-', '+')).some(
        ([, [, event = '']]) => event.includes(sessionId) && event.includes(text),
      ),
    { timeoutMs: 30_000, message: `${text} in ${sessionId}` },
  )

async function dieAt(name: Name, pod: FieldPod): Promise<void> {
  const { at, match, says }: Death = DEATHS[name]
  const messageId = newId()
  messageIds[name] = messageId
  ids[name] = await field.spawn(HELD, { agentType: typeOf(name) })
  await reaches(ids[name], 'waiting_input')
  if (says === 'message') {
    await field.producer.send(ids[name], SECOND, { messageId })
    await isPrinted(ids[name], '"state":"queued"')
  }
  pod.proxy.mode({ kind: 'trap', match: match(messageId), at })
  // A machine that was too slow for the lease has another agent, which asks again.
  await until(async () => (await field.producer.answer(ids[name], { behavior: 'allow' })).success, LONG)
  await pod.proxy.sprung()
  await pod.kill()
}

/** One waits for an answer, one for a message: for an hour already, by their hashes. Redis lacks the question of a third. */
async function dieInTheWait(pod: FieldPod): Promise<void> {
  ids.asks = await field.spawn(HELD, { agentType: 'asks', timeoutSeconds: 60 })
  ids.stopped = await field.spawn({ silence_ms: 60_000 }, { agentType: 'stopped', timeoutSeconds: 60 })
  await reaches(ids.asks, 'waiting_input')
  await reaches(ids.stopped, 'running')
  await until(async () => (await field.producer.interrupt(ids.stopped)).acknowledged, LONG)
  await reaches(ids.stopped, 'waiting_input')
  pod.proxy.mode({ kind: 'trap', match: 'drover.session.waiting_input', at: 'before' })
  ids.unasked = await field.spawn(HELD, { agentType: 'unasked' })
  await pod.proxy.sprung()
  // Kept by Redis, and never read by the worker.
  await field.producer.send(ids.asks, SECOND)
  await pod.kill()
  for (const id of [ids.asks, ids.stopped]) {
    const key = field.keys.session(id)
    const [startedAt, since] = await field.redis.hmget(key, 'started_at', 'waiting_since')
    await field.redis.hset(key, {
      started_at: new Date(Date.parse(startedAt ?? '') - HOUR_MS).toISOString(),
      waiting_since: Number(since) - HOUR_MS,
    })
  }
}

async function freezeGuard(pod: FieldPod): Promise<void> {
  ids[FROZEN] = await field.spawn(HELD, { agentType: FROZEN })
  await reaches(ids[FROZEN], 'waiting_input')
  pod.signalGuard('SIGSTOP')
}

/** Allows what the session asks, as often as it asks, until it has ended. */
async function conduct(sessionId: string): Promise<void> {
  await until(
    async () => {
      await field.producer.answer(sessionId, { behavior: 'allow' }).catch((error: unknown) => {
        if (!isDroverError(error)) throw error
      })
      return ['completed', 'failed', 'cancelled'].includes((await stateOf(sessionId)) ?? '')
    },
    { timeoutMs: 40_000, message: () => `the end of ${sessionId}: ${JSON.stringify(typesOf(sessionId))}` },
  )
}

const typesOf = (sessionId: string): string[] =>
  field.ledger
    .events(sessionId)
    .filter(({ line }) => line === null)
    .map(({ type }) => type)

/** What the last agent's conversation was told, in order: its file is on the disk of its pod. */
function toldTo(sessionId: string): string[] {
  const isElsewhere = field.ledger.agents(sessionId).at(-1)?.pod_id === 'elsewhere'
  const dir = join(field.scratch.dir, isElsewhere ? 'another-machine' : 'pods')
  const file = readdirSync(dir, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith(`${sessionId}.jsonl`),
  )
  const last = readFileSync(join(dir, file ?? ''), 'utf8')
    .trimEnd()
    .split('\n')
    .at(-1)
  return (JSON.parse(last ?? '') as { prompts: string[] }).prompts
}

test.for(NAMES.filter((name) => DEATHS[name].says === 'message'))(
  'F38 killed %s: the conversation has the message, once, and it is recorded as delivered',
  async (name) => {
    const id = ids[name]
    await conduct(id)
    expect(await field.ended(id)).toMatchObject({ status: 'completed' })
    // A copy of the conversation that is some moments old may not have it yet: then it is given again, and has it once.
    expect(toldTo(id).filter((prompt) => prompt === SECOND)).toHaveLength(1)
    const delivered = field.ledger.payloads(id, 'drover.message.delivered')
    expect(new Set(delivered.map((payload) => payload['message_id']))).toEqual(new Set([messageIds[name]]))
    expect(await field.redis.hget(field.keys.session(id), 'inbox')).toBe('0')
    expect(await field.producer.send(id, SECOND, { messageId: messageIds[name] })).toMatchObject({
      repeated: true,
    })
  },
)

test.for(['before Redis has that the answer was given', 'unasked'] as const)(
  'F38 killed %s: it is asked again, and each question has one answer',
  async (name) => {
    await conduct(ids[name])
    expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', result: 'first' })
    expectOneAnswerEach(ids[name])
  },
)

function expectOneAnswerEach(sessionId: string): void {
  const of = (type: string): unknown[] =>
    field.ledger.payloads(sessionId, type).map((payload) => payload['request_id'])
  const [asked, answered] = [of('drover.session.waiting_input'), of('drover.message.answered')]
  expect(answered.length).toBeGreaterThan(0)
  expect(new Set(answered).size).toBe(answered.length)
  expect(asked).toEqual(expect.arrayContaining(answered))
}

test('F38 a wait for an answer that outlives its worker is not the time of the session', async () => {
  await conduct(ids.asks)
  // What was said meanwhile is heard by the next agent.
  expect(await field.ended(ids.asks)).toMatchObject({ status: 'completed', result: 'second', restarts: 0 })
  expect(toldTo(ids.asks).filter((prompt) => prompt === SECOND)).toHaveLength(1)
  expect(waitedOf(ids.asks)).toBeGreaterThanOrEqual(HOUR_MS)
})

const waitedOf = (sessionId: string): number =>
  Math.max(
    ...field.ledger.payloads(sessionId, 'drover.session.resumed').map(({ waited_ms: ms }) => Number(ms)),
  )

test('F38 so is a wait for a message, which goes on without an agent', async () => {
  await field.producer.send(ids.stopped, SECOND)
  expect(await field.ended(ids.stopped)).toMatchObject({ status: 'completed', result: 'second', restarts: 0 })
  expect(waitedOf(ids.stopped)).toBeGreaterThanOrEqual(HOUR_MS)
})

test('F38 a guard that is frozen in the wait loses its agent, and another one asks', async () => {
  await until(() => field.ledger.agents(ids[FROZEN]).length >= 2, { timeoutMs: 40_000 })
  await conduct(ids[FROZEN])
  expect(await field.ended(ids[FROZEN])).toMatchObject({ status: 'completed', result: 'first' })
  expectOneAnswerEach(ids[FROZEN])
})

test('F38 a board is killed when Redis has a message and the sender has no answer: sent again, it is the same one', async () => {
  const id = await field.spawn({}, { agentType: QUEUED })
  const post = async (): Promise<any> => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ text: SECOND, message_id: messageId })
    const url = `${String(field.board().ready['url'])}/api/v1/sessions/${id}/messages`
    return await (await fetch(url, { method: 'POST', headers, body })).json()
  }
  const messageId = newId()
  await field.recorded(id, 'drover.session.accepted')
  boardProxy.mode({ kind: 'trap', match: messageId, at: 'after' })
  const answer = post().catch((error: unknown) => error)
  await boardProxy.sprung()
  await field.board().kill()
  boardProxy.cut()
  boardProxy.mode('pass')
  expect(await answer).toBeInstanceOf(Error)
  await startBoard()
  expect(await until(async () => (await post()) as { success: boolean })).toMatchObject({
    success: true,
    message_id: messageId,
    repeated: true,
  })
  await field.recorded(id, 'drover.message.sent')
  expect(field.ledger.payloads(id, 'drover.message.sent')).toHaveLength(1)
  await field.producer.kill(id)
})

test('F38 the invariants hold', async () => {
  const sessions = field.accepted.length
  expect(await checkInvariants(field)).toMatchObject({ sessions })
})
