/** The transcript of a session: readable, and safe whatever was said. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { transcriptOf } from '../../src/board/transcript.ts'

const HEADER = {
  session_id: 's',
  agent_id: 'architect-20261120-001',
  agent_type: 'architect',
  epoch: 1,
  seq: 1,
  line: 1,
  ts: '2026-11-20T10:00:00.000Z',
}

function transcript(type: string, payload: unknown): string {
  const event: Envelope = { ...HEADER, type, payload }
  return transcriptOf(event)
}
const message = (block: object): object => ({ message: { content: [block] } })

test('what was said, and what tools were asked and answered', () => {
  expect(transcript('claude.assistant', message({ type: 'text', text: 'All\ngood' }))).toBe(
    '**says**  ·  2026-11-20T10:00:00.000Z\n\n```text\nAll\ngood\n```\n\n',
  )
  expect(
    transcript('claude.assistant', message({ type: 'tool_use', name: 'Bash', input: { command: 'ls' } })),
  ).toContain('**tool** `Bash`  ·  2026-11-20T10:00:00.000Z\n\n```text\n{\n  "command": "ls"\n}\n```')
  expect(
    transcript(
      'claude.user',
      message({ type: 'tool_result', is_error: true, content: [{ type: 'text', text: 'no' }] }),
    ),
  ).toContain('**tool failed**')
  expect(transcript('claude.user', message({ type: 'tool_result', content: 'x'.repeat(9000) }))).toContain(
    '[cut: 9000 characters in all]',
  )
  expect(transcript('drover.session.accepted', { request: { prompt: 'Do `it`' } })).toContain('## Prompt')
  expect(
    transcript('drover.session.ended', {
      status: 'failed',
      failure_reason: 'timeout',
      message: 'Too `late`',
    }),
  ).toBe('**session ended** `failed` `timeout` `` Too `late` ``  ·  2026-11-20T10:00:00.000Z\n\n')
  expect(transcript('claude.stream_event', { text: 'x' })).toBe('')
})

test('what was said to it, and by whom; mail is where it is read', () => {
  const actor = { via: 'cli', name: 'ci' }
  expect(
    transcript('drover.message.sent', { message_id: 'm', text: 'Use `Redis`', priority: 'next', actor }),
  ).toBe('**message** `by cli ci`  ·  2026-11-20T10:00:00.000Z\n\n```text\nUse `Redis`\n```\n\n')
  expect(transcript('drover.message.sent', { channel: 'mail', text: 'x', actor })).toBe('')
  expect(transcript('drover.session.waiting_input', { reason: 'permission', tool_name: 'Bash' })).toMatch(
    /^\*\*session waiting input\*\* `permission` `Bash`  ·  /,
  )
  const answer = { behavior: 'deny', tool_name: 'Bash', message: 'Not here', actor }
  expect(transcript('drover.message.answered', answer)).toMatch(
    /^\*\*message answered\*\* `deny` `Bash` `Not here`  ·  /,
  )
})

test('nothing that was said leaves its fence, or acts on a terminal', () => {
  const nasty = fc.array(
    fc.constantFrom(
      '```',
      '````',
      '~~~',
      '`',
      '\n',
      '\r\n',
      '\r',
      '# ',
      '<script>',
      '\u001B[2J',
      '\u009B',
      '\u202E',
      '\u2028',
      '\ud800',
      'a',
    ),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(nasty, fc.constantFrom('text', 'thinking', 'tool_use', 'tool_result'), (parts, type) => {
      const said = parts.join('')
      const block = { type, text: said, thinking: said, name: said, input: said, content: said }
      const shown = transcript('claude.assistant', message(block))
      // oxlint-disable-next-line no-control-regex
      expect(shown).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u2028\u2029\u202E]/)
      expect(shown.isWellFormed()).toBe(true)
      if (shown === '') return
      const [, fence = '', body = ''] = /\n\n(`{3,})text\n([^]*)\n\1\n\n$/.exec(shown) ?? []
      expect(fence).not.toBe('')
      // A line with as many backticks would end it.
      expect(body).not.toContain(fence)
    }),
    { numRuns: 500 },
  )
})

test('every JSON value has a transcript', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom(
        'claude.assistant',
        'claude.user',
        'claude.result',
        'drover.session.accepted',
        'drover.session.ended',
        'odd',
      ),
      (payload, type) => {
        for (const value of [payload, { message: { content: payload } }, { message: { content: [payload] } }])
          expect(transcript(type, value)).toBeTypeOf('string')
      },
    ),
    { numRuns: 300 },
  )
})
