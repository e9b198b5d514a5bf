import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  classifyOutcome,
  NO_FACTS,
  observe,
  type Asked,
  type Outcome,
  type OutcomeInput,
} from '../../src/core/outcome.ts'
import { AGENT_TRANSITIONS, FAILURE_REASONS } from '../../src/core/state.ts'
import type { StreamFacts } from '../../src/core/stream-facts.ts'
import { readDoc, tableRows } from './tables.ts'
import { expectationNames, factsOf, readExpectation, transcriptNames } from './transcripts.ts'

const nothing: OutcomeInput = { facts: NO_FACTS, exit: null, asked: null, stderrTail: '', spawnError: null }
const ended = (rest: Partial<OutcomeInput>) => classifyOutcome({ ...nothing, ...rest })
const code = (value: number) => ({ code: value, signal: null })
const SIGKILL = { code: null, signal: 'SIGKILL' }
const result = (rest: object = {}) => ({
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'ok',
  ...rest,
})
const init = { type: 'system', subtype: 'init' }
const fold = (...messages: unknown[]): StreamFacts => messages.reduce<StreamFacts>(observe, NO_FACTS)
const askedEnds: readonly Exclude<Asked, null>[] = [
  'cancel',
  'timeout',
  'stalled',
  'startup_timeout',
  'drain',
  'lease_lost',
  'guard_lost',
  'worker_lost',
  'restart',
  'mcp_failed',
  'end',
]

describe('the transcripts of the real CLI', () => {
  test('all have an expectation, and every expectation has a transcript', () => {
    expect(expectationNames()).toEqual(transcriptNames())
    expect(transcriptNames().length).toBeGreaterThanOrEqual(146)
  })

  test.each(transcriptNames())('%s', (name) => {
    const { because, input, expected } = readExpectation(name)
    const facts = factsOf(name)
    const outcome = classifyOutcome({ facts, ...input })
    expect(because).not.toBe('')
    expect({
      ...outcome,
      retry:
        typeof outcome.retry === 'string'
          ? outcome.retry
          : { pauseUntil: outcome.retry.pauseUntil?.toJSON() },
      permissionDenials: outcome.permissionDenials.length,
      message: undefined,
      costMicros: facts.billed.cost_micros,
      usage: facts.billed.usage,
      suspect: facts.billed.suspect,
    }).toEqual(expected)
    expect(outcome.message).toMatch(/^[A-Z].*\.$/)
  })
})

describe('a result that stands', () => {
  const facts = fold(init, result())

  test.each(askedEnds)('is not undone by a kill for %s', (asked) => {
    for (const exit of [code(143), code(0), code(1), SIGKILL, null]) {
      expect(ended({ facts, exit, asked })).toMatchObject({
        status: 'completed',
        failureReason: null,
        output: 'ok',
      })
    }
  })

  test('needs no exit 0, and exit 0 alone is no success', () => {
    expect(ended({ facts, exit: code(1) }).status).toBe('completed')
    expect(ended({ facts: fold(init), exit: code(0) })).toMatchObject({
      status: 'failed',
      failureReason: 'no_result',
    })
  })

  test('may come before any init', () => {
    expect(ended({ facts: fold(result()), exit: code(0) }).status).toBe('completed')
  })
})

describe('a result with a further turn after it', () => {
  const facts = fold(init, result(), init)

  test('is not the last word', () => {
    expect(ended({ facts, exit: SIGKILL })).toMatchObject({
      failureReason: 'crashed',
      retry: 'again',
      output: 'ok',
    })
    expect(ended({ facts, exit: code(0) })).toMatchObject({ failureReason: 'no_result' })
    expect(ended({ facts, exit: code(143), asked: 'cancel' }).status).toBe('cancelled')
  })

  test('stands where Drover had closed the input because of it', () => {
    expect(ended({ facts, exit: code(143), asked: 'end' }).status).toBe('completed')
  })

  test('is no error any more either', () => {
    const failed = fold(
      init,
      result({ is_error: true, api_error_status: 400, terminal_reason: 'api_error' }),
      init,
    )
    expect(ended({ facts: failed, exit: SIGKILL })).toMatchObject({ failureReason: 'crashed' })
  })
})

