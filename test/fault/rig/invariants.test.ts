/** The checker must find what it is there for: a session that went well, with one lie at a time. */
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { WitnessRecord } from '../../support/fake-claude.ts'
import { openField, type Field } from './field.ts'
import { findBreaches } from './invariants.ts'
import type { AgentRow, EventRow } from './ledger.ts'

let field: Field
let id: string
beforeAll(async () => {
  field = await openField({ pods: 1 })
  id = await field.spawn({ lines: 4, delay_ms: 20, cost_usd: 0.25 })
  await field.settled()
}, 60_000)
afterAll(() => field.close())

interface Lies {
  readonly events?: (events: readonly EventRow[]) => readonly EventRow[]
  readonly agents?: (agents: readonly AgentRow[]) => readonly AgentRow[]
  readonly witness?: (records: readonly WitnessRecord[]) => readonly WitnessRecord[]
  readonly accepted?: string[]
}

/** The same field, seen through the lies. */
function told(lies: Lies): Field {
  const { ledger } = field
  return {
    ...field,
    accepted: lies.accepted ?? field.accepted,
    settled: () => Promise.resolve(),
    witness: () => [...(lies.witness?.(field.witness()) ?? field.witness())],
    ledger: {
      ...ledger,
      events: (sessionId) => [...(lies.events?.(ledger.events(sessionId)) ?? ledger.events(sessionId))],
      agents: (sessionId) => [...(lies.agents?.(ledger.agents(sessionId)) ?? ledger.agents(sessionId))],
    },
  }
}

const breachesOf = async (lies: Lies): Promise<readonly string[]> => (await findBreaches(told(lies))).breaches
/** `seq` without a gap again. */
const renumbered = (events: readonly EventRow[]): EventRow[] =>
  events.map((event, index) => ({ ...event, seq: index + 1 }))
const again = (events: readonly EventRow[], type: string): EventRow[] =>
  renumbered([...events, ...events.filter((event) => event.type === type)])

test('a session that went well has no breach', async () => {
  const { breaches, figures } = await findBreaches(field)
  expect(breaches).toEqual([])
  expect(figures).toMatchObject({ sessions: 1, agents: 1, thawedOverlaps: 0, lateEvents: 0, tailsUnknown: 0 })
})

const CASES: readonly (readonly [what: string, lies: Lies, breach: RegExp])[] = [
  ['a lost session', { accepted: ['somebody'] }, /I3: somebody was acknowledged and is lost/],
  ['a missing event', { events: (events) => events.toSpliced(2, 1) }, /I5: .* has seq 4 where 3 belongs/],
  [
    'a missing last line',
    {
      events: (events) =>
        renumbered(events.filter((event) => event.line !== Math.max(...events.map(({ line }) => line ?? 0)))),
    },
    /I5: .* printed \d lines, the ledger has \d and no mark of it/,
  ],
  [
    'a missing line in between',
    { events: (events) => renumbered(events.filter((event) => event.line !== 2)) },
    /I5: .* has line 3 where 2 belongs/,
  ],
  [
    'a line that was not printed',
    { events: (events) => events.map((event) => (event.line === 2 ? { ...event, payload: '{}' } : event)) },
    /I5: line 2 of .* is not what it printed/,
  ],
  ['two ends', { events: (events) => again(events, 'drover.session.ended') }, /I3: .* has 2 ends/],
  [
    'a start after the end',
    { events: (events) => again(events, 'drover.agent.spawned') },
    /I4: .* drover.agent.spawned after its end/,
  ],
  [
    'a state that cannot follow',
    { events: (events) => renumbered(events.filter((event) => event.type !== 'drover.agent.spawned')) },
    /I3: .* running cannot follow queued/,
  ],
  [
    'an agent that nobody recorded',
    {
      witness: (records) => [
        ...records,
        // Ten times as late: long after the others.
        ...records.map((record) => ({ ...record, agent_id: 'ghost', mono_ns: `${record.mono_ns}0` })),
      ],
    },
    /I4: ghost ran and is not in the ledger/,
  ],
  [
    'two agents at once',
    { witness: (records) => [...records, ...records.map((record) => ({ ...record, agent_id: 'twin' }))] },
    /I1: .* and twin of type architect ran together/,
  ],
  [
    'a cost that is not what was reported',
    { agents: (agents) => agents.map((agent) => ({ ...agent, billed_micros: 1 })) },
    /I9: .* reported 250000 micro-dollars, the ledger has 1/,
  ],
]

test.for(CASES)('%s is found', async ([, lies, breach]) => {
  expect((await breachesOf(lies)).join('\n')).toMatch(breach)
})

test('a survivor is found', async () => {
  const survivor = spawn('sleep', ['60'], {
    env: { ...field.scratch.env, PATH: process.env['PATH'], DROVER_SESSION_ID: id },
    stdio: 'ignore',
  })
  try {
    expect(await breachesOf({})).toEqual([`I6: process ${survivor.pid} of ended session ${id} lives`])
  } finally {
    survivor.kill('SIGKILL')
    await new Promise((done) => survivor.once('exit', done))
  }
})
