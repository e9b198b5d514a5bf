/** F04 and F05: an agent that cannot move is stalled, one that only says nothing is not. All at once on one pod. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { onWitnessClock } from './rig/starts.ts'

const IDLE_SECONDS = 2
const TYPES = {
  frozen: {},
  thawed: {},
  quiet: {},
  impatient: { idle_timeout_seconds: IDLE_SECONDS },
}
type Type = keyof typeof TYPES
/** For a busy machine, on top of a limit and the sample that finds it. */
const SLACK_MS = 1500
/** Stamps are whole milliseconds, on both sides. */
const ROUNDING_MS = 2

let field: Field
const ids = {} as Record<Type, string>
/** On the witness' clock. */
const stopped = {} as Record<'frozen' | 'thawed', number>

beforeAll(async () => {
  field = await openField({ pods: 1, types: TYPES })
  const talk = (until_file: Type): FakeScript => ({ lines: 5000, delay_ms: 40, until_file })
  ids.frozen = await field.spawn(talk('frozen'), { agentType: 'frozen' })
  ids.thawed = await field.spawn(talk('thawed'), { agentType: 'thawed' })
  ids.quiet = await field.spawn({ silence_ms: field.times.stallMs * 2 }, { agentType: 'quiet' })
  const still = { silence_ms: 60_000 }
  ids.impatient = await field.spawn(still, { agentType: 'impatient', autoRestart: false })
  await Promise.all([stop('frozen', null), stop('thawed', field.times.stallMs * 0.65)])
}, 60_000)
afterAll(() => field.close())

/** Stops the agent once it talks; wakes it up again after `forMs`. */
async function stop(type: 'frozen' | 'thawed', forMs: number | null): Promise<void> {
  const agent = await field.agentOf(ids[type])
  await field.recorded(ids[type], 'drover.agent.started')
  process.kill(agent.pid, 'SIGSTOP')
  stopped[type] = field.now()
  if (forMs === null) return
  await until(() => field.now() - stopped[type] >= forMs)
  process.kill(agent.pid, 'SIGCONT')
  field.tell(type)
}

const stallsOf = (type: Type) =>
  field.ledger.events(ids[type]).filter((event) => event.type === 'drover.agent.stalled')

test('F04 a frozen CLI is stalled at the limit and not before, ended, and restarted', async () => {
  await field.recorded(ids.frozen, 'drover.session.restarting')
  field.tell('frozen')
  expect(await field.ended(ids.frozen)).toMatchObject({ status: 'completed', restarts: 1 })
  const stalls = stallsOf('frozen')
  expect(stalls.length).toBe(1)
  const stalled = onWitnessClock(field, stalls[0]?.ts ?? '')
  const after = stalled - stopped.frozen
  // The guard may have looked just before the freeze, the event was written just after: rounding only.
  expect(after).toBeGreaterThanOrEqual(field.times.stallMs - ROUNDING_MS)
  const slack = SLACK_MS + field.stoodStill(stopped.frozen, stalled)
  expect(after).toBeLessThan(field.times.stallMs + 2 * field.times.heartbeatMs + slack)
  const [first, second] = field.ledger.agents(ids.frozen)
  expect(first?.status).toBe('stalled')
  expect(second).toMatchObject({ status: 'completed', retry_count: 1 })
  expect(second?.command).toContain('--resume')
})

test('F04 one that is woken before the limit is not stalled', async () => {
  expect(await field.ended(ids.thawed)).toMatchObject({ status: 'completed', restarts: 0 })
  expect(stallsOf('thawed')).toEqual([])
  expect(field.ledger.agents(ids.thawed).length).toBe(1)
})

test('F05 one that is silent for twice the limit, and lives, is not stalled', async () => {
  expect(await field.ended(ids.quiet)).toMatchObject({ status: 'completed', restarts: 0 })
  expect(stallsOf('quiet')).toEqual([])
  expect(field.ledger.agents(ids.quiet).length).toBe(1)
})

test('F05 one that neither works nor talks for the idle timeout is stalled', async () => {
  expect(await field.ended(ids.impatient)).toMatchObject({ status: 'failed', failure_reason: 'stalled' })
  const events = field.ledger.events(ids.impatient)
  const said = events.filter((event) => event.line !== null).at(-1)
  const saidAt = onWitnessClock(field, said?.ts ?? '')
  const stalled = onWitnessClock(field, stallsOf('impatient')[0]?.ts ?? '')
  const after = stalled - saidAt
  // Counted by the guard's samples: the last line was there up to one sample before it was seen.
  expect(after).toBeGreaterThanOrEqual(IDLE_SECONDS * 1000 - field.times.heartbeatMs - ROUNDING_MS)
  const slack = SLACK_MS + field.stoodStill(saidAt, stalled)
  expect(after).toBeLessThan(IDLE_SECONDS * 1000 + 2 * field.times.heartbeatMs + slack)
})

test('F04 F05 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ sessions: 4, lateEvents: 0, tailsUnknown: 0 })
})
