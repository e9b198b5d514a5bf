import { readdirSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { oversizeLine, readLine, type SpoolLine } from '../../src/session/line.ts'
import { createLineSplitter } from '../../src/session/line-splitter.ts'

const FIXTURES = new URL('../fixtures/claude/', import.meta.url)
const EVENT_TYPE = /^claude\.[a-z0-9_.-]{1,200}$/

const read = (text: string | Buffer): SpoolLine => readLine(Buffer.from(text), 1, false)
const nested = (depth: number): string =>
  '{"type":"t","a":' + '['.repeat(depth - 1) + ']'.repeat(depth - 1) + '}'

describe('a line of the CLI', () => {
  it('is an event named after its type and subtype, its payload verbatim', () => {
    const text = '{ "subtype":"init" ,"type":"system", "n": 1.0e2, "__proto__": {"x":1}, "n": 2 }'
    expect(read(text)).toEqual({
      line: 1,
      type: 'claude.system.init',
      payloadText: text,
      message: JSON.parse(text) as unknown,
      bytes: text.length,
      partial: false,
    })
  })

  it('keeps a carriage return and drops a byte order mark', () => {
    expect(read('{"type":"user"}\r')).toMatchObject({
      type: 'claude.user',
      payloadText: '{"type":"user"}\r',
      bytes: 16,
    })
    expect(read('\uFEFF{"type":"user"}')).toMatchObject({ payloadText: '{"type":"user"}', bytes: 18 })
  })

  it.each([
    [
      '{"type":"A B/../é","subtype":"<script>"}',
      'claude.a_b_.._e_.script_'.replace('e_', '_').replace('.script_', '._script_'),
    ],
    ['{"type":""}', 'claude._'],
    ['{"type":"user","subtype":7}', 'claude.user'],
    [`{"type":"${'x'.repeat(500)}"}`, `claude.${'x'.repeat(64)}`],
  ])('gets nothing but a few letters into its name: %s', (text, type) => {
    expect(read(text).type).toBe(type)
  })
})

describe('a line that is something else', () => {
  it.each(['null', '42', '"text"', '[{"type":"user"}]', '{}', '{"type":7}', '1e400'])(
    'is untyped: %s',
    (text) => {
      expect(read(text)).toMatchObject({ type: 'claude.untyped', payloadText: text, message: null })
    },
  )

  it.each(['{"type":"user"', 'Error: no', '{"a":NaN}', '\u0000', "{'type':'user'}"])(
    'is unparsed: %j',
    (text) => {
      const line = read(text)
      expect(line).toMatchObject({ type: 'claude.unparsed', message: null })
      expect(JSON.parse(line.payloadText)).toEqual({ raw: text })
    },
  )

  it.each(['', ' ', '\r', '\t\r'])('is blank: %j', (text) => {
    expect(read(text)).toMatchObject({ type: 'claude.blank', payloadText: JSON.stringify({ raw: text }) })
  })

  it('has U+FFFD where its bytes are not UTF-8', () => {
    const line = read(Buffer.from([0x7b, 0xff, 0x7d]))
    expect(line).toMatchObject({ type: 'claude.unparsed', bytes: 3 })
    expect(JSON.parse(line.payloadText)).toEqual({ raw: '{\uFFFD}' })
  })

  it('is cut where it is long and no JSON, and says so', () => {
    const { payloadText } = read('x'.repeat(3_000_000))
    expect(payloadText.length).toBeLessThan(1_000_100)
    expect(payloadText).toContain('[cut: 3000000 characters in all]')
  })

  it('is unparsed when it is nested too deep', () => {
    expect(read(nested(500)).type).toBe('claude.t')
    expect(read(nested(501)).type).toBe('claude.unparsed')
    expect(read(nested(200_000)).type).toBe('claude.unparsed')
    const inStrings = JSON.stringify({ type: 't', a: '[{\\"'.repeat(2000) })
    expect(read(inStrings).type).toBe('claude.t')
  })

  it('is known by its digest when it was too long', () => {
    expect(oversizeLine(7, 20_000_000, 'abc', true)).toEqual({
      line: 7,
      type: 'claude.oversize',
      payloadText: '{"bytes":20000000,"sha256":"abc"}',
      message: null,
      bytes: 20_000_000,
      partial: true,
    })
  })
})

describe('any line', () => {
  it('is one event with a sound name and a valid payload', () => {
    const anything = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.record({ type: fc.string({ unit: 'binary' }), subtype: fc.anything() }).map((value) => {
        return Buffer.from(
          JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? 0 : member)),
        )
      }),
    )
    fc.assert(
      fc.property(anything, (raw) => {
        const line = readLine(raw, 1, false)
        expect(line.type).toMatch(EVENT_TYPE)
        expect(() => JSON.parse(line.payloadText) as unknown).not.toThrow()
        expect(line.bytes).toBe(raw.length)
      }),
    )
  })
})

describe('the transcripts of the real CLI', () => {
  const names = readdirSync(FIXTURES).filter((name) => name.endsWith('.ndjson'))

  it.each(names)('%s: every line is an event, verbatim', (name) => {
    const bytes = readFileSync(new URL(name, FIXTURES))
    const splitter = createLineSplitter()
    const lines = [...splitter.push(bytes), ...splitter.end()]
    const texts = bytes.toString().split('\n').slice(0, lines.length)
    expect(texts.join('\n').length).toBeGreaterThanOrEqual(bytes.toString().length - 1)
    // Captures of other output formats have a text or an array; those that printed nothing, a blank line.
    const isObject = texts.map((text) => text.startsWith('{'))
    expect(lines.map((line) => line.message !== null)).toEqual(isObject)
    expect(lines.map((line) => line.type)).toEqual(lines.map(() => expect.stringMatching(EVENT_TYPE)))
    expect(lines.filter((_, n) => isObject[n]).map((line) => line.payloadText)).toEqual(
      texts.filter((_, n) => isObject[n]),
    )
  })

  it('are there', () => {
    expect(names.length).toBeGreaterThan(100)
  })
})
