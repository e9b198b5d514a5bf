import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OUTPUT_LIMIT } from '../../src/core/events.ts'
import { isSettled, NO_FACTS, observe, type StreamFacts } from '../../src/core/stream-facts.ts'
import { factsOf, transcriptLines, transcriptNames } from './transcripts.ts'

const init = { type: 'system', subtype: 'init', model: 'claude-opus', claude_code_version: '2.1.329' }
const assistant = (content: unknown, rest: object = {}) => ({
  type: 'assistant',
  message: { id: 'msg_1', content, usage: { input_tokens: 100, output_tokens: 1 } },
  parent_tool_use_id: null,
  ...rest,
})
const toolUse = (id: string) => ({ type: 'tool_use', id, name: 'Bash', input: {} })
const toolResult = (id: string) => ({
  type: 'user',
  message: { content: [{ type: 'tool_result', tool_use_id: id }] },
})
const result = (rest: object = {}) => ({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'ok',
  ...rest,
})
const tasks = (...ids: string[]) => ({ type: 'system', subtype: 'background_tasks_changed', tasks: ids })
const fold = (...messages: unknown[]): StreamFacts => messages.reduce<StreamFacts>(observe, NO_FACTS)

test('nothing was said before the first line', () => {
  expect(fold()).toBe(NO_FACTS)
  expect(isSettled(NO_FACTS)).toBe(false)
})

test('an init confirms the start and names model and version; the first one counts', () => {
  expect(fold(init)).toMatchObject({
    sawInit: true,
    model: 'claude-opus',
    version: '2.1.329',
    turnOpen: true,
  })
  expect(fold(init, { ...init, model: 'claude-haiku' }).model).toBe('claude-opus')
  expect(fold({ type: 'system', subtype: 'init', model: 3 })).toMatchObject({ sawInit: true, model: null })
})

test('the last result counts, and settles the agent until the next turn', () => {
  const first = fold(init, assistant([]), result({ result: 'one' }))
  expect(first).toMatchObject({ turnOpen: false, lastResult: { isError: false, text: 'one' } })
  expect(isSettled(first)).toBe(true)
  const second = observe(first, init)
  expect(second.lastResult).toBe(first.lastResult)
  expect(isSettled(second)).toBe(false)
  expect(observe(second, result({ result: 'two' })).lastResult?.text).toBe('two')
})

test.each([
  [{ is_error: false }, false],
  [{ is_error: true }, true],
  [{ is_error: 'false' }, true],
  [{ is_error: undefined }, true],
])('only an explicit is_error false is a success: %j', (member, isError) => {
  expect(fold(result(member)).lastResult?.isError).toBe(isError)
})

test('a result is read as far as it is of the right kind', () => {
  const odd = { subtype: 1, result: {}, errors: ['a', 2, 'b'], terminal_reason: [], api_error_status: '400' }
  expect(fold({ type: 'result', ...odd }).lastResult).toEqual({
    isError: true,
    subtype: null,
    text: null,
    errors: 'a\nb',
    terminalReason: null,
    stopReason: null,
    apiErrorStatus: null,
    apiError: null,
    startupFailureReason: null,
  })
  expect(fold({ type: 'result', errors: 'text' }).lastResult?.errors).toBe('')
})

test('a long text is cut, and says so', () => {
  const text = fold(result({ result: 'x'.repeat(OUTPUT_LIMIT + 1) })).lastResult?.text ?? ''
  expect(text).toHaveLength(OUTPUT_LIMIT)
  expect(text).toMatch(/\[cut: 1000001 characters in all\]$/)
})

