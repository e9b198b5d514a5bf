/**
 * Properties of the projections: whatever the histories of sessions, in whatever batches they come, however often parts
 * are repeated, however they lie beside one another, and also when lines come only after what follows them, the tables
 * are the same; and whatever JSON an agent prints, it is kept as it was printed.
 */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { pendingTask, recordTexts, scriptedSession, type ScriptedAgent } from './scripted-session.ts'

const RUNS = 15

/** One agent of a session: what it says, how it ends, and whether its last words come when the next one runs. */
const agentLife = fc.record({
  lines: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('said' as const), text: fc.string({ unit: 'grapheme', maxLength: 20 }) }),
      fc.record({ kind: fc.constant('result' as const), micros: fc.nat({ max: 5000 }) }),
      fc.record({
        kind: fc.constant('health' as const),
        health_status: fc.constantFrom('healthy', 'stalled'),
      }),
    ),
    { maxLength: 6 },
  ),
  started: fc.boolean(),
  status: fc.constantFrom('completed', 'failed', 'killed', 'stalled'),
  isAway: fc.boolean(),
})
const sessionLife = fc.record({
  agents: fc.array(agentLife, { maxLength: 3 }),
  hasTask: fc.boolean(),
  isCancelled: fc.boolean(),
  end: fc.constantFrom('completed', 'failed', 'cancelled', null),
})
type SessionLife = typeof sessionLife extends fc.Arbitrary<infer T> ? T : never

/** The events of the `index`th session, its task's first. */
function eventsOf(life: SessionLife, index: number): string[] {
  const taskId = `T${index}`
  const session = scriptedSession(`s${index}`).accepted(life.hasTask ? { task_id: taskId } : {})
  session.own('drover.session.claimed', { pod_id: 'pod-1' })
  let away: (() => void) | null = null
  let micros = 0
  for (const [nth, { lines, started, status, isAway }] of life.agents.entries()) {
    const number = index * 10 + nth + 1
    const agent: ScriptedAgent = {
      agentId: `architect-20261120-${String(number).padStart(3, '0')}`,
      epoch: number,
    }
    session.spawned(agent, { retry_count: nth, resumed: nth > 0 })
    away?.()
    away = null
    if (started) session.started(agent)
    const speak = (late: boolean): void => {
      for (const line of lines) {
        if (line.kind === 'said')
          session.line(agent, 'claude.assistant', { type: 'assistant', text: line.text }, late)
        else if (line.kind === 'result') session.result(agent, { usd: line.micros / 1e6 }, late)
        else if (!late) session.own('drover.agent.health', { ...line, cpu_percent: 1, memory_mb: 1 }, agent)
        if (line.kind === 'result') micros += line.micros
      }
      session.exited(agent, { status }, late).closed(agent, {}, late)
    }
    if (isAway && nth < life.agents.length - 1) away = () => speak(true)
    else speak(false)
    if (nth < life.agents.length - 1) session.own('drover.session.restarting', { restarts: nth + 1 }, agent)
  }
  if (life.isCancelled) {
    const actor = { via: 'cli', name: null }
    session.own('drover.session.cancel_requested', { actor, reason: 'no', grace_seconds: null, force: false })
  }
  if (life.end !== null) session.ended({ status: life.end, cost_micros: micros })
  return life.hasTask ? [pendingTask(taskId), ...session.events] : session.events
}

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

const lives = fc.array(sessionLife, { minLength: 1, maxLength: 4 })
const picks = fc.array(fc.nat({ max: 3 }), { maxLength: 30 })

it('any histories, batches, repeats and neighbours give the same tables', () => {
  fc.assert(
    fc.property(lives, picks, reading, (histories, order, steps) => {
      const lists = histories.map(eventsOf)
      expect(recorded(interleaved(lists, order), steps)).toEqual(recorded(lists.flat(), []))
    }),
    { numRuns: RUNS },
  )
})

const isLine = (text: string): boolean => !text.includes('"line":null')

it('lines that come after all that follows them give the same tables', () => {
  fc.assert(
    fc.property(lives, reading, fc.infiniteStream(fc.boolean()), (histories, steps, isHeld) => {
      const stream = histories.flatMap(eventsOf)
      const held = stream.filter((text) => isLine(text) && isHeld.next().value === true)
      const first = stream.filter((text) => !held.includes(text))
      expect(recorded([...first, ...held], steps)).toEqual(recorded(stream, []))
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
