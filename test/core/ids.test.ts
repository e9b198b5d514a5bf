import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AGENT_TYPE_PATTERN,
  agentIdPrefix,
  didYouMean,
  digestOf,
  isSessionId,
  NAMESPACE_PATTERN,
  nearest,
  newId,
  newSessionId,
  ORCHESTRATOR_ID_PATTERN,
  POD_ID_PATTERN,
  sessionIdOfKey,
  sessionIdOfTask,
  sha256,
  TASK_ID_PATTERN,
} from '../../src/core/ids.ts'
import { BAD_INPUTS } from './bad-inputs.ts'

const LOWER = 'abcdefghijklmnopqrstuvwxyz'
const DIGITS = '0123456789'

/** The rule of an id, said a second time without a regular expression. */
function isName(text: string, rule: { first: string; rest: string; most: number }): boolean {
  if (text.length > rule.most) return false
  const [first, ...rest] = Array.from(text)
  return (
    first !== undefined &&
    rule.first.includes(first) &&
    rest.every((character) => rule.rest.includes(character))
  )
}

const letters = LOWER + LOWER.toUpperCase() + DIGITS
const rules = [
  {
    name: 'agent type',
    pattern: AGENT_TYPE_PATTERN,
    oracle: (text: string) => isName(text, { first: LOWER, rest: `${LOWER}${DIGITS}_-`, most: 64 }),
    good: ['architect', 'code_developer', 'doc-keeper-haiku', 'a', 'a'.repeat(64)],
  },
  {
    name: 'task id',
    pattern: TASK_ID_PATTERN,
    oracle: (text: string) =>
      isName(text, { first: letters, rest: `${letters}._-`, most: 128 }) &&
      Array.from(text).some((c) => !DIGITS.includes(c)),
    good: ['TASK-31-1', '1e3', '0x1', 'a.b', 'T'.repeat(128)],
  },
  {
    name: 'namespace',
    pattern: NAMESPACE_PATTERN,
    oracle: (text: string) =>
      isName(text, { first: `${LOWER}${DIGITS}-`, rest: `${LOWER}${DIGITS}-`, most: 32 }),
    good: ['default', 'ci-7', 'x'.repeat(32)],
  },
  {
    name: 'pod id',
    pattern: POD_ID_PATTERN,
    oracle: (text: string) => isName(text, { first: letters, rest: `${letters}._-`, most: 128 }),
    good: ['host-1.4711', '123'],
  },
  {
    name: 'orchestrator id',
    pattern: ORCHESTRATOR_ID_PATTERN,
    oracle: (text: string) =>
      text.length >= 1 &&
      text.length <= 128 &&
      Array.from(text).every((c) => c > ' ' && c < String.fromCodePoint(127)),
    good: ['orchestrator@night', '$(id)'],
  },
]

describe.each(rules)('$name', ({ pattern, oracle, good }) => {
  test('accepts good ones', () => {
    expect(good.filter((text) => !pattern.test(text))).toEqual([])
  })

  test('accepts of all bad inputs exactly what the rule allows', () => {
    expect(BAD_INPUTS.filter((text) => pattern.test(text) !== oracle(text))).toEqual([])
  })

  test('equals the rule for arbitrary strings, and for good ones with something around them', () => {
    const around = fc.tuple(
      fc.string({ maxLength: 2 }),
      fc.constantFrom(...good),
      fc.string({ maxLength: 2 }),
    )
    const near = around.map((parts) => parts.join(''))
    const any = fc.oneof(fc.string({ unit: 'binary' }), near, fc.stringMatching(/^[a-z0-9._-]{0,140}$/))
    fc.assert(
      fc.property(any, (text) => {
        expect(pattern.test(text)).toBe(oracle(text))
      }),
      { numRuns: 2000 },
    )
  })
})

test('no name or task id is changed by a URL, and none can climb out of a directory', () => {
  // fast-check knows no look-ahead.
  const taskId = fc
    .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
    .filter((text) => TASK_ID_PATTERN.test(text))
  const anyId = fc.oneof(fc.stringMatching(AGENT_TYPE_PATTERN), taskId)
  fc.assert(
    fc.property(anyId, (text) => {
      expect(encodeURIComponent(text)).toBe(text)
      expect(text).not.toMatch(/^\.|[/\\:{}*?[\]]/)
    }),
  )
})

test('a session id is a UUID', () => {
  expect(isSessionId(newSessionId())).toBe(true)
  expect(newSessionId()).not.toBe(newSessionId())
  expect(newId()).not.toBe(newId())
  for (const text of BAD_INPUTS) expect(isSessionId(text)).toBe(false)
})

