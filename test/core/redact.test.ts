import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRedactor } from '../../src/core/redact.ts'
import { formsOf } from '../../src/core/redact-forms.ts'
import { newSessionToken, newToken } from '../../src/core/token.ts'
import { ENCODINGS } from './encodings.ts'

const KEY = 'sk-ant-api03-q9Z_x7+KfW/2e"\\nT4vB8mLcR1yHs6DjU0pGaEiOwQXzAN3bV5uJt-tAIL'
const PASSWORD = 'p@ss wörd/100%&"more"\\='
const secrets = [
  { name: 'ANTHROPIC_API_KEY', value: KEY },
  { name: 'DB_PASSWORD', value: PASSWORD },
]
const redactor = createRedactor({ secrets })

/** What of an encoded text tells the secret: without what the bytes beside it have a part in. */
function core(encoded: string): string {
  return encoded.slice(4, -4)
}

const encodings = Object.entries(ENCODINGS)
const secretText = fc
  .oneof(
    fc.string({ minLength: 8, maxLength: 90 }),
    fc.string({ unit: 'grapheme', minLength: 8, maxLength: 60 }),
    fc.base64String({ minLength: 16, maxLength: 120 }),
    fc.stringMatching(/^[a-z]{3}-[A-Za-z0-9]{20,60}$/),
  )
  .map((text) => text.trim().toWellFormed())
  // One character again and again is found in itself at every place.
  .filter((text) => text.length >= 8 && new Set(text).size > 4)
const encoding = fc.constantFrom(...encodings.map(([name]) => name))
const around = fc.string({ maxLength: 40 })

function encode(name: string, text: string): string {
  return ENCODINGS[name]?.(text) ?? ''
}