describe('tool calls', () => {
  test('are open until their result comes', () => {
    const open = fold(init, assistant([toolUse('a'), { type: 'text' }, toolUse('b')]))
    expect(open.openToolCalls).toEqual([
      { id: 'a', name: 'Bash', beats: 0 },
      { id: 'b', name: 'Bash', beats: 0 },
    ])
    expect(observe(open, toolResult('a')).openToolCalls).toEqual([{ id: 'b', name: 'Bash', beats: 0 }])
    expect(observe(open, toolResult('c')).openToolCalls).toEqual(open.openToolCalls)
    expect(observe(open, { type: 'user', message: { content: 'hello' } })).toBe(open)
    expect(observe(open, { type: 'user' })).toBe(open)
  })

  test('of a subagent are none of the main loop', () => {
    const sub = assistant([toolUse('a')], { parent_tool_use_id: 'task', error: 'rate_limit' })
    expect(fold(init, result(), sub)).toMatchObject({
      openToolCalls: [],
      turnOpen: false,
      assistantError: null,
    })
  })

  test('end with their turn', () => {
    expect(fold(init, assistant([toolUse('a')]), result()).openToolCalls).toEqual([])
    expect(fold(init, assistant([toolUse('a')]), init).openToolCalls).toEqual([])
  })

  test('are bounded', () => {
    const many = Array.from({ length: 1001 }, (_, index) => toolUse(`t${index}`))
    expect(fold(assistant(many)).openToolCalls.map((call) => call.id)).toEqual(
      many.slice(1).map((call) => call.id),
    )
  })

  test('beat with their progress lines and their start as a task, each call for itself', () => {
    const open = fold(init, assistant([toolUse('a'), toolUse('b')]))
    const beatsAfter = (...lines: unknown[]): number[] =>
      lines.reduce<StreamFacts>(observe, open).openToolCalls.map(({ beats }) => beats)
    const progress = { type: 'tool_progress', tool_use_id: 'a-heartbeat-0', parent_tool_use_id: 'a' }
    const task = { type: 'system', subtype: 'task_started', tool_use_id: 'b', is_backgrounded: false }
    expect(beatsAfter(progress)).toEqual([1, 0])
    expect(beatsAfter(task, progress, progress)).toEqual([2, 1])
    expect(beatsAfter({ ...progress, parent_tool_use_id: 'c' }, { type: 'tool_progress' })).toEqual([0, 0])
    // Its hook runs before the call does; a task in the background has its result at once.
    expect(beatsAfter({ ...progress, tool_use_id: 'hook-PreToolUse-a-heartbeat-0' })).toEqual([0, 0])
    expect(beatsAfter({ ...task, is_backgrounded: true })).toEqual([0, 0])
  })

  test('without an id or a name are counted all the same', () => {
    expect(fold(assistant([{ type: 'tool_use' }])).openToolCalls).toEqual([{ id: '', name: '', beats: 0 }])
  })
})

describe('background work', () => {
  test('is what the last full list says', () => {
    expect(fold(tasks('a', 'b')).backgroundTasks).toBe(2)
    expect(fold(tasks('a', 'b'), tasks()).backgroundTasks).toBe(0)
    expect(fold(tasks('a'), { type: 'system', subtype: 'background_tasks_changed' }).backgroundTasks).toBe(1)
    expect(isSettled(fold(init, tasks('a'), result()))).toBe(false)
  })

  test('that is left at the result makes a further turn due, until that turn begins', () => {
    const left = fold(init, tasks('a'), result())
    expect(left.turnDue).toBe(true)
    expect(observe(left, tasks())).toMatchObject({ turnDue: true, backgroundTasks: 0 })
    expect(fold(init, tasks('a'), result(), tasks(), init, result())).toMatchObject({ turnDue: false })
  })

  test('that begins after the result does so too, and within a turn does not', () => {
    expect(fold(init, result(), tasks('a')).turnDue).toBe(true)
    expect(fold(init, tasks('a')).turnDue).toBe(false)
    expect(fold(tasks('a')).turnDue).toBe(false)
  })

  test('queued messages make a further turn due', () => {
    expect(fold(init, result({ queued_turn_count: 1 })).turnDue).toBe(true)
    expect(fold(init, result({ queued_turn_count: 0 })).turnDue).toBe(false)
    expect(fold(init, result({ queued_turn_count: 'x' })).turnDue).toBe(false)
  })
})

test("the error is that of the main loop's last message", () => {
  const failed = fold(init, assistant([], { error: 'rate_limit' }))
  expect(failed.assistantError).toBe('rate_limit')
  expect(observe(failed, assistant([])).assistantError).toBe(null)
  expect(observe(failed, init).assistantError).toBe(null)
})

describe('permission denials', () => {
  const denial = (id: string, input = 'x') => ({
    tool_name: 'Bash',
    tool_use_id: id,
    tool_input: { command: input },
  })
  const ids = (facts: StreamFacts) =>
    facts.permissionDenials.map((one) => JSON.stringify(one).match(/"tool_use_id":"(\w+)"/)?.[1])

  test('of all results are kept, each once', () => {
    const facts = fold(
      result({ permission_denials: [denial('a')] }),
      result({ permission_denials: [] }),
      result({ permission_denials: 'none' }),
      result({ permission_denials: [denial('a'), denial('b')] }),
    )
    expect(ids(facts)).toEqual(['a', 'b'])
  })

  test('of any kind are kept: who cannot be told apart counts', () => {
    expect(fold(result({ permission_denials: [1, null] })).permissionDenials).toEqual([1, null])
  })

  test('are bounded in number and size', () => {
    const many = Array.from({ length: 150 }, (_, index) => denial(`d${index}`))
    expect(fold(result({ permission_denials: many })).permissionDenials).toHaveLength(100)
    const [large, list] = fold(
      result({ permission_denials: [denial('a', 'x'.repeat(20_000)), ['y'.repeat(20_000)]] }),
    ).permissionDenials
    expect(large).toEqual({
      tool_name: 'Bash',
      tool_use_id: 'a',
      tool_input: expect.stringMatching(/^\[cut: 20\d{3} characters in all\]$/) as unknown,
    })
    expect(list).toMatchObject({ tool_name: null, tool_use_id: null })
    const deep: unknown = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000))
    const [nested] = fold(
      result({ permission_denials: [{ tool_use_id: 'b', tool_input: deep }] }),
    ).permissionDenials
    expect(nested).toEqual({ tool_name: null, tool_use_id: 'b', tool_input: '[cut: nested too deeply]' })
  })
})

