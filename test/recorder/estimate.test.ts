import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTempLedger, type TempLedger } from '../ledger/temp-ledger.ts'
import { recordTexts, scriptedSession, type ScriptedAgent, type ScriptedSession } from './scripted-session.ts'

const ONE = { agentId: 'architect-20261120-001', epoch: 100 }
const TWO = { agentId: 'architect-20261120-002', epoch: 200 }

let temp: TempLedger
beforeEach(() => {
  temp = createTempLedger()
})
afterEach(() => temp.remove())

const record = (texts: readonly string[]) => recordTexts(temp.ledger, texts)
const session = (id: string) => temp.ledger.sessions.get(id)

interface Said {
  readonly id?: string
  readonly model?: string
  readonly input: number
  readonly output?: number
}

/** An assistant line of a message that used so much. */
function say(to: ScriptedSession, agent: ScriptedAgent, said: Said, late = false): ScriptedSession {
  const { id = 'msg_1', model = 'claude-opus-5-5', input, output = 0 } = said
  const usage = { input_tokens: input, output_tokens: output }
  const payload = { type: 'assistant', message: { id, model, usage, content: [] } }
  return to.line(agent, 'claude.assistant', payload, late)
}

const KILLED = { status: 'killed', exit_code: null, exit_signal: 'SIGKILL' } as const

describe('an agent that ends without a result', () => {
  it('adds what its messages used since its last one, marked', () => {
    const one = scriptedSession('s1').accepted().spawned(ONE)
    say(one, ONE, { input: 7, id: 'before' })
    one.result(ONE, { input: 7, usd: 0.5 })
    say(one, ONE, { input: 1000, output: 50 })
    say(one, ONE, { input: 1000, output: 50 })
    say(one, ONE, { id: 'msg_2', model: 'claude-haiku-5-5', input: 10 })
    record(one.events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.5, cost_estimated: false })

    record(
      one.exited(ONE, KILLED).ended({ usage: { ...NOTHING, input_tokens: 7 }, cost_micros: 500_000 }).events,
    )
    // 1000 × 4 + 50 × 20 of opus, 10 × 0.1 of haiku
    expect(session('s1')).toMatchObject({
      estimated_cost_usd: 0.505001,
      cost_estimated: true,
      input_tokens: 1017,
      output_tokens: 50,
      incomplete: false,
    })
    expect(temp.ledger.cost('session').rows).toMatchObject([{ cost_usd: 0.505001, estimated: true }])
    expect(
      temp.rows('SELECT model, estimated, input_tokens, cost_micros FROM invocation_model_usage'),
    ).toEqual([
      { model: 'claude-haiku-5-5', estimated: 1, input_tokens: 10, cost_micros: 1 },
      { model: 'claude-opus-5-5', estimated: 0, input_tokens: 7, cost_micros: 500_000 },
      { model: 'claude-opus-5-5', estimated: 1, input_tokens: 1000, cost_micros: 5000 },
    ])
    expect(temp.rows('SELECT cost_usd, cost_estimated, input_tokens FROM claude_invocations')).toEqual([
      { cost_usd: 0.505001, cost_estimated: 1, input_tokens: 1017 },
    ])
  })

  it('is estimated for its own session only, also where its id was given out twice', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { input: 1000 })
    record(one.exited(ONE, KILLED).events)
    const again = { ...ONE, epoch: 300 }
    record(say(scriptedSession('s2').accepted().spawned(again), again, { input: 7 }, true).events)
    record(say(scriptedSession('s3'), again, { input: 7 }, true).events)
    expect(session('s2')?.estimated_cost_usd).toBe(0)
    expect(temp.ledger.cost('session').total.cost_usd).toBe(session('s1')?.estimated_cost_usd)
  })

  it('is the same when its lines come late: one by one, at once, with a gap that is filled, and repeated', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { id: 'msg_0', input: 10 })
    one.exited(ONE, { status: 'superseded' })
    for (let n = 1; n <= 6; n++) say(one, ONE, { id: `msg_${n}`, input: 100 * n, output: 3 * n }, true)
    const [first, last] = [one.events.slice(0, 4), one.events.slice(4)]
    record(first)
    for (const text of [...last.slice(0, 2), ...last.slice(3), ...last.slice(1, 3), ...last]) record([text])
    const other = createTempLedger()
    try {
      recordTexts(other.ledger, one.events)
      const usage = 'SELECT * FROM invocation_model_usage'
      expect(temp.rows(usage)).toEqual(other.rows(usage))
      expect(temp.rows(usage)).toMatchObject([{ input_tokens: 2110, estimated: 1 }])
    } finally {
      other.remove()
    }
  })

  it('is not taken from a batch that was undone', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { id: 'msg_0', input: 10 })
    one.exited(ONE, { status: 'superseded' })
    record(one.events)
    say(one, ONE, { id: 'msg_1', input: 100 }, true)
    say(one, ONE, { id: 'msg_2', input: 1000 }, true)
    const late = one.events.slice(-2)
    expect(() =>
      temp.ledger.transaction(() => {
        record(late)
        throw new Error('undone')
      }),
    ).toThrow('undone')
    record(late.slice(0, 1))
    expect(session('s1')?.input_tokens).toBe(110)
    record(late)
    expect(session('s1')?.input_tokens).toBe(1110)
  })

  it('is estimated when its successor starts, where nobody said its end', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { input: 1000 })
    record(one.spawned(TWO).events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.004, cost_estimated: true })
  })

  it('takes its result instead, when that comes late', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { input: 1000 })
    one.exited(ONE, { status: 'superseded' }).spawned(TWO).result(TWO, { usd: 0.1 })
    record(one.events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.104, cost_estimated: true })

    record(say(one, ONE, { id: 'msg_2', input: 2000 }, true).events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.112, cost_estimated: true })

    record(one.result(ONE, { input: 1, usd: 0.01 }, true).events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.11, cost_estimated: false, input_tokens: 1 })
    expect(temp.rows('SELECT cost_estimated FROM claude_invocations')).toEqual([
      { cost_estimated: 0 },
      { cost_estimated: 0 },
    ])
  })

  it('takes nothing at all, when its late result says so', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { input: 1000 })
    record(one.exited(ONE, { status: 'superseded' }).events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.004 })
    const nothing = { type: 'result', num_turns: 0, model_usage_since_last_result: {} }
    record(one.line(ONE, 'claude.result.success', nothing, true).events)
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0, cost_estimated: false, input_tokens: 0 })
    expect(temp.rows('SELECT input_tokens, cost_micros FROM claude_invocations')).toEqual([
      { input_tokens: 0, cost_micros: 0 },
    ])
  })
})

