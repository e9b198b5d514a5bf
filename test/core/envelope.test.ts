import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { composeEvent, parseEvent, splitEvent, type EventHeader } from '../../src/core/envelope.ts'

const id = fc.stringMatching(/^[a-z][a-z0-9-]{0,40}$/)
const header: fc.Arbitrary<EventHeader> = fc
  .record({
    session_id: fc.option(fc.uuid(), { nil: null }),
    agent_id: fc.option(id, { nil: null }),
    agent_type: id,
    epoch: fc.nat(),
    seq: fc.option(fc.nat(), { nil: null }),
    line: fc.option(fc.nat(), { nil: null }),
    ts: fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
      .map((date) => date.toISOString()),
    type: fc.constantFrom('drover.session.accepted', 'claude.result.success', 'claude.assistant'),
    late: fc.boolean(),
  })
  .map(({ late, ...rest }) => (late ? { ...rest, late } : rest))

/** Payload texts as a CLI prints them: with spaces, odd numbers, repeated keys, and our own mark inside. */
const payloadText = fc.oneof(
  fc.json(),
  fc.jsonValue().map((value) => JSON.stringify(value, null, 2)),
  fc.string().map((text) => JSON.stringify({ text: `{"a":1,"payload":${text}}` })),
  fc.constantFrom(
    'null',
    '{"a":1.0,"a":1e400,"payload":{"b":-0}}',
    '{"x":[1,"payload",{"y":",\\"payload\\":"}],"payload":"}"}',
    '{ "nested" : {"x":0,"payload":{"x":0,"payload":2}} }',
    '"\\ud83d"',
  ),
)

test('a composed event splits into the same header and the same payload, byte for byte', () => {
  fc.assert(
    fc.property(header, payloadText, (head, text) => {
      expect(splitEvent(composeEvent(head, text))).toEqual({ header: head, payloadText: text })
    }),
    { numRuns: 2000 },
  )
})

test('the whole text is one JSON document with the same members', () => {
  fc.assert(
    fc.property(header, payloadText, (head, text) => {
      const parsed = parseEvent(composeEvent(head, text))
      expect(parsed).toEqual({ ...head, payload: JSON.parse(text) as unknown })
      expect(JSON.parse(composeEvent(head, text))).toEqual(parsed)
    }),
    { numRuns: 1000 },
  )
})

test.each(['', '{}', '{"session_id":null}', '{"session_id":null,"payload":', 'nothing'])(
  'text that nobody composed is refused: %s',
  (text) => {
    expect(() => splitEvent(text)).toThrow('not an event')
  },
)
