import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boundedSource, gramOf, KNOWN_PATTERNS, patternProblem } from '../../src/core/redact-patterns.ts'
import { createRedactor } from '../../src/core/redact.ts'

describe('a configured pattern', () => {
  test.each([
    ['ACME-[0-9a-f]{32}'],
    ['(?:internal|secret)_[a-z]+'],
    [String.raw`password:\s*\S+`],
    [String.raw`\b[A-Z]{2}\d{6,}\b`],
    ['a?b+c*'],
  ])('is taken: %s', (source) => {
    expect(patternProblem(source)).toBeNull()
  })

  test.each([
    ['(', /no regular expression/],
    ['a*', /empty text/],
    ['(a+)+b', /repeats a group with "\+"/],
    ['(?:a|a)*b', /repeats a group/],
    ['(a|b){2,}c', /repeats a group/],
    [String.raw`(.)\1`, /back reference/],
    ['(?=a)b', /of groups only/],
    ['(?<name>a)b', /of groups only/],
    ['^abc', /begins or ends/],
    ['abc$', /begins or ends/],
    [String.raw`\w+x\d+`, /take the same characters/],
    ['.*a.*b', /take the same characters/],
    ['x{5000}', /more than 4096 times/],
    ['x'.repeat(501), /longer than 500/],
  ])('is refused: %s', (source, problem) => {
    expect(patternProblem(source)).toMatch(problem)
  })

  test('that is taken needs a time in proportion to the text, whatever the text (property)', () => {
    const atom = fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', String.raw`\w`, String.raw`\s`, '-')
    const repeat = fc.constantFrom('', '', '*', '+', '?', '{2,}', '{3}')
    const source = fc
      .array(
        fc.tuple(atom, repeat).map(([one, many]) => one + many),
        { minLength: 1, maxLength: 6 },
      )
      .map((parts) => parts.join(''))
      .filter((text) => patternProblem(text) === null)
    const hostile = ['a', 'b', 'ab', '-', ' ', 'aab ', 'a-'].map((text) => `${text.repeat(3000)}!`)
    fc.assert(
      fc.property(source, (text) => {
        const find = new RegExp(boundedSource(text), 'g')
        const begun = process.cpuUsage()
        for (const each of hostile) for (const match of each.matchAll(find)) void match
        // Time of the CPU, which others have too.
        expect(process.cpuUsage(begun).user / 1000).toBeLessThan(2000)
      }),
      { numRuns: 100 },
    )
  })

  test('runs with its repeats bounded', () => {
    expect(boundedSource('a*b+?[*+]{2,}c{3}\\*')).toBe('a{0,512}b{1,512}?[*+]{2,512}c{3}\\*')
  })

  test('is found in JSON, also where a string of it is escaped, and only there', () => {
    const patterns = [
      { name: 'acme', source: 'ACME-[0-9]{4}' },
      { name: 'said', source: 'say "[a-z]+"' },
    ]
    const { json } = createRedactor({ secrets: [], patterns })
    expect(json(String.raw`{"a":"ACME-1234\n","b":"say \"hello\"","c":"ACME-"}`)).toBe(
      String.raw`{"a":"[redacted:acme]\n","b":"[redacted:said]","c":"ACME-"}`,
    )
  })

  test('has a gram where it has a row of characters of its own', () => {
    expect(['ACME-[0-9]{4}', '(ab|cd)efgh', 'abc?de', 'abcd|efgh', '[a]{9}'].map(gramOf)).toEqual([
      'ACME',
      'efgh',
      null,
      null,
      null,
    ])
  })
})

test.each(KNOWN_PATTERNS)('$name has one of its grams in everything it finds (property)', (pattern) => {
  const { source, grams } = pattern
  const like = new RegExp(source.replaceAll('\\b', '').replaceAll('(?!-----)[^]', '[a-z]'))
  fc.assert(
    fc.property(fc.stringMatching(like), (text) => {
      const found = new RegExp(source).exec(text)?.[0] ?? grams[0] ?? ''
      expect(grams.some((gram) => found.includes(gram))).toBe(true)
    }),
    { numRuns: 30 },
  )
})