describe('a model whose price is not known', () => {
  const gpt = {
    type: 'result',
    num_turns: 1,
    model_usage_since_last_result: { gpt: { inputTokens: 100, outputTokens: 20, costUSD: 0.002 } },
  }

  it('counts tokens, and costs nothing that anybody could say', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, { model: 'gpt', input: 1000 })
    record(one.exited(ONE, KILLED).events)
    expect(session('s1')).toMatchObject({ input_tokens: 1000, estimated_cost_usd: 0, cost_estimated: true })
    expect(temp.rows('SELECT unpriced FROM invocation_model_usage')).toEqual([{ unpriced: 1 }])
  })

  it('costs what the session pays for it elsewhere, also later', () => {
    const one = say(scriptedSession('s1').accepted().spawned(ONE), ONE, {
      model: 'gpt',
      input: 1000,
      output: 10,
    })
    record(one.exited(ONE, KILLED).spawned(TWO).events)
    record(one.line(TWO, 'claude.result.success', gpt).events)
    // 200 weights for 0.002; 1000 + 5 × 10 weights
    expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.0125, cost_estimated: true })
  })
})

it('sums do not drift: a tenth of a micro-dollar a thousand times', () => {
  const one = scriptedSession('s1').accepted().spawned(ONE)
  for (let turn = 0; turn < 1000; turn += 1) one.result(ONE, { usd: 0.0000001 })
  // What the session's hash adds up: each rounded to 0.
  record(one.ended({ cost_micros: 0 }).events)
  expect(session('s1')).toMatchObject({ estimated_cost_usd: 0.0001, incomplete: false })
})

