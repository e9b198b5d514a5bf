import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { expectedCostMicros, expectedTotals } from '../../src/rehearsal/expected.ts'
import { loadScript, parseScript } from '../../src/rehearsal/load-script.ts'
import { PRICED_MODELS, pricesOf, type Prices } from '../../src/core/prices.ts'

function prices(model: string): Prices {
  const found = pricesOf(model)
  if (found === undefined) throw new Error(`${model} has a price`)
  return found
}

describe('expectedTotals', () => {
  test('sums the turns of an agent type', async () => {
    const script = await loadScript('cache-tokens')
    expect(expectedTotals(script, 'anybody')).toEqual({
      usage: { input_tokens: 300, output_tokens: 100, cache_read_tokens: 7000, cache_creation_tokens: 7320 },
      num_turns: 2,
    })
  })

  test('counts one turn, and one more for every tool call', async () => {
    const script = await loadScript('demo')
    expect(expectedTotals(script, 'architect').num_turns).toBe(2)
    expect(expectedTotals(script, 'code_developer').num_turns).toBe(5)
    expect(expectedTotals(script, 'somebody_else').num_turns).toBe(1)
  })

  test('ends before a turn that fails for ever, and takes one that recovers', async () => {
    expect(expectedTotals(await loadScript('api-error'), 'a').usage.output_tokens).toBe(0)
    expect(expectedTotals(await loadScript('overloaded'), 'a').usage.output_tokens).toBe(50)
  })

  test('bills a call that is cut off like one that is not', async () => {
    expect(expectedTotals(await loadScript('cut'), 'a')).toMatchObject({
      usage: { input_tokens: 2000, output_tokens: 100 },
      num_turns: 1,
    })
  })

  test('is zero for an agent type without turns, whatever it is called', () => {
    const script = parseScript(
      'description: x\nagents: { a: [{ text: b, usage: { input_tokens: 1 } }] }',
      'x.yaml',
    )
    for (const type of ['b', 'constructor']) {
      expect(expectedTotals(script, type)).toMatchObject({ usage: { input_tokens: 0 }, num_turns: 0 })
    }
  })
})

describe('expectedCostMicros', () => {
  test('prices every kind of token', async () => {
    const script = await loadScript('cache-tokens')
    // 300 × 2 + 100 × 10 + 7000 × 0.1 + 7320 × 2.5
    expect(expectedCostMicros(script, 'a', prices('sonnet'))).toBe(20_600)
    expect(expectedCostMicros(script, 'a', prices('claude-sonnet-5-5'))).toBe(20_600)
  })

  test('charges a long prompt by its call, not by the sum', () => {
    const turn = (input: number): string =>
      `{ text: a, usage: { input_tokens: ${input}, output_tokens: 1000 } }`
    const script = (...inputs: number[]) =>
      parseScript(`description: x\nagents: { a: [${inputs.map(turn).join(', ')}] }`, 'x.yaml')
    const haiku = prices('haiku')
    expect(expectedCostMicros(script(100_000), 'a', haiku)).toBe(10_500)
    expect(expectedCostMicros(script(100_000, 100_000), 'a', haiku)).toBe(21_000)
    expect(expectedCostMicros(script(100_010), 'a', haiku)).toBe(52_505)
  })
})

test('docs/rehearsal.md shows the price table', async () => {
  const text = await readFile(fileURLToPath(new URL('../../docs/rehearsal.md', import.meta.url)), 'utf8')
  const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  for (const { alias, model, prices } of PRICED_MODELS) {
    const { input, output, cacheRead, cacheCreation } = prices
    const inMicros = [input, output, cacheRead, cacheCreation].map((price) => String(price / 1_000_000))
    expect(rows).toContainEqual(['', alias, model, ...inMicros, ''])
  }
})

test('a model that was not measured has no price', () => {
  expect(pricesOf('gpt')).toBeUndefined()
})
