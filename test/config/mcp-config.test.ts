import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readMcpConfig } from '../../src/config/mcp-config.ts'
import { refusalOf, tempDir } from './files.ts'

const servers = {
  postgres: { command: 'python', args: ['C:\\server.py'], env: { A: '1' } },
  web: { type: 'http', url: 'https://mcp.example.com', headers: { 'X-A': 'b' } },
}

function read(text: string): ReturnType<typeof readMcpConfig> {
  return readMcpConfig(join(tempDir({ 'mcp.json': text }), 'mcp.json'))
}

function problemOf(text: string): string {
  const path = join(tempDir({ 'mcp.json': text }), 'mcp.json')
  const refusal = refusalOf(() => readMcpConfig(path))
  expect(refusal?.code).toBe('invalid_request')
  return refusal?.message.replace(`The MCP config ${path} `, '') ?? ''
}

describe('readMcpConfig', () => {
  test('with and without the wrapper: the same, everything kept', () => {
    expect(read(JSON.stringify({ mcpServers: servers }))).toEqual({ mcpServers: servers })
    expect(read(JSON.stringify(servers))).toEqual({ mcpServers: servers })
  })

  test('no servers at all', () => {
    expect(read('{"mcpServers": {}}')).toEqual({ mcpServers: {} })
    expect(read('{}')).toEqual({ mcpServers: {} })
  })

  test('the example that comes with Drover', () => {
    const path = fileURLToPath(new URL('../../agents/doc-keeper-haiku.mcp.json', import.meta.url))
    expect(Object.keys(readMcpConfig(path).mcpServers)).toEqual(['vault'])
  })

  test.each([
    ['', 'is not valid JSON: Unexpected end of JSON input (line 1).'],
    ['{\n"a": x}', "is not valid JSON: Unexpected token 'x' (line 2)."],
    ['[]', 'must be a JSON object of MCP servers by name.'],
    ['null', 'must be a JSON object of MCP servers by name.'],
    ['{"mcpServers": []}', 'has "mcpServers", but it is not an object of servers by name.'],
    ['{"a": 5}', 'describes no server under "a": it needs a "command" to start or a "url" to reach.'],
    [
      '{"a": {"args": []}}',
      'describes no server under "a": it needs a "command" to start or a "url" to reach.',
    ],
    [
      '{"a": {"command": ""}}',
      'describes no server under "a": it needs a "command" to start or a "url" to reach.',
    ],
  ])('%j is refused', (text, problem) => {
    expect(problemOf(text)).toBe(problem)
  })

  test('missing, or a directory', () => {
    const dir = tempDir()
    mkdirSync(join(dir, 'd'))
    expect(() => readMcpConfig(join(dir, 'none'))).toThrow(/^The MCP config .*none does not exist\.$/)
    expect(() => readMcpConfig(join(dir, 'd'))).toThrow(/is a directory, not a file\.$/)
  })
})
