/** The newcomer's first command, as it stands in README. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CompletedAnswer } from '../../src/core/answer.ts'
import type { DemoDocument } from '../../src/cli/demo/play.ts'
import { openDrover, type Drover } from '../support/drover.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let drover: Drover
beforeEach(async () => {
  scratch = await createScratch()
  drover = openDrover(scratch)
})
afterEach(() => scratch.check())

test('drover demo: both sessions completed, counted as scripted, files written, nothing left running', async () => {
  const ran = await drover.run(['demo', '--json'])
  const demo = ran.json() as unknown as DemoDocument
  expect(ran.code, ran.stderr + ran.stdout).toBe(0)

  const [architect, developer] = demo.sessions as [CompletedAnswer, CompletedAnswer]
  expect(demo.sessions.map((session) => [session.agent_type, session.status])).toEqual([
    ['architect', 'completed'],
    ['code_developer', 'completed'],
  ])
  // By hand from examples/rehearsals/demo.yaml, and the prices that docs/rehearsal.md lists.
  expect(architect.usage).toEqual({
    input_tokens: 1600,
    output_tokens: 380,
    cache_read_tokens: 5200,
    cache_creation_tokens: 4000,
  })
  expect(architect.cost).toBe(0.03504)
  expect(developer.usage).toEqual({
    input_tokens: 2800,
    output_tokens: 720,
    cache_read_tokens: 18900,
    cache_creation_tokens: 4000,
  })
  expect(developer.cost).toBe(0.02469)
  expect((developer.started_at ?? '') >= architect.completed_at).toBe(true)
  expect(demo.files.map((file) => file.path)).toEqual(['docs/SPEC.md', 'greet.mjs', 'greet.test.mjs'])
  for (const { path, bytes } of demo.files) {
    expect(await readFile(join(demo.workspace_dir, path), 'utf8')).toHaveLength(bytes)
  }

  const home = join(demo.ledger, '..')
  expect((await readdir(home)).toSorted()).toEqual(['claude_invocations.db', 'orchestrator.db', 'workspace'])
  const ledger = new Database(join(home, 'claude_invocations.db'), { readonly: true })
  const invocations = ledger
    .prepare('SELECT agent_type, status, cost_usd FROM claude_invocations ORDER BY invoked_at')
    .all()
  const tasks = ledger.prepare('SELECT agent_type, status FROM orchestrator_task ORDER BY agent_type').all()
  ledger.close()
  expect(invocations).toEqual([
    { agent_type: 'architect', status: 'completed', cost_usd: 0.03504 },
    { agent_type: 'code_developer', status: 'completed', cost_usd: 0.02469 },
  ])
  expect(tasks).toEqual([
    { agent_type: 'architect', status: 'completed' },
    { agent_type: 'code_developer', status: 'completed' },
  ])
  expect(await scratch.processes()).toEqual([])
})

test('a demo in which something is missing fails and says what', async () => {
  // This script writes no file.
  const ran = await drover.run(['demo', '--rehearse=default', '--json'])
  const demo = ran.json() as unknown as DemoDocument
  expect(ran.code).toBe(1)
  expect(demo.success).toBe(false)
  expect(demo.problems).toContain('greet.mjs was not written, or is empty.')
})

test('for people: what the agents say and do, the table, and where to look', async () => {
  const ran = await drover.run(['demo'])
  expect(ran.code, ran.stderr).toBe(0)
  expect(ran.stderr).toContain('docs/SPEC.md')
  expect(ran.stdout).toContain('code_developer')
  expect(ran.stdout).toContain('sqlite3')
})

test('with --keep everything stays up until it is told to stop', async () => {
  const ran = await drover.run(['demo', '--keep', '--json'])
  expect(ran.code, ran.stderr).toBe(0)
  const { board_url, pid } = ran.json() as unknown as DemoDocument
  try {
    const ready = await fetch(`${board_url}/readyz`)
    expect(ready.status).toBe(200)
    expect((await fetch(`${board_url}/queues`)).status).toBe(200)
  } finally {
    process.kill(pid ?? 0, 'SIGTERM')
  }
  await until(async () => (await scratch.processes()).length === 0, { timeoutMs: 30_000 })
})
