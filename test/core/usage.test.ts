import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NO_USAGE } from '../../src/core/envelope.ts'
import {
  addResultUsage,
  addUsage,
  microsToUsd,
  modelsOfResult,
  NOTHING_USED,
  usageOfMessage,
  usageOfResult,
} from '../../src/core/usage.ts'
import { transcriptLines, transcriptNames } from './transcripts.ts'

const model = {
  inputTokens: 100,
  outputTokens: 20,
  cacheReadInputTokens: 3000,
  cacheCreationInputTokens: 500,
  webSearchRequests: 0,
  costUSD: 0.0008,
}
const result = (since: unknown, rest: object = {}) => ({
  type: 'result',
  num_turns: 1,
  model_usage_since_last_result: since,
  ...rest,
})

test('a result adds what its models used since the last one', () => {
  const other = { ...model, inputTokens: 7, costUSD: 0.0000014 }
  expect(usageOfResult(result({ 'claude-opus': model, 'claude-haiku': other }, { num_turns: 3 }))).toEqual({
    usage: { input_tokens: 107, output_tokens: 40, cache_read_tokens: 6000, cache_creation_tokens: 1000 },
    cost_micros: 801,
    num_turns: 3,
    suspect: false,
  })
})

test('the cumulative fields of the same line count for nothing', () => {
  const line = result({ a: model }, { total_cost_usd: 99, modelUsage: { a: { ...model, inputTokens: 9e6 } } })
  expect(usageOfResult(line)).toMatchObject({ cost_micros: 800, suspect: false })
})

test('nothing used is nothing, and not suspect', () => {
  expect(usageOfResult(result({}, { num_turns: 0 }))).toEqual(NOTHING_USED)
})

describe('what is no plausible count is 0 and suspect', () => {
  const bad = [-1, 1.5, Number.NaN, Infinity, 1e300, '100', null, true, {}, [], [100]]

  test.each(['inputTokens', 'outputTokens', 'cacheReadInputTokens', 'cacheCreationInputTokens'] as const)(
    '%s',
    (key) => {
      for (const value of bad) {
        const { usage, cost_micros, suspect } = usageOfResult(
          result({ a: { ...model, [key]: value }, b: model }),
        )
        expect(suspect).toBe(true)
        expect(cost_micros).toBe(1600)
        const clean = addUsage(
          usageOfResult(result({ a: model })).usage,
          usageOfResult(result({ b: model })).usage,
        )
        const lost =
          Object.values(clean).reduce((a, b) => a + b) - Object.values(usage).reduce((a, b) => a + b)
        expect(lost).toBe(model[key])
      }
    },
  )

  test.each([-0.01, Number.NaN, Infinity, 100_001, '0.1', null, [1], undefined])('costUSD %s', (costUSD) => {
    const used = usageOfResult(result({ a: { ...model, costUSD }, b: model }))
    expect(used).toMatchObject({ cost_micros: 800, suspect: true })
    expect(used.usage.input_tokens).toBe(200)
  })

  test.each([-1, 0.5, '3', null, 1e9])('num_turns %s', (num_turns) => {
    expect(usageOfResult(result({ a: model }, { num_turns }))).toMatchObject({ num_turns: 0, suspect: true })
  })

  test.each([null, 3, 'text', [], [model], { a: 3 }, { a: null }, { a: [model] }])('usage %j', (since) => {
    expect(usageOfResult(result(since))).toMatchObject({ usage: NO_USAGE, cost_micros: 0, suspect: true })
  })
})

test('a minus zero is a zero', () => {
  const used = usageOfResult(
    JSON.parse('{"num_turns":-0,"model_usage_since_last_result":{"a":{"inputTokens":-0,"costUSD":-0}}}'),
  )
  expect(Object.is(used.usage.input_tokens, 0)).toBe(true)
  expect(Object.is(used.cost_micros, 0)).toBe(true)
  expect(Object.is(used.num_turns, 0)).toBe(true)
  expect(used.suspect).toBe(false)
})

describe('a result without the increment', () => {
  const usage = {
    input_tokens: 100,
    output_tokens: 20,
    cache_read_input_tokens: 30,
    cache_creation_input_tokens: 40,
  }
  const tokens = { input_tokens: 100, output_tokens: 20, cache_read_tokens: 30, cache_creation_tokens: 40 }

  test('of a process that used nothing adds nothing', () => {
    const zero = { usage: { input_tokens: 0 }, total_cost_usd: 0, num_turns: 0, result_index: 0 }
    expect(usageOfResult(zero)).toEqual(NOTHING_USED)
    expect(usageOfResult({})).toEqual(NOTHING_USED)
  })

  test.each([{}, { result_index: 0 }])(
    'is the whole bill as the first of its process, and suspect',
    (index) => {
      const used = usageOfResult({ usage, total_cost_usd: 0.0008, num_turns: 1, ...index })
      expect(used).toEqual({ usage: tokens, cost_micros: 800, num_turns: 1, suspect: true })
    },
  )

  test('adds no cumulative cost a second time', () => {
    const used = usageOfResult({ usage, total_cost_usd: 0.0024, num_turns: 1, result_index: 1 })
    expect(used).toEqual({ usage: tokens, cost_micros: 0, num_turns: 1, suspect: true })
  })

  test('may hold anything', () => {
    expect(usageOfResult({ usage: [], total_cost_usd: '1' })).toMatchObject({ cost_micros: 0, suspect: true })
    expect(usageOfResult({ usage: { input_tokens: -1 } })).toMatchObject({ usage: NO_USAGE, suspect: true })
  })
})