test('a derived session id is always the same: these are in ledgers already', () => {
  expect(sessionIdOfKey('default', 'nightly-2025-10-26')).toBe('f7a149c1-7e43-56d9-9d19-5cc9bad74695')
  expect(sessionIdOfTask('default', 'TASK-31-1', 0)).toBe('e6510648-3f33-5283-8c17-0c21aa9b46e2')
})

test('derived session ids are version 5, and differ where anything differs', () => {
  const key = fc.tuple(fc.stringMatching(NAMESPACE_PATTERN), fc.string())
  fc.assert(
    fc.property(key, key, (a, b) => {
      const [one, other] = [sessionIdOfKey(...a), sessionIdOfKey(...b)]
      expect(isSessionId(one)).toBe(true)
      expect(one[14]).toBe('5')
      expect(one === other).toBe(a[0] === b[0] && a[1] === b[1])
    }),
  )
  const runs = [0, 1, 2].map((run) => sessionIdOfTask('default', 'TASK-31-1', run))
  expect(
    new Set([...runs, sessionIdOfTask('other', 'TASK-31-1', 0), sessionIdOfTask('default', 'T', 0)]).size,
  ).toBe(5)
  expect(sessionIdOfKey('default', 'task\nT\n0')).not.toBe(sessionIdOfTask('default', 'T', 0))
})

test('an agent id begins with its type and the UTC day', () => {
  expect(agentIdPrefix('code_developer', new Date('2025-10-26T23:59:59.999Z'))).toBe(
    'code-developer-20251026-',
  )
  expect(agentIdPrefix('a_b_c', new Date('2025-10-27T01:00:00+02:00'))).toBe('a-b-c-20251026-')
})

test('a digest is that of the value, whatever the order of its keys', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, member]) => [key, shuffled(member)]),
    )
  }
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(digestOf(shuffled(value))).toBe(digestOf(value))
      expect(digestOf(value)).toMatch(/^[0-9a-f]{64}$/)
    }),
  )
})

test('a digest notices every change that JSON would show', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
      expect(digestOf(a) === digestOf(b)).toBe(isSame(plain(a), plain(b)))
    }),
  )
  expect(digestOf({ a: 1, b: undefined })).toBe(digestOf({ a: 1 }))
  expect(digestOf([undefined])).toBe(digestOf([null]))
  expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: '1' }))
})

function isSame(a: unknown, b: unknown): boolean {
  try {
    expect(a).toEqual(b)
    return true
  } catch {
    return false
  }
}

test('a hash is SHA-256 of the bytes', () => {
  expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  expect(sha256(new TextEncoder().encode('abc'))).toBe(sha256('abc'))
})

describe('did you mean', () => {
  const known = ['architect', 'code_developer', 'code_reviewer', 'project_manager']

  test.each([
    ['architekt', 'architect'],
    ['architec', 'architect'],
    ['architectt', 'architect'],
    ['cod_developr', 'code_developer'],
    ['code-developer', 'code_developer'],
    ['architect', 'architect'],
    ['arkitekt', null],
    ['', null],
    ['x', null],
  ])('%s → %s', (name, near) => {
    expect(nearest(name, known)).toBe(near)
  })

  test('two edits are near, three are not', () => {
    const edit = fc.tuple(fc.constantFrom('drop', 'add', 'change'), fc.nat(8))
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 2 }), (edits) => {
        const word = edits.reduce((text, [kind, at]) => {
          const [before, after] = [text.slice(0, at), text.slice(at)]
          if (kind === 'drop') return before + after.slice(1)
          return kind === 'add' ? `${before}~${after}` : `${before}~${after.slice(1)}`
        }, 'architect')
        expect(nearest(word, ['architect'])).toBe('architect')
      }),
    )
    expect(nearest('~~~hitect', ['architect'])).toBe(null)
  })

  test('the nearest wins over the first', () => {
    expect(nearest('abcd', ['abxy', 'abcx'])).toBe('abcx')
  })

  test('says the near one, else a short list, else nothing', () => {
    expect(didYouMean('architekt', known)).toBe(' Did you mean "architect"?')
    expect(didYouMean('zzz', known)).toBe(` Known: ${known.join(', ')}.`)
    expect(didYouMean('zzz', [])).toBe('')
    expect(
      didYouMean(
        'zzz',
        Array.from({ length: 21 }, (_, index) => `some-type-${index}`),
      ),
    ).toBe('')
  })
})
