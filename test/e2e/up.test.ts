/** `drover up` in one terminal, the other commands in others. */
import { spawn } from 'node:child_process'
import { mkdir, readFile, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { openDrover, startUp, type Drover, type Up } from '../support/drover.ts'
import { createScratch, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'

let scratch: Scratch
let drover: Drover
let up: Up
let ready: Up['ready']
let workspace: string
const client = (): Record<string, string> => ({ DROVER_URL: ready.url })

beforeAll(async () => {
  scratch = await createScratch()
  drover = openDrover(scratch)
  workspace = join(scratch.dir, 'workspace')
  await mkdir(workspace)
  up = await startUp(drover, '--rehearse', { DROVER_WORKSPACE_ROOTS: workspace, DROVER_KEEP_SPOOLS: 'true' })
  ready = up.ready
}, 90_000)

afterAll(async () => {
  await up.stop()
  await scratch.check()
}, 60_000)

test('spawn --wait completed, watch and the ledger tell the same', async () => {
  const ran = await drover.run(
    ['spawn', 'architect', 'Say hello', '--wait', 'completed', '--workspace', workspace, '--json'],
    { env: client() },
  )
  expect(ran.code, ran.stderr).toBe(0)
  const answer = ran.json() as { session_id: string; agent_id: string }
  expect(answer).toMatchObject({ success: true, status: 'completed', cost: 0.005, num_turns: 1 })

  const watched = await drover.run(['watch', answer.session_id, '--json'], { env: client() })
  const events = watched.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Envelope)
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  expect(events.at(-1)?.type).toBe('drover.session.ended')

  const spool = await readFile(
    join(ready.data_dir, 'sessions', answer.session_id, 'agents', answer.agent_id, 'stdout.ndjson'),
    'utf8',
  )
  const ledger = new Database(join(ready.data_dir, 'orchestrator.db'), { readonly: true })
  const recorded = ledger
    .prepare(
      `SELECT m.content FROM claude_stream_messages m JOIN claude_invocations i USING (invocation_id)
       WHERE i.session_id = ? ORDER BY m.sequence`,
    )
    .pluck()
    .all(answer.session_id)
  ledger.close()
  expect(recorded).toEqual(spool.trimEnd().split('\n'))

  const shown = await drover.run(['sessions', 'show', answer.session_id, '--json'], { env: client() })
  expect(shown.json()).toMatchObject({ success: true })
})

test('a session of a type that does not exist, and one that was never there', async () => {
  const unknown = await drover.run(['spawn', 'architct', 'x'], { env: client(), cwd: workspace })
  expect([unknown.code, unknown.stderr]).toEqual([
    2,
    expect.stringContaining('Did you mean "architect"') as string,
  ])
  const missing = await drover.run(['sessions', 'show', '00000000-0000-4000-8000-000000000000'], {
    env: client(),
  })
  expect(missing.code).toBe(2)
})

test('tasks run in the order of their dependencies', async () => {
  const add = (id: string, ...more: string[]) =>
    drover.run(
      ['tasks', 'add', 'architect', `Do ${id}`, '--task-id', id, '--workspace', workspace, ...more, '--json'],
      {
        env: client(),
      },
    )
  expect((await add('T-1')).code).toBe(0)
  const second = await add('T-2', '--depends-on', 'T-1')
  expect(second.code, second.stderr + second.stdout).toBe(0)
  const task = async (id: string): Promise<{ status: string; started_at: string; completed_at: string }> =>
    ((await drover.run(['tasks', 'show', id, '--json'], { env: client() })).json() as { task: never }).task
  await until(async () => (await task('T-2')).status === 'completed', { timeoutMs: 30_000 })
  expect((await task('T-2')).started_at >= (await task('T-1')).completed_at).toBe(true)
})

test('the example of another service runs against it', async () => {
  const example = resolve(import.meta.dirname, '../../examples/enqueue-from-a-service.ts')
  const child = spawn(process.execPath, [example, 'order-1'], {
    cwd: workspace,
    env: { ...scratch.env, REDIS_URL: ready.redis_url },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const code = await new Promise((done) => child.on('close', done))
  expect([code, text]).toEqual([0, expect.stringContaining('drover.session.ended') as string])
})

test('run uses the Drover that is up when it has the model that is asked for', async () => {
  const ran = await drover.run([
    'run',
    'architect',
    'Say hello',
    '--rehearse',
    '--workspace',
    workspace,
    '--json',
  ])
  expect([ran.code, ran.stderr]).toEqual([0, expect.stringContaining(ready.url) as string])
  expect(await readdir(join(ready.data_dir, 'runs')).catch(() => [])).toEqual([])
})

test('a second up in the same data directory is refused, naming the first', async () => {
  const second = await drover.run(['up', '--rehearse', '--port', '0'])
  expect([second.code, second.stderr]).toEqual([3, expect.stringContaining(ready.url) as string])
})