test('any value whatever gives counts that can be stored', () => {
  const anyResult = fc.record(
    {
      num_turns: fc.anything(),
      usage: fc.anything(),
      total_cost_usd: fc.anything(),
      result_index: fc.anything(),
      model_usage_since_last_result: fc.dictionary(
        fc.string(),
        fc.dictionary(fc.constantFrom(...Object.keys(model)), fc.oneof(fc.double(), fc.anything())),
      ),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(anyResult, fc.anything()), (message) => {
      const { usage, cost_micros, num_turns } = usageOfResult(message)
      for (const count of [...Object.values(usage), cost_micros, num_turns]) {
        expect(Number.isSafeInteger(count) && count >= 0 && !Object.is(count, -0)).toBe(true)
      }
    }),
    { numRuns: 2000 },
  )
})

test('the sum of results does not depend on how they are grouped', () => {
  const line = fc
    .record({
      inputTokens: fc.nat(1e6),
      outputTokens: fc.nat(1e6),
      costUSD: fc.double({ min: 0, max: 10, noNaN: true }),
    })
    .map((used) => usageOfResult(result({ a: used })))
  fc.assert(
    fc.property(fc.array(line), fc.array(line), (some, more) => {
      const sum = (list: typeof some) => list.reduce(addResultUsage, NOTHING_USED)
      expect(addResultUsage(sum(some), sum(more))).toEqual(sum([...more, ...some]))
    }),
  )
})

const increments = transcriptNames()
  .map((name) => ({ name, results: transcriptLines(name).filter((line) => line['type'] === 'result') }))
  .filter(({ results }) => results.at(-1)?.['model_usage_since_last_result'] !== undefined)

test.each(increments)("the increments of $name add up to the CLI's own total", ({ results }) => {
  const { cost_micros, suspect } = results.map(usageOfResult).reduce(addResultUsage, NOTHING_USED)
  expect(cost_micros).toBe(Math.round(Number(results.at(-1)?.['total_cost_usd']) * 1e6))
  expect(suspect).toBe(false)
})

test("a message's own usage is read as the API spells it", () => {
  expect(usageOfMessage({ input_tokens: 100, cache_read_input_tokens: 5, output_tokens: 1 })).toEqual({
    usage: { input_tokens: 100, output_tokens: 1, cache_read_tokens: 5, cache_creation_tokens: 0 },
    suspect: false,
  })
  expect(usageOfMessage({ input_tokens: '100' })).toEqual({ usage: NO_USAGE, suspect: true })
  expect(usageOfMessage(null)).toEqual({ usage: NO_USAGE, suspect: false })
})

describe('by models', () => {
  test('each has what it used, to a billionth of a dollar', () => {
    const haiku = { inputTokens: 7, outputTokens: 1, webSearchRequests: 2, costUSD: 0.0000012 }
    expect(modelsOfResult(result({ opus: model, haiku }))).toEqual({
      models: [
        {
          model: 'opus',
          input_tokens: 100,
          output_tokens: 20,
          cache_read_tokens: 3000,
          cache_creation_tokens: 500,
          web_search_requests: 0,
          cost_nanos: 800_000,
        },
        {
          model: 'haiku',
          input_tokens: 7,
          output_tokens: 1,
          cache_read_tokens: 0,
          cache_creation_tokens: 0,
          web_search_requests: 2,
          cost_nanos: 1200,
        },
      ],
      suspect: false,
    })
  })

  test('a cost is rounded once, and not per model', () => {
    const part = { costUSD: 0.0000004 }
    expect(usageOfResult(result({ a: part, b: part, c: part })).cost_micros).toBe(1)
  })

  test('names are kept short, and few', () => {
    const [first] = modelsOfResult(result({ ['x'.repeat(10_000)]: model })).models
    expect(first?.model).toHaveLength(200)
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`m${index}`, model]))
    const { models, suspect } = modelsOfResult(result(many))
    expect(models).toHaveLength(65)
    expect(models.at(-1)).toMatchObject({ model: 'unknown', input_tokens: 100 * (1000 - 64) })
    expect(suspect).toBe(true)
  })

  test('what was reported without them has no name', () => {
    const { models } = modelsOfResult({ usage: { input_tokens: 3 }, total_cost_usd: 0.5 })
    expect(models).toMatchObject([{ model: 'unknown', input_tokens: 3, cost_nanos: 500_000_000 }])
  })
})

test('micro-dollars are millionths', () => {
  expect(microsToUsd(1_234_567)).toBe(1.234567)
})
