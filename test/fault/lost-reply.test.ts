/**
 * F12: a command is applied and its answer is lost with the connection, for each kind of command in turn. The client
 * sends it again: nothing happens twice, nothing is missing, and no try is used.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProducer, isDroverError, type Producer } from '../../src/index.ts'
import { fakePrompt, type FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import type { FieldPod } from './rig/pod.ts'
import { createProxy, type Proxy } from './rig/proxy.ts'
import { startsOf } from './rig/starts.ts'

/** A pod and a proxy for each, so that the cases go on side by side. */
const LANES = ['lane-1', 'lane-2', 'lane-3'] as const
const [TYPE] = LANES
const TALK: FakeScript = { lines: 8, delay_ms: 60, text: 'said once' }

/** A kind of command: what its bytes contain, and what the agent must do for it to be sent. */
interface Command {
  readonly match: (keys: Field['keys'], type: string) => string
  /** The how many-th such command. @default 1 */
  readonly nth?: number
  readonly script?: FakeScript
}

/** What a pod sends in one session's life, in that order. */
const COMMANDS = {
  // The one script that gives a lock with a job; BullMQ's look for stalled jobs names the same keys.
  "BullMQ's claim": { match: () => 'lockDuration' },
  claimed: { match: () => 'drover.session.claimed' },
  'acquire of the lease': { match: (keys, type) => keys.lease(type, 0) },
  start: { match: () => 'drover.agent.spawned' },
  started: { match: () => 'drover.agent.started' },
  'the first lines': { match: () => '"kind":"lines"' },
  'lines in the middle': { match: () => '"kind":"lines"', nth: 4 },
  'renew with the beat': { match: () => '"kind":"renew"' },
  "the extension of the job's lock": { match: () => ':lock', nth: 2 },
  restarting: { match: () => 'drover.session.restarting', script: { ...TALK, crash_on_attempts: [1] } },
  'the end': { match: () => 'drover.session.ended' },
  "BullMQ's completion": { match: (keys, type) => `${keys.queuePrefix}:${type}:completed` },
} satisfies Record<string, Command>
type Kind = keyof typeof COMMANDS
const KINDS = Object.keys(COMMANDS) as Kind[]

let field: Field
/** Resolves when the case is over, and all about it is as it should be. */
const cases = new Map<Kind, Promise<void>>()
let producerProxy: Proxy
let producer: Producer

beforeAll(async () => {
  field = await openField({
    pods: 0,
    board: false,
    types: Object.fromEntries(LANES.map((type) => [type, {}])),
  })
  const port = (): number => field.redis.options.port ?? 0
  producerProxy = await createProxy(port, field.random.stream('producer'))
  await field.startBoard()
  const pods = await Promise.all(LANES.map((type) => field.startPod({ id: type, types: [type] })))
  for (const [at, kind] of KINDS.entries()) {
    const lane = at % LANES.length
    const [pod, before] = [pods[lane], KINDS[at - LANES.length]]
    if (pod === undefined) throw new Error('a lane without a pod')
    const earlier = before === undefined ? Promise.resolve() : cases.get(before)?.catch(() => undefined)
    cases.set(
      kind,
      Promise.resolve(earlier).then(() => loseReply(pod, kind)),
    )
  }
  for (const one of cases.values()) one.catch(() => undefined)
  producer = createProducer({
    redisUrl: `redis://127.0.0.1:${producerProxy.port}`,
    namespace: field.namespace,
  })
}, 60_000)
afterAll(async () => {
  await producer.close()
  // The field looks for ports that are left.
  await field.board().stop()
  await producerProxy.close()
  await field.close()
})

async function expectOneRun(id: string, restarts = 0): Promise<void> {
  expect(await field.ended(id)).toMatchObject({ status: 'completed', restarts, result: 'said once' })
  expect(startsOf(field, id)).toHaveLength(restarts + 1)
  const types = field.ledger.events(id).map((event) => event.type)
  for (const type of ['drover.session.accepted', 'drover.session.claimed', 'drover.session.ended']) {
    expect(
      types.filter((one) => one === type),
      type,
    ).toHaveLength(1)
  }
  for (const type of ['drover.agent.spawned', 'drover.agent.started', 'drover.agent.closed']) {
    expect(
      types.filter((one) => one === type),
      type,
    ).toHaveLength(restarts + 1)
  }
}

/** One session on the pod, one answer of which is lost. */
async function loseReply({ id: type, proxy }: FieldPod, kind: Kind): Promise<void> {
  const { match, nth = 1, script = TALK }: Command = COMMANDS[kind]
  const before = proxy.counts.repliesDropped
  proxy.mode({ kind: 'drop-replies', match: match(field.keys, type), nth })
  const id = await field.spawn(script, { agentType: type })
  await field.ended(id)
  // After the end: the completion comes last.
  await until(() => proxy.counts.repliesDropped === before + 1, {
    message: `an answer to ${kind} to be dropped`,
  })
  await expectOneRun(id, script === TALK ? 0 : 1)
  const active = `${field.keys.queuePrefix}:${type}:active`
  await until(async () => (await field.redis.llen(active)) === 0, { message: 'the job to be finished' })
  proxy.mode('pass')
}

test.for(KINDS)('F12 the answer to %s is lost', async (kind) => {
  await expect(cases.get(kind)).resolves.toBeUndefined()
})

/** Asks until it is answered, as a caller with a key may. The field asks too: then it counts as acknowledged. */
async function spawnWithKey(key: string): Promise<string> {
  const request = { agentType: TYPE, prompt: fakePrompt(TALK), workspaceDir: field.workspace }
  for (let asked = 1; ; asked++) {
    try {
      const { sessionId } = await producer.spawn({ ...request, idempotencyKey: key })
      expect(await field.spawn(TALK, { idempotencyKey: key })).toBe(sessionId)
      return sessionId
    } catch (error) {
      if (asked >= 3 || !isDroverError(error) || error.code !== 'redis_unavailable') throw error
    }
  }
}

test.for(['accept', 'add'] as const)('F12 the answer to %s is lost to the producer', async (kind) => {
  // Connected, so that the command that is lost is not the first one.
  await field.ended(await spawnWithKey(`before ${kind}`))
  const key = `lost ${kind}`
  const before = producerProxy.counts.repliesDropped
  const match = kind === 'accept' ? key : `${field.keys.queuePrefix}:${TYPE}:id`
  producerProxy.mode({ kind: 'drop-replies', match })
  const id = await spawnWithKey(key)
  expect(producerProxy.counts.repliesDropped).toBe(before + 1)
  producerProxy.mode('pass')
  await expectOneRun(id)
})

test('F12 the invariants hold', async () => {
  // The cases', and two for each loss of the producer's. The recorder's own are in recorder-lost-reply.test.ts.
  expect(await checkInvariants(field)).toMatchObject({ sessions: KINDS.length + 4, tailsUnknown: 0 })
})
