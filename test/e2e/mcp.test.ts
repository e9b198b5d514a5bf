/** The real CLI starts a second real CLI by an MCP tool, over both doors; what it may not start is refused at once. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { openDrover, startUp, type Drover, type Up } from '../support/drover.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'

let scratch: Scratch
let drover: Drover
let up: Up
let url: string
let workspace: string

/** Whatever an agent calls, it says its part afterwards. */
const script = (): string => {
  const spawn = (agentType: string): string =>
    `tools: [{ name: mcp__orchestrator__spawn_agent, input: { agent_type: ${agentType}, task: 'Audit it', workspace_dir: '${workspace}' } }]`
  return `description: agents that start agents
agents:
  architect:
    - text: I delegate.
      ${spawn('code_developer')}
      usage: { input_tokens: 1000, output_tokens: 50 }
    - text: Once more.
      ${spawn('code_developer')}
    - text: It is delegated.
  project_manager:
    - text: I delegate over HTTP.
      ${spawn('doc-keeper-haiku')}
      usage: { input_tokens: 1000, output_tokens: 50 }
    - text: It is delegated.
  code_developer:
    - text: Somebody else should.
      ${spawn('doc-keeper-haiku')}
    - text: The report of {{agent_type}}.
      usage: { input_tokens: 1000, output_tokens: 100 }
  code_reviewer:
    - text: Another one of me should.
      ${spawn('code_reviewer')}
    - text: I do it myself.
  '*':
    - text: The report of {{agent_type}}.
      usage: { input_tokens: 1000, output_tokens: 100 }
`
}

beforeAll(async () => {
  scratch = await createScratch()
  drover = openDrover(scratch)
  workspace = join(scratch.dir, 'workspace')
  await mkdir(workspace)
  // The repository's, and none of Drover's: the server that an agent gets does not read it.
  await writeFile(join(workspace, 'drover.toml'), '[client]\nurl = "http://127.0.0.1:9"\nbroken')
  const [rehearsal, specs, servers] = ['agents.yaml', 'specs.json', 'http.json'].map((name) =>
    join(scratch.dir, name),
  ) as [string, string, string]
  await writeFile(rehearsal, script())
  const overHttp = {
    type: 'http',
    url: '${DROVER_URL}/mcp',
    headers: { Authorization: 'Bearer ${DROVER_TOKEN}' },
  }
  await writeFile(servers, JSON.stringify({ orchestrator: overHttp }))
  const spec = { description: 'For tests', model: 'sonnet', orchestrator_tools: ['spawn_agent'] }
  await writeFile(
    specs,
    JSON.stringify({
      agent_types: {
        architect: spec,
        code_developer: spec,
        code_reviewer: spec,
        project_manager: { ...spec, mcp_config: servers },
        'doc-keeper-haiku': { ...spec, orchestrator_tools: [] },
      },
    }),
  )
  up = await startUp(drover, `--rehearse=${rehearsal}`, {
    DROVER_WORKSPACE_ROOTS: workspace,
    DROVER_AGENT_SPECS: specs,
    DROVER_LINEAGE_MAX_DEPTH: '1',
    DROVER_LINEAGE_MAX_CHILDREN: '1',
  })
  url = up.ready.url
}, 90_000)

afterAll(async () => {
  await up.stop()
  await scratch.check()
}, 60_000)

const get = async (path: string): Promise<any> => (await fetch(`${url}${path}`)).json()

/** Runs an agent to its end: its answer, its session, and what its tools answered. */
async function play(agentType: string): Promise<{ answer: any; shown: any; results: any[] }> {
  const ran = await drover.run(
    ['spawn', agentType, 'Do your part', '--wait', 'completed', '--workspace', workspace, '--json'],
    { env: { DROVER_URL: url } },
  )
  expect(ran.code, `${ran.stderr}${ran.stdout}`).toBe(0)
  const answer = ran.json() as any
  const { events } = (await get(`/api/v1/sessions/${answer.session_id}/events?limit=1000`)) as {
    events: Envelope[]
  }
  const results = events
    .filter(({ type }) => type === 'claude.user')
    .flatMap(({ payload }) => (payload as any).message.content)
    .map(({ content }) => {
      const text: string = typeof content === 'string' ? content : content[0].text
      // The CLI adds a hint of its own to an error.
      return JSON.parse(text.split('\n')[0] ?? '')
    })
  return { answer, shown: await get(`/api/v1/sessions/${answer.session_id}`), results }
}

test('over stdio: parent and child, their bill, and no second child', async () => {
  const { answer, shown, results } = await play('architect')
  expect(answer).toMatchObject({ success: true, output: 'It is delegated.', num_turns: 3 })
  const [child, more] = results
  expect(child).toEqual({
    session_id: expect.any(String),
    success: true,
    output: 'The report of code_developer.',
    cost: 0.003,
  })
  expect(more).toMatchObject({ success: false, error: 'lineage_limit', limit: 'max_children' })
  expect(shown.children).toEqual([
    expect.objectContaining({ session_id: child.session_id, created_by: answer.session_id }),
  ])
  expect(shown.tree).toMatchObject({ sessions: 2, cost_usd: 0.0055 })

  // The child's own attempt to go deeper.
  const below = await get(`/api/v1/sessions/${child.session_id}/events?limit=1000`)
  const refused = JSON.stringify(below.events.filter(({ type }: Envelope) => type === 'claude.user'))
  expect(refused).toContain('max_depth')
  const [accepted] = below.events
  expect(accepted.payload).toMatchObject({
    created_by: answer.session_id,
    awaited: true,
    actor: { via: 'mcp', name: answer.session_id },
  })
})

test('over HTTP: the same', async () => {
  const { answer, shown, results } = await play('project_manager')
  expect(results).toEqual([
    { session_id: expect.any(String), success: true, output: 'The report of doc-keeper-haiku.', cost: 0.003 },
  ])
  expect(shown.children).toEqual([
    expect.objectContaining({ session_id: results[0].session_id, created_by: answer.session_id }),
  ])
  expect(shown.tree).toMatchObject({ sessions: 2, cost_usd: 0.0055 })
})

test('an agent that would wait for itself is told so at once', async () => {
  const { answer, shown, results } = await play('code_reviewer')
  expect(answer.output).toBe('I do it myself.')
  expect(results).toEqual([
    expect.objectContaining({
      success: false,
      error: 'self_deadlock',
      chain: [{ session_id: answer.session_id, agent_type: 'code_reviewer', status: 'running' }],
      message: expect.stringContaining(
        `code_reviewer (${answer.session_id}) → code_reviewer would wait for ever`,
      ),
    }),
  ])
  expect(shown.children).toEqual([])
})
