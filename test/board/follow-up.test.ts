/** What is said to sessions, through the three doors: HTTP, `createClient` and the command line say the same. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, isDroverError, type Client } from '../../src/index.ts'
import { toSnake } from '../../src/producer/camel.ts'
import { openCli, type Cli } from '../cli/run-cli.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'
import { playSession, type PlayedAgent } from './play-session.ts'

let redis: TestRedis
let board: TestBoard
let client: Client
let cli: Cli
beforeAll(async () => {
  redis = await startRedis()
  board = await openBoard(redis.url)
  client = createClient({ url: board.url })
  cli = await openCli(board.url)
  await prepare()
})
afterAll(async () => {
  await cli.close()
  await board.stop()
  await redis.stop()
})

interface Answer {
  readonly behavior: 'allow' | 'deny'
  readonly requestId?: string
}
/** What a door answers, as a document. */
type Document = Readonly<Record<string, unknown>>
interface Door {
  send(id: string, text: string, key?: string): Promise<Document>
  interrupt(id: string): Promise<Document>
  answer(id: string, answer: Answer): Promise<Document>
}

/** The refusal of a call as the document that the other doors print. */
const asDocument = (call: Promise<object>): Promise<Document> =>
  call.then(
    (answer) => toSnake(answer) as Document,
    (error: unknown) => {
      if (!isDroverError(error)) throw error
      return { success: false, error: error.code, message: error.message, ...error.details }
    },
  )
const exits = new Map<Document, number | null>()
async function run(args: readonly string[]): Promise<Document> {
  const { code, document } = await cli.json(args)
  exits.set(document as Document, code)
  return document as Document
}
const post = async (path: string, body: object, headers = {}): Promise<Document> =>
  (await board.post(`/api/v1/sessions/${path}`, body, headers)).body as Document

const DOORS: Readonly<Record<'http' | 'typescript' | 'cli', Door>> = {
  http: {
    send: (id, text, key) =>
      post(`${id}/messages`, { text }, key === undefined ? {} : { 'idempotency-key': key }),
    interrupt: (id) => post(`${id}/interrupt`, {}),
    answer: (id, { behavior, requestId }) =>
      post(`${id}/permissions`, { behavior, ...(requestId === undefined ? {} : { request_id: requestId }) }),
  },
  typescript: {
    send: (id, text, idempotencyKey) =>
      asDocument(client.send(id, text, idempotencyKey === undefined ? {} : { idempotencyKey })),
    interrupt: (id) => asDocument(client.interrupt(id)),
    answer: (id, answer) => asDocument(client.answer(id, answer)),
  },
  cli: {
    send: (id, text, key) =>
      run(['send', id, text, ...(key === undefined ? [] : ['--idempotency-key', key])]),
    interrupt: (id) => run(['interrupt', id]),
    answer: (id, { behavior, requestId }) =>
      run([
        'sessions',
        'answer',
        id,
        `--${behavior}`,
        ...(requestId === undefined ? [] : ['--request', requestId]),
      ]),
  },
}
const NAMES = ['http', 'typescript', 'cli'] as const

/** Sessions to be refused for. */
const ids = {
  unknown: '5f1a2b3c-0000-4000-8000-00000000abcd',
  agent: 'architect-20200101-999',
  queued: '',
  ended: '',
  runs: '',
  answered: '',
}
let question = ''

async function prepare(): Promise<void> {
  ids.queued = await board.spawn()
  ids.ended = await board.spawn()
  await (await playSession(board, ids.ended)).end()
  ids.runs = await board.spawn()
  await playSession(board, ids.runs)
  ids.answered = await board.spawn()
  question = await (await playSession(board, ids.answered)).ask('rm one')
  expect(await post(`${ids.answered}/permissions`, { behavior: 'allow' })).toMatchObject({
    success: true,
    request_id: question,
  })
  await until(
    async () => (await board.get(`/api/v1/sessions/${ids.ended}`)).body.session.completed_at !== null,
  )
}

