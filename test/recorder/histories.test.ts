/**
 * Properties of the projections: whatever the histories of sessions, in whatever batches they come, however often parts
 * are repeated, however they lie beside one another, and also when lines come only after what follows them, the tables
 * are the same; and whatever JSON an agent prints, it is kept as it was printed.
 */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { PROJECTION_TABLES } from '../../src/ledger/projections.ts'
import { rebuild } from '../../src/recorder/rebuild.ts'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { eventsOf, histories } from './any-history.ts'
import { recordTexts, scriptedSession } from './scripted-session.ts'

const RUNS = 15

/** Steps of a reader: so many events on, having gone so many back first. */
const reading = fc.array(fc.record({ back: fc.nat({ max: 15 }), on: fc.integer({ min: 1, max: 15 }) }), {
  maxLength: 20,
})
type Reading = readonly { readonly back: number; readonly on: number }[]

function record(ledger: TempLedger, stream: readonly string[], steps: Reading): void {
  let done = 0
  for (const { back, on } of [...steps, { back: 0, on: stream.length }]) {
    const batch = stream.slice(Math.max(0, done - back), done + on)
    if (batch.length > 0) expect(recordTexts(ledger.ledger, batch).faults).toEqual([])
    done = Math.min(stream.length, done + on)
  }
}

/** Each list in its order, side by side as `picks` has it. */
function interleaved(lists: readonly (readonly string[])[], picks: readonly number[]): string[] {
  const left = lists.map((list) => [...list])
  const stream: string[] = []
  for (let n = 0; left.some((list) => list.length > 0); n++) {
    const open = left.filter((list) => list.length > 0)
    stream.push(open[(picks[n % Math.max(1, picks.length)] ?? 0) % open.length]?.shift() ?? '')
  }
  return stream
}

/** Numbers of rows say in which order they were written, and `event_gap` that something was late: no more than that. */
const NUMBERS = new Set(['event_id', 'after_event_id', 'id', 'gap_id'])

function contentOf(ledger: TempLedger): Record<string, string[]> {
  const { event_gap: _gaps, ...tables } = ledger.dump()
  const plain = (name: string, value: unknown): unknown => (NUMBERS.has(name) ? undefined : value)
  return Object.fromEntries(
    Object.entries(tables).map(([table, rows]) => [
      table,
      rows.map((row) => JSON.stringify(row, plain)).toSorted(),
    ]),
  )
}

function withLedger<T>(use: (ledger: TempLedger) => T): T {
  const ledger = createTempLedger()
  try {
    return use(ledger)
  } finally {
    ledger.remove()
  }
}

const recorded = (stream: readonly string[], steps: Reading): Record<string, string[]> =>
  withLedger((ledger) => {
    record(ledger, stream, steps)
    return contentOf(ledger)
  })

const picks = fc.array(fc.nat({ max: 3 }), { maxLength: 30 })

it('any histories, batches, repeats and neighbours give the same tables', () => {
  fc.assert(
    fc.property(histories, picks, reading, (lives, order, steps) => {
      const lists = lives.map(eventsOf)
      expect(recorded(interleaved(lists, order), steps)).toEqual(recorded(lists.flat(), []))
    }),
    { numRuns: RUNS },
  )
})

const isLine = (text: string): boolean => !text.includes('"line":null')

it('lines that come after all that follows them give the same tables, and so does a rebuild', () => {
  fc.assert(
    fc.property(histories, reading, fc.infiniteStream(fc.boolean()), (lives, steps, isHeld) => {
      const stream = lives.flatMap(eventsOf)
      const held = stream.filter((text) => isLine(text) && isHeld.next().value === true)
      const first = stream.filter((text) => !held.includes(text))
      const inOrder = recorded(stream, [])
      withLedger((ledger) => {
        record(ledger, [...first, ...held], steps)
        expect(contentOf(ledger)).toEqual(inOrder)
        ledger.ledger.close()
        expect(Object.values(rebuild(ledger.path).changed)).toEqual(PROJECTION_TABLES.map(() => 0))
        expect(contentOf(ledger)).toEqual(inOrder)
      })
    }),
    { numRuns: RUNS },
  )
})

/** What no sane program prints, beside any JSON. */
const HOSTILE = [
  '1e400',
  '-0',
  '123456789012345678901234567890',
  '"\\ud800"',
  '"\\u0000"',
  '{"__proto__":{"type":"result"},"constructor":null}',
  '{"type":"result","type":"assistant","model_usage_since_last_result":{"m":{"costUSD":1e400,"inputTokens":-1}}}',
  '{"type":"assistant","message":{"content":[{"type":"text","text":{"a":[null]}}],"usage":"much"}}',
  '{"type":"result","result":{"deep":[]},"num_turns":"9","permission_denials":{}}',
  `${'['.repeat(900)}${']'.repeat(900)}`,
]
const payload = fc.oneof(fc.constantFrom(...HOSTILE), fc.json({ maxDepth: 6 }))
const lineType = fc.constantFrom(
  'claude.assistant',
  'claude.user',
  'claude.result',
  'claude.result.success',
  'claude.x',
)

it('whatever JSON an agent prints is kept as it was, and nothing stops', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(lineType, payload), { minLength: 1, maxLength: 20 }), (printed) => {
      const agent = { agentId: 'architect-20261120-001', epoch: 1 }
      const session = scriptedSession('s0').accepted().spawned(agent).started(agent)
      for (const [type] of printed) session.line(agent, type, '@')
      const texts = session.events.map((text, index) =>
        text.replace('"payload":"@"', () => `"payload":${printed[index - 3]?.[1] ?? ''}`),
      )
      withLedger((ledger) => {
        expect(recordTexts(ledger.ledger, texts).faults).toEqual([])
        expect(ledger.ledger.events.page('s0', 0, 100).events).toEqual(texts)
        const all = ledger.rows('SELECT cost_micros >= 0 AS sane FROM claude_invocations')
        expect(all).toEqual([{ sane: 1 }])
        recordTexts(ledger.ledger, session.ended().events.slice(-1))
        expect(ledger.ledger.sessions.get('s0')?.status).toBe('completed')
        while (ledger.ledger.search.fill(1000) > 0);
      })
    }),
    { numRuns: RUNS * 2 },
  )
})
