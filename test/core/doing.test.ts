import { expect, test } from 'vitest'
import { doingOf } from '../../src/core/doing.ts'

const assistant = (...content: unknown[]) => ({ message: { content } })

test.each([
  ['claude.system.init', { subtype: 'init' }, 'has started'],
  ['claude.system.api_retry', { error_status: 529, attempt: 3 }, 'waits for the API (529), try 3'],
  ['claude.system.api_retry', { error: 'rate_limit' }, 'waits for the API'],
  [
    'claude.assistant',
    assistant(
      { type: 'text', text: 'Next.' },
      { type: 'tool_use', name: 'Read', input: { file_path: 'a.md' } },
    ),
    'Read a.md',
  ],
  ['claude.assistant', assistant({ type: 'tool_use', name: 'Odd', input: { a: [1] } }), 'Odd {"a":[1]}'],
  ['claude.assistant', assistant({ type: 'thinking', thinking: 'Hm.' }), 'thinks'],
  ['claude.assistant', assistant({ type: 'text', text: '\n Two\nlines' }), 'Two'],
  ['claude.assistant', assistant({ type: 'text', text: 'x'.repeat(300) }), `${'x'.repeat(199)}…`],
  ['claude.assistant', assistant(), null],
  ['claude.assistant', assistant({ type: 'text', text: ' ' }), null],
  ['claude.assistant', { message: 7 }, null],
  ['claude.assistant', null, null],
])('%s %j', (type, payload, doing) => {
  expect(doingOf(type, payload)).toBe(doing)
})