describe('a known value', () => {
  test('is looked for by its end, since what it begins with is in many a text', () => {
    const token = newSessionToken('b2c3d4e5-f6a7-4901-8bcd-ef1234567890')
    const [gram = ''] = formsOf(token)[0]?.grams ?? []
    expect(token.slice(-43)).toContain(gram)
    expect(
      '{"type":"drover.session.accepted","session_id":"b2c3d4e5-f6a7-4901-8bcd-ef1234567890"',
    ).not.toContain(gram)
  })

  test.each(encodings)('is found in the form: %s', (name, written) => {
    for (const { name: variable, value } of secrets) {
      const encoded = written(value)
      const redacted = redactor.text(`before ${encoded} after`)
      expect(redacted, name).not.toContain(core(encoded))
      expect(redacted).toContain(`[redacted:${variable}]`)
      expect(redacted).toMatch(/^before .*after$/s)
    }
  })

  test('is found in any text, form and place (property)', () => {
    fc.assert(
      fc.property(secretText, encoding, around, around, (value, form, before, after) => {
        const { text, json } = createRedactor({ secrets: [{ name: 'S', value }], known: false })
        const encoded = encode(form, value)
        const written = `${before}${encoded}${after}`
        expect(text(written)).not.toContain(encoded)
        const line = JSON.stringify({ type: 'user', [written]: [written, true], n: 1.5 })
        const redacted = json(line)
        expect(JSON.parse(redacted)).toMatchObject({ type: 'user', n: 1.5 })
        expect(Object.keys(JSON.parse(redacted) as object).join('\n')).not.toContain(encoded)
        expect(redacted).not.toContain(JSON.stringify(encoded).slice(1, -1))
      }),
      { numRuns: 100 },
    )
  })

  test('is found where a writer of JSON escapes what needs no escape', () => {
    const value = 'abcdefgh/12345678'
    const { json } = createRedactor({ secrets: [{ name: 'S', value }] })
    const escaped = value.replaceAll(/./g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
    expect(json(`{"a":"${escaped}","b":"abcdefgh\\/12345678"}`)).toBe(
      '{"a":"[redacted:S]","b":"[redacted:S]"}',
    )
  })

  test('that is a number leaves valid JSON', () => {
    const { json } = createRedactor({ secrets: [{ name: 'PIN', value: '1234567890' }] })
    expect(json('{"a":1234567890,"b":[-1234567890.5,12],"c":"x"}')).toBe(
      '{"a":"[redacted:PIN]","b":["-[redacted:PIN].5",12],"c":"x"}',
    )
  })

  test('that is shorter than 8 characters is not looked for; one that is its own name is not shown by it', () => {
    const { text } = createRedactor({
      secrets: [
        { name: 'SHORT', value: '1234567' },
        { name: 'API_TOKEN', value: 'API_TOKEN' },
      ],
    })
    expect(text('1234567 API_TOKEN')).toBe('1234567 [redacted:secret]')
  })

  test('of two that overlap nothing is left', () => {
    const { text } = createRedactor({
      secrets: [
        { name: 'A', value: 'abcdefghij' },
        { name: 'B', value: 'ghijklmnop' },
      ],
    })
    expect(text('>abcdefghijklmnop<')).toBe('>[redacted:A]<')
  })

  test('in several lines is found by its long lines too', () => {
    const lines = [
      '-----BEGIN RSA PRIVATE KEY-----',
      'MIIEpAIBAAKCAQEAx1',
      'q9Zx7KfW2eT4vB8mLc',
      '-----END RSA PRIVATE KEY-----',
    ]
    const { text } = createRedactor({ secrets: [{ name: 'PEM', value: lines.join('\n') }], known: false })
    expect(text(`3: ${lines[2]}`)).toBe('3: [redacted:PEM]')
    expect(text(lines[0] ?? '')).toBe(lines[0])
  })
})

describe('text without a secret', () => {
  test('comes back as it is (property)', () => {
    const { text, json } = createRedactor({ secrets, known: false })
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.jsonValue(), (plain, value) => {
        expect(text(plain)).toBe(plain)
        const line = JSON.stringify({ type: 'x', value, plain })
        expect(json(line)).toBe(line)
      }),
    )
  })

  test('as JSON keeps what a parser would change: numbers, repeated members, spaces', () => {
    const line = `{ "a": 1.0, "a": 123456789012345678901, "k": ${JSON.stringify(KEY)}, "e": "\\u00e9\\/" }`
    expect(redactor.json(line)).toBe(
      '{ "a": 1.0, "a": 123456789012345678901, "k": "[redacted:ANTHROPIC_API_KEY]", "e": "\\u00e9\\/" }',
    )
  })

  test('of many megabytes takes no longer than reading it', () => {
    const large = JSON.stringify({ type: 'user', text: `${'lorem "ipsum" \n'.repeat(300_000)}${KEY}` })
    expect(redactor.json(large)).toContain('[redacted:ANTHROPIC_API_KEY]')
  })
})

describe('known patterns', () => {
  const { text, json } = createRedactor({ secrets: [] })
  const letters = 'Ab1'.repeat(20)

  test.each([
    ['drover_token', newToken()],
    ['drover_token', `drover_session_${crypto.randomUUID()}_${letters.slice(0, 43)}`],
    ['anthropic_key', `sk-ant-api03-${letters}`],
    ['github_token', `ghp_${letters.slice(0, 36)}`],
    ['github_token', `github_pat_${letters}`],
    ['gitlab_token', `glpat-${letters.slice(0, 20)}`],
    ['npm_token', `npm_${letters.slice(0, 36)}`],
    ['slack_token', `xoxb-${letters}`],
    ['aws_key_id', 'AKIAIOSFODNN7EXAMPLE'],
    ['google_key', `AIza${letters.slice(0, 35)}`],
    ['openai_key', `sk-proj-${letters}`],
    ['jwt', `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${letters}`],
    ['url_password', 'postgres://user:hunter2@'],
    ['private_key', `-----BEGIN OPENSSH PRIVATE KEY-----\n${letters}\n-----END OPENSSH PRIVATE KEY-----`],
    ['private_key', `-----BEGIN PRIVATE KEY-----\n${letters}`],
  ])('%s: %s', (name, secret) => {
    expect(text(`see\n${secret}`)).toBe(`see\n[redacted:${name}]`)
    expect(json(JSON.stringify({ a: `see\n${secret}`, b: 1 }))).toBe(
      JSON.stringify({ a: `see\n[redacted:${name}]`, b: 1 }),
    )
  })

  test('Bearer, with its word', () => {
    expect(text(`Authorization: Bearer ${letters}`)).toBe('Authorization: [redacted:bearer]')
  })

  test('leave what is like them', () => {
    const innocent =
      'sk-ant-… the bearer of news, https://host:8080/a@b, git@github.com:a/b, eyJ.eyJ, task-sk-ant-1, AKIA, a://b:c'
    expect(text(innocent)).toBe(innocent)
  })

  test('can be left out', () => {
    expect(createRedactor({ secrets: [], known: false }).text(`ghp_${letters}`)).toBe(`ghp_${letters}`)
  })
})

