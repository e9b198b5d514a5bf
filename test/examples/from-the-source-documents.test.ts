/** What `docs/from-the-source-documents.md` points to is there. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { ERROR_CATALOGUE } from '../../src/core/errors.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const text = (path: string): string => readFileSync(resolve(ROOT, path), 'utf8')
const page = text('docs/from-the-source-documents.md')

test('files and pages', () => {
  const pages = [...page.matchAll(/\]\(([a-z-]+\.md)(?:#[a-z-]+)?\)/g)].map(([, name]) => `docs/${name}`)
  const files = [...page.matchAll(/`((?:examples|src|test)\/[\w./-]+)`/g)].map(([, path = '']) => path)
  expect(pages.length).toBeGreaterThan(8)
  expect([...pages, ...files].filter((path) => !existsSync(resolve(ROOT, path)))).toEqual([])
})

test('commands', () => {
  const commands = new Set(
    [...text('docs/cli.md').matchAll(/^### `drover ([a-z ]+)/gm)].map(([, name = '']) => name.trim()),
  )
  const named = [...page.matchAll(/`drover ([a-z]+(?: [a-z]+)?)/g)].map(([, words = '']) => words)
  const isCommand = (words: string): boolean =>
    [...commands, 'messages'].some((name) => `${words} `.startsWith(`${name} `))
  expect(named.length).toBeGreaterThan(10)
  expect(named.filter((words) => !isCommand(words))).toEqual([])
})

test('codes, tables and settings', () => {
  const codes = [...page.matchAll(/^\| `([a-z_]+)` +\| (\d{3}) /gm)]
  expect(codes.map(([, code = '', http]) => [code, Number(http)])).toEqual(
    codes.map(([, code = '']) => [code, ERROR_CATALOGUE[code as keyof typeof ERROR_CATALOGUE].http]),
  )
  expect(codes).toHaveLength(5)
  const schema = text('docs/schema.sql')
  for (const table of [
    'agent_lifecycle',
    'agent_lifecycle_events',
    'agent_sessions',
    'claude_invocations',
    'claude_stream_messages',
    'orchestrator_task',
    'roadmap_priority',
    'session_event',
    'actions',
  ]) {
    expect(page).toContain(`\`${table}\``)
    expect(schema).toMatch(new RegExp(`CREATE (TABLE|VIEW) ${table}\\b`))
  }
  const settings = text('docs/configuration.md')
  const named = [...page.matchAll(/`((?:worker|session|restart)\.[a-z_]+)`/g)].map(([, key = '']) => key)
  expect(named.filter((key) => !settings.includes(`\`${key}\``))).toEqual([])
})
