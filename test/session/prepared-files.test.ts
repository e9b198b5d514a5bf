import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SYSTEM_PROMPT_ARGUMENT_LIMIT } from '../../src/session/argv.ts'
import { orchestratorTools, prepareMcpConfig } from '../../src/session/mcp.ts'
import { prepareSystemPrompt } from '../../src/session/system-prompt.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { specOf } from '../support/spec.ts'

let scratch: Scratch
let file: string

beforeEach(async () => {
  scratch = await createScratch()
  file = join(scratch.dir, 'prepared')
})
afterEach(() => scratch.check())

it('writes the MCP config with its wrapper, for its user alone', async () => {
  const source = join(scratch.dir, 'servers.json')
  writeFileSync(source, '{"search": {"command": "search-server", "env": {"KEY": "k"}}}')
  expect(await prepareMcpConfig(specOf({ mcp_config: source }), null, file)).toMatchObject({ path: file })
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
    mcpServers: { search: { command: 'search-server', env: { KEY: 'k' } } },
  })
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

it('writes none where the spec has none, and refuses a broken one', async () => {
  expect(await prepareMcpConfig(specOf(), null, file)).toBeNull()
  const source = join(scratch.dir, 'servers.json')
  writeFileSync(source, '{"search": ')
  await expect(prepareMcpConfig(specOf({ mcp_config: source }), null, file)).rejects.toMatchObject({
    code: 'invalid_request',
  })
  expect(existsSync(file)).toBe(false)
})

it("adds Drover's own server, unless the spec grants no tool of it or brings one of that name", async () => {
  const drover = { command: '/bin/drover', args: ['main.js'] }
  const settings = join(scratch.dir, 'drover.toml')
  const own = {
    type: 'stdio',
    command: '/bin/drover',
    args: ['main.js', 'mcp'],
    env: { DROVER_CONFIG: settings },
  }
  const prepared = await prepareMcpConfig(specOf(), drover, file)
  expect(prepared?.config.mcpServers).toEqual({ orchestrator: own })
  expect(readFileSync(settings, 'utf8')).toBe('')
  expect(orchestratorTools(specOf(), prepared)).toEqual([
    'mcp__orchestrator__check_inbox',
    'mcp__orchestrator__send_message',
  ])

  expect(await prepareMcpConfig(specOf({ orchestrator_tools: [] }), drover, file)).toBeNull()
  const source = join(scratch.dir, 'servers.json')
  writeFileSync(source, '{"orchestrator": {"url": "http://board/mcp"}}')
  const theirs = await prepareMcpConfig(specOf({ mcp_config: source }), drover, file)
  expect(theirs?.config.mcpServers).toEqual({ orchestrator: { url: 'http://board/mcp' } })
})

it('writes a system prompt only where it is too long for an argument', async () => {
  expect(await prepareSystemPrompt(specOf(), file)).toBeNull()
  const fits = 'é'.repeat(SYSTEM_PROMPT_ARGUMENT_LIMIT / 2)
  expect(await prepareSystemPrompt({ ...specOf(), systemPrompt: fits }, file)).toBeNull()
  expect(existsSync(file)).toBe(false)
  const long = `${fits}é`
  expect(await prepareSystemPrompt({ ...specOf(), systemPrompt: long }, file)).toBe(file)
  expect(readFileSync(file, 'utf8')).toBe(long)
})