it('no claim of an agent makes a sum overflow, whatever the order', () => {
  const one = scriptedSession('s1').accepted().spawned(ONE)
  const most = { inputTokens: 1e10, costUSD: 100_000 }
  for (let turn = 0; turn < 200; turn += 1) {
    const models = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`m${index}`, most]))
    one.line(ONE, 'claude.result.success', {
      type: 'result',
      num_turns: 1,
      model_usage_since_last_result: models,
    })
  }
  const { faults } = record(one.exited(ONE).ended().events)
  expect(faults).toEqual([])
  expect(session('s1')).toMatchObject({ estimated_cost_usd: 9_000_000, status: 'completed' })
  expect(temp.ledger.cost('agent_type').total.cost_usd).toBe(9_000_000)
})

describe('any batching, repeat and kill', () => {
  interface Step {
    readonly agent: 0 | 1
    readonly kind: 'say' | 'result' | 'hostile'
    readonly message: number
    readonly input: number
    readonly nanos: number
  }
  const step = fc.record<Step>({
    agent: fc.constantFrom(0, 1),
    kind: fc.constantFrom('say', 'say', 'result', 'hostile'),
    message: fc.nat(4),
    input: fc.nat(100_000),
    nanos: fc.nat(10_000_000),
  })
  const HOSTILE = ['-5', '"9"', '1e400', '[]', 'null', '-1.5', '1e300']

  /** ONE is superseded by TWO before it has said all: the rest of it comes late. */
  function eventsOf(steps: readonly Step[], switchAt: number): readonly string[] {
    const one = scriptedSession('s1').accepted().spawned(ONE)
    steps.forEach(({ agent, kind, message, input, nanos }, index) => {
      if (index === switchAt) one.exited(ONE, { status: 'superseded' }).spawned(TWO)
      const [who, late] = index < switchAt ? [ONE, false] : agent === 0 ? [ONE, true] : [TWO, false]
      if (kind === 'say') say(one, who, { id: `m${message}`, input }, late)
      else if (kind === 'result') one.result(who, { input, usd: nanos / 1e9 }, late)
      else {
        const value: unknown = JSON.parse(HOSTILE[input % HOSTILE.length] ?? '0')
        const models = { 'claude-opus-5-5': { inputTokens: value, costUSD: value } }
        one.line(
          who,
          'claude.result',
          { type: 'result', num_turns: value, model_usage_since_last_result: models },
          late,
        )
      }
    })
    return one.exited(TWO).closed(TWO).events
  }

  /** The same by hand: results add up, and the messages behind an agent's last one at the price of opus. */
  function expected(steps: readonly Step[], switchAt: number): number {
    const unbilled = [new Map<number, number>(), new Map<number, number>()]
    let nanos = 0
    steps.forEach((one, index) => {
      const agent = index < switchAt ? 0 : one.agent
      if (one.kind === 'say') unbilled[agent]?.set(one.message, one.input)
      else unbilled[agent]?.clear()
      if (one.kind === 'result') nanos += Math.round((one.nanos / 1e9) * 1e9)
    })
    const tokens = unbilled.flatMap((messages) => [...messages.values()])
    // TWO ends only where it was spawned.
    return nanos + tokens.reduce((sum, input) => sum + input * 4000, 0)
  }

  it('gives the same rows, and the bill to the micro-dollar', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 25 }),
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
        (steps, at, sizes) => {
          const switchAt = at % steps.length
          const events = eventsOf(steps, switchAt)
          const whole = createTempLedger()
          const pieces = createTempLedger()
          try {
            recordTexts(whole.ledger, events)
            for (let from = 0, turn = 0; from < events.length; turn += 1) {
              const size = sizes[turn % sizes.length] ?? 1
              // A batch that was recorded already comes again, as after a kill before the position moved.
              recordTexts(pieces.ledger, events.slice(Math.max(0, from - 3), from + size))
              from += size
            }
            expect(pieces.dump()).toEqual(whole.dump())
            const [row] = whole.rows('SELECT cost_nanos, estimated_cost_micros FROM agent_sessions')
            const nanos = expected(steps, switchAt)
            expect(row).toEqual({ cost_nanos: nanos, estimated_cost_micros: Math.round(nanos / 1000) })
          } finally {
            whole.remove()
            pieces.remove()
          }
        },
      ),
      { numRuns: 15 },
    )
  })
})

const NOTHING = { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_creation_tokens: 0 }