describe('text in pieces', () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 8 })

  function pass(of: ReturnType<typeof createRedactor>, whole: string, at: readonly number[]): string[] {
    const pieces = of.pieces()
    const places = [
      0,
      ...at.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b),
      whole.length,
    ]
    const out = places.slice(1).map((place, index) => pieces.push(whole.slice(places[index], place)))
    return [...out, pieces.end()]
  }

  test('holds no secret when it is put together, wherever it was cut (property)', () => {
    fc.assert(
      fc.property(secretText, encoding, around, around, cuts, (value, form, before, after, at) => {
        const of = createRedactor({ secrets: [{ name: 'S', value }], known: false })
        const encoded = encode(form, value)
        const whole = pass(of, `${before}${encoded}${after}`, at).join('')
        expect(whole).not.toContain(encoded)
        if (encoded.length > 40) expect(whole).not.toContain(encoded.slice(12, -8))
      }),
      { numRuns: 100 },
    )
  })

  test.each([['!%          " #'], ['%25%2-%secret']])(
    'is cut where a percent sign may be itself or begin an encoded one: %s',
    (value) => {
      const of = createRedactor({ secrets: [{ name: 'S', value }], known: false })
      for (const written of [value, encodeURIComponent(value)]) {
        for (let at = 1; at < written.length; at++) {
          // Fewer than four of its characters are no beginning yet.
          expect(pass(of, `<${written}>`, [at + 1]).join('')).toMatch(/^<.{0,9}\[redacted:S\]>$/s)
        }
      }
    },
  )

  test('is the same text where there is none, in the end (property)', () => {
    const of = createRedactor({ secrets })
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), cuts, (whole, at) => {
        expect(pass(of, whole, at).join('')).toBe(whole)
      }),
    )
  })

  test('holds back no more than what may be the beginning of one', () => {
    const pieces = redactor.pieces()
    expect(pieces.push('The key is sk-')).toBe('The key is sk-')
    expect(pieces.push('ant')).toBe('')
    expect(pieces.push(' and no more.')).toBe('ant and no more.')
    expect(pieces.push(`It is ${KEY.slice(0, 20)}`)).toBe('It is ')
    expect(pieces.push(`${KEY.slice(20)}!`)).toBe('[redacted:ANTHROPIC_API_KEY]!')
  })

  test('ends with the beginning of one: that is redacted', () => {
    const pieces = redactor.pieces()
    expect(pieces.push(`x ${PASSWORD.slice(0, 12)}`) + pieces.end()).toBe('x [redacted:DB_PASSWORD]')
  })

  test('is cut in a token that only a pattern knows', () => {
    const token = `ghp_${'Ab1'.repeat(12)}`
    for (let at = 1; at < token.length; at++) {
      expect(pass(redactor, `a ${token} b`, [at + 2]).join('')).toMatch(
        /^a g?h?p?\[redacted:github_token\] b$/,
      )
    }
    const own = createRedactor({ secrets: [], patterns: [{ name: 'acme', source: 'ACME-[0-9]{8}' }] })
    for (let at = 1; at < 13; at++) {
      expect(pass(own, 'a ACME-12345678 b', [at + 2]).join('')).toBe('a [redacted:acme] b')
    }
  })
})
