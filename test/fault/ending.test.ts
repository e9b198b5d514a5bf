/**
 * F21: exit code and result do not match. F25: a process that the agent leaves behind holds its standard output.
 * Each case is an agent type, so that all of them run side by side.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FakeScript } from '../support/fake-claude.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { livesOfSession, onWitnessClock, startsOf } from './rig/starts.ts'

interface Ending {
  readonly script: FakeScript
  readonly status: 'completed' | 'failed'
  readonly reason: string | null
  /** Agents of the session: with one restart allowed, 2 where the end is worth a try. */
  readonly agents: 1 | 2
  /** What the guard saw of the last agent. */
  readonly exit: { readonly exit_code: number | null; readonly exit_signal: string | null }
}

const EXIT_0 = { exit_code: 0, exit_signal: null }
const EXIT_1 = { exit_code: 1, exit_signal: null }
const SIGKILL = { exit_code: null, exit_signal: 'SIGKILL' }
/** Longer than a pipe's 64 KiB; as one line, so that the cut is in the middle of it. */
const LONG_TEXT = 'x'.repeat(70_000)
const HALF_RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"do'

/** The table of outcomes: docs/outcomes.md has the rules behind it. */
const ENDINGS = {
  'success-exit-1': {
    script: { exit_code: 1, text: 'done all the same' },
    status: 'completed',
    reason: null,
    agents: 1,
    exit: EXIT_1,
  },
  'success-exit-1-at-once': {
    script: { exit_after_result: true, exit_code: 1 },
    status: 'completed',
    reason: null,
    agents: 1,
    exit: EXIT_1,
  },
  'no-result-exit-0': {
    script: { lines: 3, result: 'none' },
    status: 'failed',
    reason: 'no_result',
    agents: 2,
    exit: EXIT_0,
  },
  'no-result-exit-1': {
    script: { lines: 3, result: 'none', exit_code: 1 },
    status: 'failed',
    reason: 'crashed',
    agents: 2,
    exit: EXIT_1,
  },
  'error-exit-0': {
    script: { result: 'error', api_error_status: 400, exit_code: 0 },
    status: 'failed',
    reason: 'api_error',
    agents: 1,
    exit: EXIT_0,
  },
  'passing-error-exit-0': {
    script: { result: 'error', api_error_status: 529, exit_code: 0 },
    status: 'failed',
    reason: 'api_error',
    agents: 2,
    exit: EXIT_0,
  },
  'killed-after-result': {
    // The test kills it.
    script: { hang_after_result: true, text: 'before the kill' },
    status: 'completed',
    reason: null,
    agents: 1,
    exit: SIGKILL,
  },
  'hangs-after-result': {
    // Drover ends it.
    script: { hang_after_result: true, ignore_term: true },
    status: 'completed',
    reason: null,
    agents: 1,
    exit: SIGKILL,
  },
  'cut-in-a-line': {
    script: { half_line: `{"type":"assistant","text":"${LONG_TEXT}`, result: 'none' },
    status: 'failed',
    reason: 'no_result',
    agents: 2,
    exit: EXIT_0,
  },
  'cut-in-the-result': {
    script: { half_line: HALF_RESULT, result: 'none' },
    status: 'failed',
    reason: 'no_result',
    agents: 2,
    exit: EXIT_0,
  },
} satisfies Record<string, Ending>
type Name = keyof typeof ENDINGS
const NAMES = Object.keys(ENDINGS) as Name[]

const HOLDER = 'holds-stdout'
/**
 * Between the exit and the end of an agent whose output is held open. The matrix allows 2 s; a busy machine has taken 2.4,
 * and whoever waits for the holder waits as long as that lives.
 */
const FINISH_MS = 8000

let field: Field
const ids = {} as Record<Name | typeof HOLDER, string>

beforeAll(async () => {
  const types = [...NAMES, HOLDER].map((name) => [name, { max_restarts: 1 }] as const)
  field = await openField({
    pods: 1,
    types: Object.fromEntries(types),
    // All start at once: on a busy machine a program that is slow to leave must not be taken for one that hangs.
    times: { endGraceMs: 6000 },
  })
  for (const name of NAMES) ids[name] = await field.spawn(ENDINGS[name].script, { agentType: name })
  ids[HOLDER] = await field.spawn(
    { daemons: ['plain', 'setsid'], hold_stdout: true, daemon_dir: 'held' },
    { agentType: HOLDER },
  )
  const killed = ids['killed-after-result']
  const { pid } = await field.agentOf(killed)
  await field.recorded(killed, 'claude.result.success')
  process.kill(pid, 'SIGKILL')
}, 60_000)
afterAll(() => field.close())

test.for(NAMES)('F21 %s has the outcome of the table', async (name) => {
  const { status, reason, agents, exit }: Ending = ENDINGS[name]
  expect(await field.ended(ids[name])).toMatchObject({ status, failure_reason: reason, restarts: agents - 1 })
  expect(startsOf(field, ids[name])).toHaveLength(agents)
  expect(field.ledger.agents(ids[name]).at(-1)).toMatchObject(exit)
})

test('F21 the text of a result stands, however the process ended', async () => {
  expect((await field.ended(ids['success-exit-1'])).result).toBe('done all the same')
  expect((await field.ended(ids['killed-after-result'])).result).toBe('before the kill')
})

test('F21 a line that was cut is kept as it came, and is no result', async () => {
  await field.ended(ids['cut-in-the-result'])
  const texts = field.ledger.payloads(ids['cut-in-the-result'], 'claude.unparsed').map(({ raw }) => raw)
  expect(texts).toEqual([HALF_RESULT, HALF_RESULT])
  await field.ended(ids['cut-in-a-line'])
  const [cut] = field.ledger.payloads(ids['cut-in-a-line'], 'claude.unparsed')
  expect(String(cut?.['raw'])).toContain(LONG_TEXT)
})

test('F25 the exit is the end, though another process holds the output open', async () => {
  const id = ids[HOLDER]
  expect(await field.ended(id)).toMatchObject({ status: 'completed', restarts: 0 })
  const [life] = livesOfSession(field, id)
  const end = field.ledger.events(id).find((event) => event.type === 'drover.session.ended')
  const waited = onWitnessClock(field, end?.ts ?? '') - (life?.to ?? 0)
  expect(waited).toBeLessThan(FINISH_MS)
})

test('F21 F25 the invariants hold', async () => {
  const figures = await checkInvariants(field)
  expect(figures).toMatchObject({ sessions: NAMES.length + 1, tailsUnknown: 0 })
  await until(() => field.pods.every((pod) => pod.agents().length === 0))
})
