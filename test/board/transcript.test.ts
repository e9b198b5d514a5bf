/** The transcript of a session: readable, and safe whatever was said. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { createTranscript } from '../../src/board/transcript.ts'

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
  return createTranscript().of(event)
}
const message = (block: object): object => ({ message: { content: [block] } })

test('what was said, and what tools were asked and answered', () => {
  expect(transcript('claude.assistant', message({ type: 'text', text: 'All\ngood' }))).toBe(
    '**says**  ·  2026-11-20T10:00:00.000Z\n\n```text\nAll\ngood\n```\n\n',
  )
  expect(
    transcript('claude.assistant', message({ type: 'tool_use', name: 'Bash', input: { command: 'ls' } })),
  ).toContain('**tool** `Bash`  ·  2026-11-20T10:00:00.000Z\n\n```text\ncommand: ls\n```')
  expect(
    transcript(
      'claude.user',
      message({ type: 'tool_result', is_error: true, content: [{ type: 'text', text: 'no' }] }),
    ),
  ).toContain('**tool failed**')
  expect(
    transcript('claude.user', message({ type: 'tool_result', content: `${'x'.repeat(8999)}!` })),
  ).toMatch(/x\n\[cut: 5000 of 9000 characters are left out here\]\nx+!\n/)
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
    /^\*\*message answered\*\* `deny` `Bash` `Not here` `by cli ci`  ·  /,
  )
})

test('a file that is written stands line by line, and an answer names its call', () => {
  const { of } = createTranscript()
  const line = (type: string, block: object, parent: string | null = null): string =>
    of({ ...HEADER, type, payload: { ...message(block), parent_tool_use_id: parent } })
  const input = { file_path: 'a.mjs', content: "import x from 'y'\n\nx()\n", lines: [1] }
  expect(line('claude.assistant', { type: 'tool_use', id: 't1', name: 'Write', input })).toContain(
    "```text\nfile_path: a.mjs\ncontent:\n  import x from 'y'\n  \n  x()\n  \nlines:\n  [\n    1\n  ]\n```",
  )
  for (const [id, description] of [
    ['t2', 'Count sheep'],
    ['t3', 'Count goats'],
  ])
    line('claude.assistant', { type: 'tool_use', id, name: 'Agent', input: { description } })
  expect(line('claude.assistant', { type: 'text', text: '7' }, 't3')).toMatch(
    /^\*\*says\*\* \(subagent `Agent: Count goats`\)  ·/,
  )
  const answers = ['t3', 't1', 't1', 'unknown'].map(
    (id) => line('claude.user', { type: 'tool_result', tool_use_id: id, content: 'ok' }).split('  ·')[0],
  )
  expect(answers).toEqual([
    '**tool answers** `Agent: Count goats`',
    '**tool answers** `Write`',
    '**tool answers**',
    '**tool answers**',
  ])
})

test('who ended it is said', () => {
  const actor = { via: 'http', name: 'ci' }
  expect(transcript('drover.session.cancel_requested', { reason: 'No need', actor })).toMatch(
    /^\*\*session cancel requested\*\* `No need` `by http ci`  ·  /,
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