describe('a result with a further turn due', () => {
  const facts = fold(init, { type: 'system', subtype: 'background_tasks_changed', tasks: [1] }, result())

  test('stands when the CLI ended by itself, or when Drover ended it because of the result', () => {
    expect(ended({ facts, exit: code(0) }).status).toBe('completed')
    expect(ended({ facts, exit: SIGKILL, asked: 'end' }).status).toBe('completed')
  })

  test('does not stand when the process was killed before', () => {
    expect(ended({ facts, exit: SIGKILL })).toMatchObject({ failureReason: 'crashed', retry: 'again' })
    expect(ended({ facts, exit: null })).toMatchObject({ failureReason: 'crashed' })
    expect(ended({ facts, exit: code(143), asked: 'timeout' })).toMatchObject({ failureReason: 'timeout' })
  })
})

describe('an error that the CLI had reported by itself', () => {
  const facts = fold(
    init,
    { type: 'assistant', message: {}, error: 'authentication_failed' },
    result({ is_error: true, api_error_status: 401, terminal_reason: 'api_error' }),
  )

  test.each(askedEnds)('against %s', (asked) => {
    const reason = asked === 'cancel' ? 'cancelled' : asked === 'timeout' ? 'timeout' : 'auth_error'
    expect(ended({ facts, exit: code(143), asked })).toMatchObject({ failureReason: reason, retry: 'never' })
  })

  test('does not count when it is the trace of our own kill', () => {
    const aborted = fold(init, result({ is_error: true, terminal_reason: 'aborted_tools' }))
    expect(ended({ facts: aborted, exit: code(143), asked: 'drain' })).toMatchObject({ retry: 'hand_over' })
    expect(ended({ facts: aborted, exit: code(143), asked: 'stalled' })).toMatchObject({
      agentStatus: 'stalled',
    })
  })

  test('has no output: the text is about the failure', () => {
    expect(ended({ facts, exit: code(1) }).output).toBe(null)
  })
})

test('a full disk takes the place of a crash or a stall, and of nothing else', () => {
  const diskShortage = '0 MB of disk free, 100 are needed in /data'
  const crashed = ended({ exit: code(1), facts: fold(init), diskShortage })
  expect(crashed).toMatchObject({ retry: 'no_room', failureReason: 'crashed' })
  expect(crashed.message).toContain(diskShortage)
  expect(ended({ asked: 'stalled', diskShortage }).retry).toBe('no_room')
  expect(ended({ asked: 'timeout', diskShortage }).retry).toBe('never')
  expect(ended({ facts: fold(init, result()), exit: code(0), diskShortage }).status).toBe('completed')
})

