import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createUnbilled } from '../../src/core/unbilled.ts'
import { transcriptLines } from './transcripts.ts'

const OPUS = 'claude-opus-5-5'

function unbilledOf(...lines: unknown[]) {
  const unbilled = createUnbilled()
  for (const line of lines) unbilled.take(line)
  return unbilled.byModel()
}

interface Said {
  readonly id?: unknown
  readonly model?: string
  readonly usage?: unknown
  readonly content?: unknown
  readonly parent?: string
}

const said = ({ id = 'msg_1', model = OPUS, usage, content, parent }: Said) => ({
  type: 'assistant',
  parent_tool_use_id: parent ?? null,
  message: { id, model, usage, content },
})

test('a message counts once, with the usage of its last line', () => {
  const first = said({ usage: { input_tokens: 100, output_tokens: 1 } })
  const last = said({ usage: { input_tokens: 100, output_tokens: 40, cache_read_input_tokens: 1000 } })
  expect(unbilledOf(first, first, last)).toEqual([
    {
      model: OPUS,
      input_tokens: 100,
      output_tokens: 40,
      cache_read_tokens: 1000,
      cache_creation_tokens: 0,
      // 100 × 4 + 40 × 20 + 1000 × 0.2 micro-dollars
      cost_nanos: 1_400_000,
    },
  ])
})

test('subagents count with their own models', () => {
  const lines = [
    said({ usage: { input_tokens: 100, output_tokens: 20 } }),
    said({ id: 'msg_2', model: 'claude-haiku-5-5', usage: { input_tokens: 5 }, parent: 'toolu_1' }),
    said({ id: 'msg_3', usage: { input_tokens: 1 } }),
  ]
  expect(unbilledOf(...lines)).toMatchObject([
    { model: OPUS, input_tokens: 101, cost_nanos: 804_000 },
    { model: 'claude-haiku-5-5', input_tokens: 5, cost_nanos: 500 },
  ])
})

test('a long prompt has its price by its call, not by the sum', () => {
  const call = (id: string) => said({ id, model: 'claude-haiku-5-5', usage: { input_tokens: 60_000 } })
  expect(unbilledOf(call('a'), call('b'))).toMatchObject([{ cost_nanos: 12_000_000 }])
  const long = said({ model: 'claude-haiku-5-5', usage: { input_tokens: 120_000 } })
  expect(unbilledOf(long)).toMatchObject([{ cost_nanos: 60_000_000 }])
})

test('a model without a known price has tokens and no cost', () => {
  expect(unbilledOf(said({ model: 'gpt', usage: { input_tokens: 100 } }))).toMatchObject([
    { model: 'gpt', input_tokens: 100, cost_nanos: null },
  ])
})

describe('output of which only the first count was said', () => {
  const block = { type: 'text', text: 'x'.repeat(400) }
  const output = (count: number, ...contents: unknown[]) =>
    unbilledOf(
      ...contents.map((content) =>
        said({ usage: { input_tokens: 1, output_tokens: count }, content: [content] }),
      ),
    )[0]?.output_tokens

  test('is taken from what was printed, over all lines of the message', () => {
    expect(output(1, block)).toBe(100)
    expect(output(8, block, block)).toBe(200)
    expect(output(1, { type: 'tool_use', input: { command: 'x'.repeat(386) } })).toBe(100)
    expect(output(1, { type: 'thinking', thinking: 'x'.repeat(40) })).toBe(10)
    expect(output(4, { type: 'text', text: 'x' })).toBe(4)
  })

  test('any other count stands', () => {
    expect(output(0, block)).toBe(0)
    expect(output(9, block)).toBe(9)
    expect(output(500, block)).toBe(500)
  })
})

test.each([
  null,
  3,
  [],
  { type: 'user', message: { id: 'a', usage: { input_tokens: 3 } } },
  { type: 'assistant', message: null },
  said({ id: 7, usage: { input_tokens: 3 } }),
  said({ model: '<synthetic>', usage: { input_tokens: 3 } }),
  said({ usage: { input_tokens: -3, output_tokens: '4', cache_read_input_tokens: Infinity } }),
  said({}),
])('what is no used call counts nothing: %j', (line) => {
  expect(unbilledOf(line)).toEqual([])
})

test('the real CLI, killed in a tool call: the call that led to it', () => {
  const lines = transcriptLines('signal-bash-SIGKILL-pid')
  expect(unbilledOf(...lines)).toMatchObject([{ input_tokens: 100 }])
})

test('any lines whatever give counts that can be stored', () => {
  const key = fc.constantFrom(
    'input_tokens',
    'output_tokens',
    'cache_read_input_tokens',
    'cache_creation_input_tokens',
  )
  const hostile = fc
    .record({
      id: fc.oneof(fc.constantFrom('a', 'b'), fc.anything()),
      model: fc.constantFrom(OPUS, 'claude-haiku-5-5', '__proto__', ''),
      usage: fc.oneof(
        fc.dictionary(key, fc.oneof(fc.nat(), fc.double(), fc.maxSafeInteger())),
        fc.anything(),
      ),
      content: fc.anything(),
    })
    .map((message) => ({ type: 'assistant', message }))
  fc.assert(
    fc.property(fc.array(fc.oneof(hostile, fc.anything()), { maxLength: 20 }), (lines) => {
      for (const { model, ...counts } of unbilledOf(...lines)) {
        expect(model.length).toBeGreaterThan(0)
        for (const count of Object.values(counts)) {
          expect(count === null || (Number.isSafeInteger(count) && count >= 0)).toBe(true)
        }
      }
    }),
    { numRuns: 500 },
  )
})