type Refusal = readonly [what: string, code: string, exit: number, ask: (door: Door) => Promise<Document>]
const REFUSALS: readonly Refusal[] = [
  ['a message to no session', 'session_not_found', 2, (door) => door.send(ids.unknown, 'x')],
  ['a message to no agent', 'agent_not_found', 2, (door) => door.send(ids.agent, 'x')],
  ['a message to an ended session', 'session_ended', 4, (door) => door.send(ids.ended, 'x')],
  ['a message without a word', 'invalid_request', 2, (door) => door.send(ids.runs, ' ')],
  ['an interrupt of no session', 'session_not_found', 2, (door) => door.interrupt(ids.unknown)],
  ['an interrupt of an ended one', 'session_ended', 4, (door) => door.interrupt(ids.ended)],
  ['an interrupt where no turn runs', 'session_not_running', 4, (door) => door.interrupt(ids.queued)],
  [
    'an answer to no session',
    'session_not_found',
    2,
    (door) => door.answer(ids.unknown, { behavior: 'allow' }),
  ],
  ['an answer to an ended one', 'session_ended', 4, (door) => door.answer(ids.ended, { behavior: 'allow' })],
  [
    'an answer where nothing is asked',
    'question_not_found',
    2,
    (door) => door.answer(ids.runs, { behavior: 'deny' }),
  ],
  [
    'an answer to another question',
    'question_not_found',
    2,
    (door) => door.answer(ids.runs, { behavior: 'deny', requestId: 'another' }),
  ],
  [
    'another answer to the same question',
    'already_answered',
    4,
    (door) => door.answer(ids.answered, { behavior: 'deny', requestId: question }),
  ],
]

describe.concurrent('refused alike by every door', () => {
  test.for(REFUSALS)('%s: %s', async ([, code, exit, ask]) => {
    const [http, typescript, command] = await Promise.all(NAMES.map((name) => ask(DOORS[name])))
    // A completed session has nothing to restart.
    const sentence = code === 'session_ended' ? /Ask for a new one with drover spawn\.$/ : /\.$/
    expect(http).toMatchObject({ success: false, error: code, message: expect.stringMatching(sentence) })
    expect(typescript).toEqual(http)
    // What the command line itself refuses, it says in its own words.
    expect(command).toEqual(code === 'invalid_request' ? expect.objectContaining({ error: code }) : http)
    expect(exits.get(command ?? {})).toBe(exit)
  })
})

describe.each(NAMES)('%s', (name) => {
  const door = DOORS[name]
  let id: string
  let agent: PlayedAgent
  beforeAll(async () => {
    id = await board.spawn()
    agent = await playSession(board, id)
  })

  const actorsOf = async (type: string): Promise<unknown[]> => {
    const { events } = (await board.get(`/api/v1/sessions/${id}/events?limit=1000`)).body
    return events.filter((event: any) => event.type === type).map((event: any) => event.payload.actor)
  }
  const actor = { via: name, name: null }

  test('a message is kept for its agent, once for a key, and recorded with who sent it', async () => {
    const sent = await door.send(id, 'Leave the tests as they are.', 'one')
    expect(sent).toMatchObject({
      success: true,
      session_id: id,
      agent_id: agent.agent.agentId,
      repeated: false,
      durability: 'ledger',
    })
    const again = await door.send(id, 'Leave the tests as they are.', 'one')
    expect(again).toMatchObject({ message_id: sent['message_id'], repeated: true })
    expect(await door.send(id, 'Another text', 'one')).toMatchObject({ error: 'idempotency_conflict' })
    expect(await actorsOf('drover.message.sent')).toEqual([actor])
  })

  test('an interrupt is answered when the agent has confirmed it', async () => {
    const [answer] = await Promise.all([door.interrupt(id), agent.obeyInterrupt()])
    expect(answer).toMatchObject({ success: true, action: 'interrupt', acknowledged: true })
    expect(await actorsOf('drover.session.interrupt_requested')).toEqual([actor])
  })

  test('a question is answered once; the same answer again is a repeat', async () => {
    const requestId = await agent.ask('rm one')
    await agent.ask('rm two')
    expect(await door.answer(id, { behavior: 'allow' })).toMatchObject({
      error: 'invalid_request',
      issues: [{ path: 'request_id' }],
    })
    const allow = { behavior: 'allow', requestId } as const
    expect(await door.answer(id, allow)).toMatchObject({ success: true, tool_name: 'Bash', repeated: false })
    expect(await door.answer(id, allow)).toMatchObject({ success: true, repeated: true })
    expect(await door.answer(id, { ...allow, behavior: 'deny' })).toMatchObject({ error: 'already_answered' })
    // One is left: it needs no name.
    expect(await door.answer(id, { behavior: 'deny' })).toMatchObject({ success: true, behavior: 'deny' })
    expect(await actorsOf('drover.message.answered')).toEqual([actor, actor])
  })
})
