/**
 * For Claude Code users, with the real CLI: the plugin of the package that is installed, whose model calls a tool of it;
 * and what `send_to_agent` says to an agent that runs.
 */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal } from '../../src/rehearsal/rehearsal.ts'
import { connectMcp, type McpConnection } from '../mcp/connect-mcp.ts'
import { claudePath } from '../support/claude.ts'
import { openDrover, startUp, type Up } from '../support/drover.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const LONG = { timeoutMs: 60_000 }
const run = promisify(execFile)

/** As the CLI names a tool of a plugin's server. */
const TOOL = 'mcp__plugin_drover_orchestrator__search_agents'
const USER = `description: a person whose Claude Code has the plugin
agents:
  person:
    - text: I look who could do it.
      tools: [{ name: ${TOOL}, input: { query: reviewer, detail_level: name } }]
    - text: I have looked.`
const AGENTS = `description: agents that work until they are told to go on
agents:
  '*':
    - text: I begin.
      tools: [{ name: Bash, input: { command: 'touch {{agent_type}}.began; until [ -e go ]; do sleep 0.1; done' } }]
    - text: I have heard.`

let scratch: Scratch
let workspace: string
let up: Up
let url: string
beforeAll(async () => {
  scratch = await createScratch()
  workspace = join(scratch.dir, 'workspace')
  await mkdir(workspace)
  const [rehearsal, specs] = [join(scratch.dir, 'agents.yaml'), join(scratch.dir, 'specs.json')]
  await writeFile(rehearsal, AGENTS)
  const spec = { description: 'For tests', model: 'sonnet', allowed_tools: ['Bash'] }
  await writeFile(specs, JSON.stringify({ agent_types: { architect: spec, code_reviewer: spec } }))
  up = await startUp(openDrover(scratch), `--rehearse=${rehearsal}`, {
    DROVER_WORKSPACE_ROOTS: workspace,
    DROVER_AGENT_SPECS: specs,
    DROVER_STARTUP_TIMEOUT_MS: '60000',
  })
  url = up.ready.url
}, 90_000)

afterAll(async () => {
  await up.stop()
  await scratch.check()
}, 60_000)

/** What npm unpacks of this package, with the packages that it needs; its directory. */
async function installPackage(): Promise<string> {
  const packed = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--offline', '--pack-destination', scratch.dir],
    { cwd: ROOT, env: { ...scratch.env, PATH: process.env['PATH'], HOME: scratch.dir }, maxBuffer: 2 ** 24 },
  )
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }]
  await run('tar', ['-xzf', join(scratch.dir, filename), '-C', scratch.dir])
  const directory = join(scratch.dir, 'package')
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  return directory
}

/** Runs the CLI as a person does who has the plugin; the lines that it prints. */
async function runClaude(plugin: string): Promise<any[]> {
  const rehearsal = await startRehearsal(parseScript(USER, 'user.yaml'))
  const sessionId = randomUUID()
  try {
    const args = ['-p', 'Who could review it?', '--output-format', 'stream-json', '--verbose']
    const rights = ['--permission-mode', 'dontAsk', `--allowedTools=${TOOL}`]
    const child = spawn(
      claudePath(),
      [...args, ...rights, '--plugin-dir', plugin, '--session-id', sessionId, '--model', 'sonnet'],
      {
        cwd: workspace,
        env: {
          ...scratch.env,
          // No drover on it: the plugin starts the one that it is a part of.
          PATH: [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter),
          HOME: scratch.dir,
          // The CLI leaves its own files in it.
          TMPDIR: scratch.dir,
          DROVER_URL: url,
          // The CLI does not wait for a server that takes longer than this.
          MCP_TIMEOUT: '60000',
          ...rehearsal.environment('person', sessionId),
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    expect(await new Promise((done) => child.once('close', done)), output).toBe(0)
    return output
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  } finally {
    await rehearsal.stop()
  }
}

test('the installed package has a plugin that works: commands, skill, server, and a tool that the model calls', async () => {
  const lines = await runClaude(join(await installPackage(), 'plugin'))
  const init = lines.find(({ type, subtype }) => type === 'system' && subtype === 'init')
  expect(init.slash_commands).toEqual(
    expect.arrayContaining(['drover:spawn-agent-session', 'drover:monitor-agents', 'drover:kill-agent']),
  )
  expect(init.skills).toContain('drover:delegate')
  expect(init.mcp_servers).toContainEqual(
    expect.objectContaining({ name: 'plugin:drover:orchestrator', status: 'connected' }),
  )
  expect(init.tools).toContain(TOOL)
  const [result] = lines.filter(({ type }) => type === 'user').flatMap(({ message }) => message.content)
  expect(result.is_error).not.toBe(true)
  const text: string = typeof result.content === 'string' ? result.content : result.content[0].text
  expect(JSON.parse(text)).toEqual({ agent_types: ['code_reviewer'] })
  expect(lines.at(-1)).toMatchObject({ type: 'result', is_error: false, result: 'I have looked.' })
}, 120_000)

test('send_to_agent: an agent in its work is told, by session and by agent, over both doors', async () => {
  const doors = { stdio: await connectMcp('stdio', { url }), HTTP: await connectMcp('HTTP', { url }) }
  const done = async (mcp: McpConnection, name: string, args: object): Promise<any> => {
    const { isError, document } = await mcp.call(name, args)
    expect({ name, isError, document }).toMatchObject({ isError: false })
    return document
  }
  const task = { agent_type: 'architect', task: 'Begin.', workspace_dir: workspace }
  const { session_id } = await done(doors.stdio, 'spawn_agent_async', task)
  await until(() => existsSync(join(workspace, 'architect.began')), LONG)

  const first = await done(doors.stdio, 'send_to_agent', { session_id, text: 'Use Redis.' })
  const { agent_id } = first
  expect(first).toMatchObject({ success: true, session_id, agent_id: expect.stringMatching(/^architect-/) })
  const second = await done(doors.HTTP, 'send_to_agent', { session_id: agent_id, text: 'Mind the gap.' })
  expect(second).toMatchObject({ success: true, session_id, agent_id, status: 'running' })
  await writeFile(join(workspace, 'go'), '')
  const ended = await done(doors.HTTP, 'wait_session', { session_id })
  expect(ended).toMatchObject({ session_id, success: true, output: 'I have heard.' })

  // Both are in its conversation, and recorded with who said them.
  const transcript = await doors.stdio.client.readResource({ uri: `drover://sessions/${session_id}` })
  for (const text of ['Use Redis.', 'Mind the gap.']) expect(JSON.stringify(transcript)).toContain(text)
  const { messages } = (await (await fetch(`${url}/api/v1/sessions/${session_id}`)).json()) as any
  expect(messages).toEqual(
    [first, second].map(({ message_id }) =>
      expect.objectContaining({ message_id, agent_id, status: 'delivered', actor_via: 'mcp' }),
    ),
  )
  const late = await doors.stdio.call('send_to_agent', { session_id, text: 'Too late.' })
  expect(late).toMatchObject({ isError: true, document: { success: false, error: 'session_ended' } })
  await Promise.all([doors.stdio.close(), doors.HTTP.close()])
}, 120_000)