describe('a usage limit', () => {
  const event = (info: unknown) => ({ type: 'rate_limit_event', rate_limit_info: info })

  test('that refused names its reset, until a request is allowed again', () => {
    const refused = fold(init, event({ status: 'rejected', resetsAt: 1795212928 }))
    expect(refused.limitResetsAt).toBe(1795212928)
    expect(observe(refused, assistant([])).limitResetsAt).toBe(1795212928)
    expect(observe(refused, event({ status: 'allowed', resetsAt: 1 })).limitResetsAt).toBe(null)
  })

  test('is also read from the error message itself', () => {
    const info = { status: 'rejected', resetsAt: 5 }
    expect(fold(assistant([], { api_error_params: { rate_limit_info: info } })).limitResetsAt).toBe(5)
  })

  test.each([
    null,
    3,
    {},
    { status: 'allowed' },
    { status: 'rejected' },
    { status: 'rejected', resetsAt: '5' },
  ])('that is not said is not invented: %j', (info) => {
    expect(fold(event(info)).limitResetsAt).toBe(null)
  })
})

describe('what was used', () => {
  const since = (costUSD: number) => ({
    num_turns: 2,
    model_usage_since_last_result: { a: { inputTokens: 10, outputTokens: 1, costUSD } },
  })

  test('is the sum over all results', () => {
    expect(fold(result(since(0.001)), result(since(0.002))).billed).toEqual({
      usage: { input_tokens: 20, output_tokens: 2, cache_read_tokens: 0, cache_creation_tokens: 0 },
      cost_micros: 3000,
      num_turns: 4,
      suspect: false,
    })
  })
})

test.each([
  null,
  undefined,
  'text',
  3,
  [],
  {},
  { type: 'stream_event' },
  { type: 'keep_alive' },
  { type: 7 },
])('what is not known changes nothing: %j', (message) => {
  expect(observe(NO_FACTS, message)).toBe(NO_FACTS)
})

test('anything at all can be observed, in bounded memory', () => {
  const known = fc.constantFrom(
    'type',
    'subtype',
    'message',
    'tasks',
    'result',
    'is_error',
    'permission_denials',
    'error',
  )
  const hostile = fc.dictionary(
    known,
    fc.oneof(
      fc.constantFrom('system', 'init', 'assistant', 'user', 'result', 'rate_limit_event'),
      fc.anything(),
    ),
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(hostile, fc.anything()), { maxLength: 30 }), (messages) => {
      const facts = fold(...messages)
      expect(facts.openToolCalls.length).toBeLessThanOrEqual(1000)
      expect(facts.permissionDenials.length).toBeLessThanOrEqual(100)
      expect(Object.prototype).not.toHaveProperty('type')
    }),
    { numRuns: 1000 },
  )
})

describe('the transcripts', () => {
  test.each(transcriptNames())('%s leaves no tool call open where its turn ended', (name) => {
    const { lastResult, turnOpen, openToolCalls } = factsOf(name)
    expect(lastResult !== null && !turnOpen ? openToolCalls : []).toEqual([])
  })

  test.each(transcriptNames())('%s changes no facts that were given out before', (name) => {
    const before = factsOf(name, 3)
    const copy = structuredClone(before)
    transcriptLines(name).slice(3).reduce<StreamFacts>(observe, before)
    expect(before).toEqual(copy)
  })

  test('show the tool call that a kill interrupted', () => {
    expect(factsOf('signal-bash-SIGKILL-pid').openToolCalls).toEqual([
      { id: expect.stringMatching(/^toolu_/) as unknown, name: 'Bash', beats: 1 },
    ])
  })

  test('show a Bash call of 150 s beating every 30 s', () => {
    const lines = transcriptLines('long-bash150p')
    const upTo = lines.findLastIndex((line) => line['type'] === 'tool_progress') + 1
    // Its start as a task, and five lines.
    expect(factsOf('long-bash150p', upTo).openToolCalls).toMatchObject([{ name: 'Bash', beats: 6 }])
  })

  test('show what background work does to the end', () => {
    // The first result of a run that got a second one.
    const lines = transcriptLines('bgfull-ceil20')
    const first = lines.findIndex((line) => line['type'] === 'result') + 1
    expect(factsOf('bgfull-ceil20', first)).toMatchObject({
      backgroundTasks: 1,
      turnDue: true,
      turnOpen: false,
    })
    expect(factsOf('bgfull-ceil20')).toMatchObject({ backgroundTasks: 0, turnDue: false, turnOpen: false })
    expect(isSettled(factsOf('bgfull-ceil20'))).toBe(true)
  })
})
