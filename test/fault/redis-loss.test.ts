/**
 * F09: Redis loses everything: by FLUSHALL, and by coming back empty. Nobody runs for a lease, what the ledger knows
 * is written back, what had not ended goes on, what had ended is not run again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectMcp, type Called, type Door, type McpConnection } from '../mcp/connect-mcp.ts'
import { fakePrompt, type FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { livesOfSession, startsOf, untilGone } from './rig/starts.ts'

const TIMES = { ttlMs: 2600, renewMs: 300, marginMs: 500 }
/** One lease of quarantine, at most another one for pods that must send again, and BullMQ's and our own looks. */
const RECOVERY_MS = 2 * TIMES.ttlMs + 10_000
/** It talks until the file is there. */
const talk = (until_file: string): FakeScript => ({ lines: 5000, delay_ms: 100, until_file })

const LOSSES = {
  FLUSHALL: async () => void (await field.redis.flushall()),
  'a restart without data': async () => {
    await field.killRedis()
    await field.startRedisAgain({ empty: true })
  },
} satisfies Record<string, () => Promise<void>>
type Loss = keyof typeof LOSSES

interface Story {
  /** Ended just before. */
  readonly ended: string
  /** An agent of it ran. */
  readonly running: string
  /** Behind it in the queue. */
  readonly queued: string
  /** On the witness' clock. */
  readonly lostAt: number
}
const stories = new Map<Loss, Story>()
/** Through which an agent waits for the queued session, all the while. */
const DOORS: Readonly<Record<Loss, Door>> = { FLUSHALL: 'HTTP', 'a restart without data': 'stdio' }
const callers = {} as Record<Loss, McpConnection>

let field: Field
beforeAll(async () => {
  field = await openField({ pods: 2, times: TIMES, types: { long: {}, brief: {} } })
  const url = String(field.board().ready['url'])
  await Promise.all(
    (Object.keys(LOSSES) as Loss[]).map(async (loss) => {
      callers[loss] = await connectMcp(DOORS[loss], { url })
    }),
  )
}, 60_000)
afterAll(async () => {
  await Promise.all(Object.values(callers).map((caller) => caller.close()))
  await field.close()
})

/** Asks for a session of the type and waits for its end, in one call of the tool. */
async function spawnAndWait(loss: Loss): Promise<{ readonly id: string; readonly called: Promise<Called> }> {
  // All others are asked for by the test; the ledger may not have the last one yet.
  const known = new Set(field.accepted)
  const args = { agent_type: 'long', task: fakePrompt({ lines: 1 }), workspace_dir: field.workspace }
  const called = callers[loss].call('spawn_agent', args)
  const { session_id: id } = await until(() =>
    field.ledger.sessions().find(({ session_id }) => !known.has(session_id)),
  )
  field.accepted.push(id)
  return { id, called }
}

const storyOf = (loss: Loss): Story => {
  const story = stories.get(loss)
  if (story === undefined) throw new Error(`${loss} did not happen`)
  return story
}

for (const loss of Object.keys(LOSSES) as Loss[]) {
  test(`F09 ${loss}: every session that had not ended comes back and ends, without a try`, async () => {
    const running = await field.spawn(talk(loss), { agentType: 'long' })
    const { id: queued, called } = await spawnAndWait(loss)
    await field.recorded(running, 'claude.assistant', 3)
    const ended = await field.spawn({ lines: 1 }, { agentType: 'brief' })
    await field.ended(ended)
    const { agentId } = await field.agentOf(running)
    await LOSSES[loss]()
    stories.set(loss, { ended, running, queued, lostAt: field.now() })
    await untilGone(field, agentId)
    field.tell(loss)
    expect(await field.ended(running)).toMatchObject({ status: 'completed', restarts: 0, incomplete: 0 })
    expect(await field.ended(queued)).toMatchObject({ status: 'completed', restarts: 0 })
    const { isError, document } = await called
    expect([isError, document]).toMatchObject([false, { success: true, session_id: queued, output: 'done' }])
  })

  test(`F09 ${loss}: no agent starts for a whole lease, and then one soon`, () => {
    const { running, queued, lostAt } = storyOf(loss)
    const starts = [running, queued]
      .flatMap((id) => livesOfSession(field, id))
      .map((life) => life.from - lostAt)
      .filter((after) => after > 0)
    const first = Math.min(...starts)
    process.stdout.write(`F09: ${loss}: the next agent started ${Math.round(first)} ms after the loss\n`)
    expect(first).toBeGreaterThan(TIMES.ttlMs)
    expect(first).toBeLessThan(RECOVERY_MS)
  })

  test(`F09 ${loss}: the agent of before was ended within its trust`, () => {
    const { running, lostAt } = storyOf(loss)
    const [old, next] = livesOfSession(field, running)
    expect(old?.to).toBeLessThan(lostAt + TIMES.ttlMs + field.stoodStill(lostAt, old?.to))
    expect(next?.from).toBeGreaterThan(old?.to ?? 0)
    expect(field.ledger.agents(running).at(-1)?.command).toContain('--resume')
  })

  test(`F09 ${loss}: a session that had ended stays so`, async () => {
    const { ended } = storyOf(loss)
    expect(startsOf(field, ended)).toHaveLength(1)
    // Written back too, so that a late job or a repeated key finds its end.
    expect(await field.redis.hget(field.keys.session(ended), 'state')).toBe('completed')
  })
}

test('F09 what was on the stream and not recorded yet is sent again by its pod, the end too', async () => {
  const id = await field.spawn({ ...talk('unrecorded'), text: 'not recorded yet' }, { agentType: 'brief' })
  await field.recorded(id, 'claude.assistant', 2)
  await field.board().kill()
  field.tell('unrecorded')
  const inLedger = field.ledger.events(id).length
  const state = async (): Promise<string | null> => await field.redis.hget(field.keys.session(id), 'state')
  await until(async () => (await state()) === 'completed', {
    message: 'the session to end without a recorder',
  })
  await field.redis.flushall()
  await field.startBoard()
  expect(await field.ended(id)).toMatchObject({
    status: 'completed',
    restarts: 0,
    incomplete: 0,
    result: 'not recorded yet',
  })
  expect(startsOf(field, id)).toHaveLength(1)
  expect(field.ledger.events(id).length).toBeGreaterThan(inLedger)
})

test('F09 leases are given again, for this life of Redis', async () => {
  const runId = /run_id:(\w+)/.exec(await field.redis.info('server'))?.[1]
  await until(async () => (await field.redis.get(field.keys.seeded)) === runId)
  const id = await field.spawn({ lines: 1 }, { agentType: 'brief' })
  expect(await field.ended(id)).toMatchObject({ status: 'completed' })
})

test('F09 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ sessions: 8, tailsUnknown: 0 })
})