describe('docs/outcomes.md', () => {
  const rows = tableRows(readDoc('outcomes.md'), 'what the CLI did')
  /** A line of the table: status, reason, what follows. */
  const shown = (expected: { status: string; failureReason: string | null; retry: unknown }): string => {
    const then = typeof expected.retry === 'string' ? expected.retry : 'pause'
    return `${expected.status} | ${expected.failureReason ?? '–'} | ${then}`
  }
  const claimed = (row: Record<string, string>): string =>
    `${row['status']} | ${row['failure_reason']} | ${row['then']}`
  const cases = (row: Record<string, string>): string[] => (row['checked with'] ?? '').split(', ')

  /** One entry of the last column, put to the classifier. */
  function outcomeOf(entry: string): Outcome {
    const asked = askedEnds.find((one) => entry === `asked:${one}`)
    if (asked !== undefined) return ended({ facts: fold(init), exit: code(143), asked })
    const [kind, value] = entry.split(':')
    if (kind === 'exit') return ended({ exit: code(Number(value)) })
    if (value !== undefined) return ended({ spawnError: `${kind} /srv/bin/claude ${value}` })
    return classifyOutcome({ facts: factsOf(entry), ...readExpectation(entry).input })
  }

  test('has the table', () => {
    expect(rows.length).toBeGreaterThan(30)
  })

  test.each(rows)('$what the CLI did', (row) => {
    const told = cases(row).map((entry) => `${entry}: ${shown(outcomeOf(entry))}`)
    expect(told).toEqual(cases(row).map((entry) => `${entry}: ${claimed(row)}`))
    expect(told).not.toHaveLength(0)
  })

  test('has a row for every outcome of the transcripts', () => {
    const known = new Set(rows.map(claimed))
    const missing = transcriptNames().filter((name) => !known.has(shown(readExpectation(name).expected)))
    expect(missing).toEqual([])
  })

  test('names all that Drover asks for', () => {
    const named = rows.flatMap(cases).filter((entry) => entry.startsWith('asked:'))
    const wanted = askedEnds.filter((asked) => asked !== 'end').map((asked) => `asked:${asked}`)
    expect(named.toSorted()).toEqual(wanted.toSorted())
  })

  test('explains each word of its third column', () => {
    const words = tableRows(readDoc('outcomes.md'), 'word').map((row) => row['word'] ?? '')
    expect(words.toSorted()).toEqual(['again', 'fresh', 'hand_over', 'never', 'no_room', 'pause', 'resume'])
    for (const row of rows) expect(words).toContain(row['then'])
  })
})

test('whatever happened, an outcome is whole and of the known words', () => {
  const anyResult = fc.record(
    {
      type: fc.constant('result'),
      subtype: fc.constantFrom('success', 'error_during_execution', 'error_max_turns', 'new_one'),
      is_error: fc.oneof(fc.boolean(), fc.anything()),
      result: fc.oneof(fc.string(), fc.anything()),
      errors: fc.anything(),
      terminal_reason: fc.constantFrom('completed', 'api_error', 'aborted_tools', 'new_one', null),
      stop_reason: fc.constantFrom('end_turn', 'refusal', null),
      api_error_status: fc.oneof(
        fc.constantFrom(400, 401, 402, 403, 404, 429, 500, 529, null),
        fc.anything(),
      ),
      api_error: fc.constantFrom('usage_limit_reached', 'new_one', null),
    },
    { requiredKeys: ['type'] },
  )
  const line = fc.oneof(
    fc.constant(init),
    fc.record({
      type: fc.constant('assistant'),
      error: fc.constantFrom('rate_limit', 'billing_error', 'new_one', 3),
    }),
    anyResult,
    fc.anything(),
  )
  const exit = fc.oneof(
    fc.constant(null),
    fc.record({
      code: fc.option(fc.integer({ min: 0, max: 255 }), { nil: null }),
      signal: fc.option(fc.constantFrom('SIGKILL', 'SIGTERM'), { nil: null }),
    }),
  )
  const anyInput = fc.record({
    facts: fc.array(line, { maxLength: 8 }).map((lines) => fold(...lines)),
    exit,
    asked: fc.constantFrom<Asked>(null, ...askedEnds),
    stderrTail: fc.string(),
    spawnError: fc.option(fc.string(), { nil: null }),
  })
  fc.assert(
    fc.property(anyInput, (input) => {
      const outcome = classifyOutcome(input)
      expect(classifyOutcome(input)).toEqual(outcome)
      expect(AGENT_TRANSITIONS[outcome.agentStatus]).toEqual([])
      expect(outcome.message).toMatch(/^[A-Z][^\n]*\.$/)
      const { status, failureReason: reason, retry, agentStatus } = outcome
      const completed = status === 'completed'
      expect(completed).toBe(reason === null)
      expect(completed).toBe(agentStatus === 'completed')
      expect(completed && (retry !== 'never' || input.facts.lastResult?.isError !== false)).toBe(false)
      expect(!completed && !FAILURE_REASONS.some((known) => known === reason)).toBe(false)
      expect(status === 'cancelled').toBe(reason === 'cancelled')
      expect((input.asked === 'cancel' || input.asked === 'timeout') && retry !== 'never').toBe(false)
    }),
    { numRuns: 3000 },
  )
})
