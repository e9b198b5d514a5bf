/** Measures the price table again: the real CLI reports the cost of one kind of token at a time. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { usageOfResult } from '../../src/core/usage.ts'
import { expectedCostMicros } from '../../src/rehearsal/expected.ts'
import { parseScript } from '../../src/rehearsal/load-script.ts'
import { PRICED_MODELS } from '../../src/core/prices.ts'
import { startRehearsal } from '../../src/rehearsal/rehearsal.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { runClaude } from './run-claude.ts'

let scratch: Scratch
beforeEach(async () => {
  scratch = await createScratch()
})
afterEach(() => scratch.check())

async function measure(model: string, usage: string) {
  const script = parseScript(`description: x\nagents: { '*': [{ text: a, usage: { ${usage} } }] }`, 'x.yaml')
  const rehearsal = await startRehearsal(script)
  try {
    const { lines, line } = await runClaude({ rehearsal, dir: scratch.dir, sessionId: randomUUID(), model })
    const init = z.looseObject({ model: z.string() }).parse(lines.find(({ subtype }) => subtype === 'init'))
    return { script, model: init.model, micros: usageOfResult(line).cost_micros }
  } finally {
    await rehearsal.stop()
  }
}

describe.each(PRICED_MODELS)('$alias', ({ alias, model, prices }) => {
  test.each(['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens'])(
    'is the model of the table and costs its price for %s',
    async (kind) => {
      const measured = await measure(alias, `${kind}: 80000`)
      expect(measured.model).toBe(model)
      expect(measured.micros).toBe(expectedCostMicros(measured.script, 'architect', prices))
      expect(measured.micros).toBeGreaterThan(0)
    },
  )

  test('costs its price for a prompt that is long in sum', async () => {
    const usage =
      'input_tokens: 40000, output_tokens: 1000, cache_read_tokens: 40000, cache_creation_tokens: 20080'
    const measured = await measure(alias, usage)
    expect(measured.micros).toBe(expectedCostMicros(measured.script, 'architect', prices))
  })
})
