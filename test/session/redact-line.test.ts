import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRedactor } from '../../src/core/redact.ts'
import { createLineRedactor } from '../../src/session/redact-line.ts'
import { RAW_LIMIT, readLine, type SpoolLine } from '../../src/session/line.ts'

const SECRET = 'tok_Zx81q-PLmW02/vBnR+s77"Ke'
const redactor = createRedactor({ secrets: [{ name: 'TOKEN', value: SECRET }] })

function through(lines: readonly unknown[], partial = false): SpoolLine[] {
  const redact = createLineRedactor(redactor)
  return lines.map((line, index) => {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    return redact(readLine(Buffer.from(text), index + 1, partial))
  })
}

const delta = (index: number, piece: object, parent: string | null = null): object => ({
  type: 'stream_event',
  event: { type: 'content_block_delta', index, delta: piece },
  parent_tool_use_id: parent,
})
const stop = (index: number): object => ({
  type: 'stream_event',
  event: { type: 'content_block_stop', index },
})

/** What somebody gets who puts the deltas of a member together. */
function together(lines: readonly SpoolLine[], member: string): string {
  return lines
    .map(
      ({ payloadText }) => (JSON.parse(payloadText) as { event: { delta?: Record<string, string> } }).event,
    )
    .map((event) => event.delta?.[member] ?? '')
    .join('')
}

test('a line without a secret is the same object', () => {
  const line = readLine(Buffer.from('{"type":"user","n":1.0}'), 1, false)
  expect(createLineRedactor(redactor)(line)).toBe(line)
})

test('a line with one keeps its number, length and kind; the message is what the payload says', () => {
  const text = JSON.stringify({
    type: 'assistant',
    subtype: 'x',
    message: { content: [{ type: 'text', text: SECRET }] },
  })
  const [line] = through([text])
  expect(line).toMatchObject({
    line: 1,
    type: 'claude.assistant.x',
    bytes: text.length,
    partial: false,
    message: { message: { content: [{ text: '[redacted:TOKEN]' }] } },
  })
  expect(JSON.parse(line?.payloadText ?? '')).toEqual(line?.message)
})

test('the type of an event is made of the redacted line', () => {
  const lower = createRedactor({ secrets: [{ name: 'T', value: 'lower-case-secret' }] })
  const line = createLineRedactor(lower)(readLine(Buffer.from('{"type":"lower-case-secret"}'), 1, false))
  expect(line.type).toBe('claude._redacted_t_')
})

test('text that is no JSON: within it, and its end where the line was cut in a secret', () => {
  const [whole, cut, half] = through([
    `x ${SECRET} y`,
    `{"type":"assistant","text":"${SECRET.slice(0, 17)}`,
    '{"type":"assistant","text":"nothing',
  ])
  expect(whole?.payloadText).toBe('{"raw":"x [redacted:TOKEN] y"}')
  expect(cut?.payloadText).toBe(JSON.stringify({ raw: '{"type":"assistant","text":"[redacted:TOKEN]' }))
  expect(half?.payloadText).toBe(JSON.stringify({ raw: '{"type":"assistant","text":"nothing' }))
})

test('text that was cut because it was too long, in the middle of a secret', () => {
  const note = ` … [cut: ${RAW_LIMIT + 30} characters in all]`
  const [line] = through([
    `${'x'.repeat(RAW_LIMIT - note.length - 10)}${SECRET}${'y'.repeat(40 - SECRET.length + note.length)}`,
  ])
  expect(line?.payloadText).toMatch(/xx\[redacted:TOKEN\] … \[cut: \d+ characters in all\]"\}$/)
  expect(line?.payloadText).not.toContain(SECRET.slice(0, 8))
})

describe('text in deltas', () => {
  test.each(['text', 'partial_json', 'thinking'])(
    '%s: nobody can put the secret together (every split)',
    (member) => {
      const written = member === 'partial_json' ? JSON.stringify({ key: SECRET }) : `It is ${SECRET} indeed.`
      for (let first = 0; first <= written.length; first++) {
        for (const second of [first + 1, first + 5, written.length]) {
          const pieces = [written.slice(0, first), written.slice(first, second), written.slice(second)]
          const lines = through([...pieces.map((piece) => delta(0, { type: 'x', [member]: piece })), stop(0)])
          const whole = together(lines, member)
          expect(whole).not.toContain(SECRET.slice(3, 20))
          expect(whole).toContain('[redacted:TOKEN]')
        }
      }
    },
  )

  test('blocks and subagents have their own; a block that begins again begins anew', () => {
    const lines = through([
      delta(0, { text: `a ${SECRET.slice(0, 9)}` }),
      delta(1, { text: `b ${SECRET.slice(9)}` }),
      delta(0, { text: `c ${SECRET.slice(9)}` }, 'toolu_1'),
      stop(0),
      delta(0, { text: `d ${SECRET.slice(9)}` }),
    ])
    expect(lines.map((line) => together([line], 'text'))).toEqual([
      'a ',
      `b ${SECRET.slice(9)}`,
      `c ${SECRET.slice(9)}`,
      '',
      `d ${SECRET.slice(9)}`,
    ])
  })

  test('whatever comes as one, it is redacted and never throws (property)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.jsonValue(), fc.constant({ index: 0, delta: { text: SECRET } }))),
        (events) => {
          for (const { payloadText } of through(events.map((event) => ({ type: 'stream_event', event })))) {
            expect(payloadText).not.toContain(JSON.stringify(SECRET).slice(1, -1))
            expect(() => JSON.parse(payloadText) as unknown).not.toThrow()
          }
        },
      ),
    )
  })

  test('the same lines give the same lines again (property)', () => {
    const pieces = fc.array(fc.constantFrom('tok_', 'Zx81q', SECRET.slice(9), 'abc ', SECRET), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(pieces, (texts) => {
        const lines = texts.map((text) => delta(0, { text }))
        expect(through(lines)).toEqual(through(lines))
      }),
    )
  })
})
