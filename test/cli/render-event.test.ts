import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import pc from 'picocolors'
import { describe, expect, test } from 'vitest'
import { createEventRenderer, type RenderOptions } from '../../src/cli/render-event.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { OWN_EVENTS } from '../../src/core/envelope.ts'

const FIXTURES = resolve(import.meta.dirname, '../fixtures/claude')

function event(type: string, payload: unknown): Envelope {
  return {
    session_id: 'b2c3d4e5-f6a7-4901-8bcd-ef1234567890',
    agent_id: 'architect-20260131-001',
    agent_type: 'architect',
    epoch: 1,
    seq: 1,
    line: 1,
    ts: '2026-01-31T12:00:00.000Z',
    type,
    payload,
  }
}

/** Without colours, 60 columns. */
function render(type: string, payload: unknown, options: Partial<RenderOptions> = {}): string[] {
  return createEventRenderer({ width: 60, colors: pc.createColors(false), ...options })(event(type, payload))
}

const assistant = (...content: unknown[]): unknown => ({ message: { role: 'assistant', content } })
const toolUse = (name: string, input: unknown): unknown => assistant({ type: 'tool_use', name, input })
const toolResult = (content: unknown, is_error = false): unknown => ({
  message: { role: 'user', content: [{ type: 'tool_result', content, is_error }] },
})

describe('what the agent says', () => {
  test('is wrapped at words, with its own line breaks', () => {
    const text = `${'word '.repeat(20).trim()}\n\n  - ${'item '.repeat(15).trim()}`
    const lines = render('claude.assistant', assistant({ type: 'text', text }))
    expect(lines.every((line) => line.length <= 60)).toBe(true)
    expect(lines.join(' ').replaceAll(/\s+/g, ' ')).toBe(text.replaceAll(/\s+/g, ' '))
    expect(lines).toContain('')
    // What goes on is indented like its beginning.
    expect(lines.at(-1)).toMatch(/^ {2}item/)
  })

  test('is left whole where nobody has a width', () => {
    const text = 'word '.repeat(100).trim()
    const width = Number.POSITIVE_INFINITY
    expect(render('claude.assistant', assistant({ type: 'text', text }), { width })).toEqual([text])
  })

  test('cannot act on the terminal', () => {
    const text = 'done\u001B[2J\u001B]0;pwned\u0007'
    expect(render('claude.assistant', assistant({ type: 'text', text }))).toEqual(['done␛[2J␛]0;pwned␇'])
  })
})

test.each([
  ['sent', { text: 'Use Redis\nplease', actor: { via: 'cli', name: null } }, 'message by cli: Use Redis'],
  ['delivered', { message_id: 'm' }, 'architect-20260131-001 has the message'],
  [
    'delivered',
    { message_id: 'm', confirmed: false },
    'architect-20260131-001 has the message, as far as is known',
  ],
  ['delivered', { channel: 'mail', delivered_to: null }, 'mail read by the operator'],
  ['answered', { channel: 'mail', reply_id: 'm' }, 'mail answered'],
  ['answered', { channel: 'mail', reply_id: null }, 'mail acknowledged'],
  [
    'answered',
    { behavior: 'deny', tool_name: 'Bash', message: 'No', actor: { via: 'cli', name: null } },
    'Bash denied by cli: No',
  ],
])('a message that was %s: %j', (what, payload, line) => {
  expect(render(`drover.message.${what}`, payload)).toEqual([line])
})

describe('what the agent does', () => {
  test.each([
    ['Write', { file_path: 'docs/SPEC.md', content: 'x' }, '→ Write docs/SPEC.md'],
    ['Bash', { command: 'node --test', description: 'Runs the tests' }, '→ Bash node --test'],
    ['Bash', { command: 'cat <<E\nx\nE' }, '→ Bash cat <<E  (+2 lines)'],
    ['Grep', { pattern: 'TODO', path: 'src' }, '→ Grep TODO'],
    ['mcp__db__query', { sql: 'SELECT 1' }, '→ mcp__db__query {"sql":"SELECT 1"}'],
    ['Odd', null, '→ Odd'],
  ])('%s %j', (name, input, line) => {
    expect(render('claude.assistant', toolUse(name, input))).toEqual([line])
  })

  test('a path in the working directory is shown as relative to it', () => {
    const renderer = createEventRenderer({ width: 60, colors: pc.createColors(false) })
    renderer(event('claude.system.init', { cwd: '/srv/shop', model: 'opus' }))
    const write = (file_path: string): string[] =>
      renderer(event('claude.assistant', toolUse('Write', { file_path })))
    expect(write('/srv/shop/docs/SPEC.md')).toEqual(['→ Write docs/SPEC.md'])
    expect(write('/srv/shopping.md')).toEqual(['→ Write /srv/shopping.md'])
  })

  test.each([
    ['one line', '  ← one line'],
    ['first\nsecond\nthird', '  ← first  (+2 lines)'],
    [[{ type: 'text', text: 'blocks' }, { type: 'image' }], '  ← blocks  (+1 line)'],
    ['x'.repeat(100), `  ← ${'x'.repeat(55)}…`],
  ])('a result in short: %j', (content, line) => {
    expect(render('claude.user', toolResult(content))).toEqual([line])
  })

  test('a result that is an error is marked', () => {
    expect(render('claude.user', toolResult('Exit code 1', true))).toEqual(['  ✗ Exit code 1'])
  })

  test("a subagent's lines stand below its call", () => {
    const payload = { ...(toolUse('Read', { file_path: 'a.ts' }) as object), parent_tool_use_id: 'toolu_1' }
    expect(render('claude.assistant', payload)).toEqual(['    → Read a.ts'])
  })
})

