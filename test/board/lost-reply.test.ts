/** What is said through a board whose answer from Redis is lost: asked again, it is done once. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../src/core/ids.ts'
import { createProxy, type Proxy } from '../fault/rig/proxy.ts'
import { createRandom } from '../fault/rig/random.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { openBoard, type TestBoard } from './open-board.ts'
import { playSession } from './play-session.ts'

let redis: TestRedis
let proxy: Proxy
let board: TestBoard
beforeAll(async () => {
  redis = await startRedis()
  proxy = await createProxy(() => redis.port, createRandom(1))
  board = await openBoard(`redis://127.0.0.1:${proxy.port}`)
})
afterAll(async () => {
  await board.stop()
  await proxy.close()
  await redis.stop()
})

/** What is there to be spoken to. */
interface Scene {
  readonly session: string
  readonly question: string
  /** For an architect, sent by nobody's agent. */
  readonly mail: string
}
interface Call {
  readonly path: string
  readonly body: object
  /** The command whose answer is lost. */
  readonly loses: string
  /** What there is one of afterwards: the event's type, and the id in its payload. */
  readonly event: readonly [type: string, id: string]
}

const sent = (path: string, body: object, id = newId()): Call => ({
  path,
  body: { ...body, message_id: id },
  loses: '"kind":"send"',
  event: ['drover.message.sent', id],
})
const CALLS: Readonly<Record<string, (scene: Scene) => Call>> = {
  send: ({ session }) => sent(`sessions/${session}/messages`, { text: 'x' }),
  answer: ({ session, question }) => ({
    path: `sessions/${session}/permissions`,
    body: { behavior: 'allow', request_id: question },
    loses: '"kind":"answer"',
    event: ['drover.message.answered', question],
  }),
  'send of mail': ({ session }) => sent('messages', { to: session, text: 'x' }),
  reply: ({ mail }) => ({
    ...sent(`messages/${mail}/reply`, { text: 'x' }),
    event: ['drover.message.answered', mail],
  }),
  acknowledge: ({ mail }) => ({
    path: `messages/${mail}/acknowledge`,
    body: {},
    loses: '"kind":"take"',
    event: ['drover.message.answered', mail],
  }),
}

/** Until Redis is there again for the board. */
const post = async (path: string, body: object): Promise<any> =>
  await until(async () => {
    const answer = await board.post(`/api/v1/${path}`, body)
    return answer.status < 500 && answer.body
  })

test.for(Object.entries(CALLS))('the answer to %s is lost', async ([, callOf]) => {
  const session = await board.spawn()
  const agent = await playSession(board, session)
  const question = await agent.ask('rm one')
  const { message_id: mail } = await post('messages', { to: 'architect', text: 'Which port?' })
  const { path, body, loses, event } = callOf({ session, question, mail })
  const before = proxy.counts.repliesDropped
  proxy.mode({ kind: 'drop-replies', match: loses })
  const first = await board.post(`/api/v1/${path}`, body)
  expect(proxy.counts.repliesDropped).toBe(before + 1)
  proxy.mode('pass')
  expect(first.body.success === true || first.body.error === 'redis_unavailable').toBe(true)

  expect(await post(path, body)).toMatchObject({ success: true, repeated: true })
  const isIts = ({ type, payload }: any): boolean =>
    type === event[0] && [payload.message_id, payload.request_id].includes(event[1])
  const recorded = async (): Promise<any[]> =>
    (await board.get('/api/v1/events?limit=200')).body.events.filter(isIts)
  await until(async () => (await recorded()).length > 0)
  expect(await recorded()).toHaveLength(1)
  await agent.end()
})