test('a result shows turns, cost and time', () => {
  const result = { is_error: false, num_turns: 3, total_cost_usd: 0.0123, duration_ms: 12_300 }
  expect(render('claude.result.success', result)).toEqual(['result: success, 3 turns, $0.0123, 12.3 s'])
})

test("the session's end shows what it cost, and why it failed", () => {
  const end = {
    status: 'completed',
    failure_reason: null,
    message: null,
    cost_micros: 12_300,
    usage: { input_tokens: 100, output_tokens: 20, cache_read_tokens: 3, cache_creation_tokens: 0 },
    num_turns: 3,
    duration_ms: 12_300,
    restarts: 1,
  }
  expect(render('drover.session.ended', end)).toEqual([
    'completed: 12.3 s, 3 turns, 123 tokens, $0.0123, 1 restart',
  ])
  const failed = { ...end, status: 'failed', failure_reason: 'api_error', message: 'The API refused it.' }
  expect(render('drover.session.ended', failed)[0]).toBe('failed (api_error): The API refused it.')
})

test('two agents are told apart by a prefix of their own colour, within the width', () => {
  const colors = pc.createColors(true)
  const said = assistant({ type: 'text', text: 'word '.repeat(30) })
  const colorOf = (prefix: string): string => {
    const [line = ''] = render('claude.assistant', said, { colors, prefix })
    return line.slice(0, line.indexOf(prefix))
  }
  const shipped = ['architect', 'code_developer', 'project_manager', 'code_reviewer', 'doc-keeper-haiku']
  expect(new Set(shipped.map(colorOf)).size).toBe(shipped.length)
  const plain = render('claude.assistant', said, { prefix: 'architect' })
  expect(plain.every((line) => line.startsWith('architect ') && line.length <= 60)).toBe(true)
})

describe('whatever comes', () => {
  test('every line that a real CLI printed is rendered within the width, without controls', () => {
    const files = readdirSync(FIXTURES).filter((name) => name.endsWith('.ndjson'))
    expect(files.length).toBeGreaterThan(50)
    const shown = files.flatMap((name) => renderedLines(join(FIXTURES, name)))
    expect(shown.length).toBeGreaterThan(500)
    expect(shown.filter((line) => line.length > 60 || /\p{Cc}/u.test(line))).toEqual([])
  })

  test('nothing throws and nothing acts on the terminal, for any payload of any type', () => {
    const types = [
      ...OWN_EVENTS,
      'claude.assistant',
      'claude.user',
      'claude.result.success',
      'claude.system.init',
      'x',
    ]
    const content = fc.array(
      fc.record(
        {
          type: fc.constantFrom('text', 'tool_use', 'tool_result', 'thinking'),
          text: fc.anything(),
          name: fc.anything(),
          input: fc.jsonValue(),
          content: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    )
    const payload = fc.oneof(
      fc.jsonValue(),
      content.map((blocks) => ({ message: { content: blocks } })),
    )
    fc.assert(
      fc.property(fc.constantFrom(...types), payload, (type, value) => {
        const jsonable = JSON.parse(JSON.stringify(value ?? null) ?? 'null') as unknown
        expect(render(type, jsonable).join('')).not.toMatch(/\p{Cc}/u)
      }),
    )
  })
})

function renderedLines(file: string): string[] {
  const renderer = createEventRenderer({ width: 60, colors: pc.createColors(false) })
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const payload = parsed(line)
      if (payload === null) return []
      const type = ['claude', payload.type, payload.subtype].filter(Boolean).join('.')
      return renderer(event(type, payload))
    })
}

/** Some captures hold what a failing CLI printed instead of JSON. */
function parsed(line: string): { type?: string; subtype?: string } | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}
