import { expect, test } from 'vitest'
import { failed, playSession } from '../board/play-session.ts'
import { until } from '../support/until.ts'
import { cliOfFile } from './cli-of-file.ts'

const { board, cli } = await cliOfFile()

test('kill: the answer as a document and as a sentence; the door is recorded', async () => {
  const one = await board.spawn()
  const { code, document } = await cli.json(['kill', one, '--grace', '2.5'])
  expect({ code, document }).toMatchObject({
    code: 0,
    document: { success: true, session_id: one, action: 'graceful_kill', grace_period_seconds: 2.5 },
  })
  const { events } = (await board.get(`/api/v1/sessions/${one}/events?limit=1000`)).body
  const asked = events.find((event: any) => event.type === 'drover.session.cancel_requested')
  expect(asked.payload.actor).toEqual({ via: 'cli', name: null })

  const two = await board.spawn()
  expect(await cli.run(['kill', two, '--force'])).toMatchObject({
    code: 0,
    stdout: `${two} cancelled before it had an agent\n`,
    stderr: '',
  })
})

test('kill: one id or --stalled, and what is not there', async () => {
  for (const args of [['kill'], ['kill', 'x', '--stalled'], ['restart'], ['restart', 'x', '--all-failed']]) {
    const { code, stderr } = await cli.run(args)
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('without one') })
  }
  const unknown = await cli.json(['kill', 'architect-20260101-999'])
  expect(unknown).toMatchObject({ code: 2, document: { success: false, error: 'agent_not_found' } })
  expect(await cli.run(['kill', 'x', '--grace', 'long'])).toMatchObject({ code: 2 })
})

test('kill --stalled where nothing is', async () => {
  expect(await cli.run(['kill', '--stalled'])).toMatchObject({ code: 0, stdout: 'No agent is stalled.\n' })
  const { document } = await cli.json(['kill', '--stalled'])
  expect(document).toMatchObject({
    success: true,
    action: 'kill_stalled',
    agents_killed: 0,
    killed_agents: [],
  })
})

test('restart: a new session for an ended one; refusals are exit 4', async () => {
  const old = await board.spawn()
  await (await playSession(board, old)).end(failed('crashed', 'It crashed.'))
  await until(async () => (await board.get(`/api/v1/sessions/${old}`)).body.session.completed_at !== null)
  const { code, stdout } = await cli.run(['restart', old])
  expect(code).toBe(0)
  const [next = ''] = stdout.split(' ')
  expect(stdout).toBe(`${next} The session ${next} goes on where ${old} ended.\n`)
  const shown = await cli.run(['sessions', 'show', next])
  expect(shown.stdout).toMatch(new RegExp(`restart of +${old}`))

  await (await playSession(board, next)).end(failed('auth_error', 'No credentials.'))
  await until(async () => (await board.get(`/api/v1/sessions/${next}`)).body.session.completed_at !== null)
  const refused = await cli.json(['restart', next])
  expect(refused).toMatchObject({ code: 4, document: { error: 'non_retryable_error' } })

  const all = await cli.run(['restart', '--all-failed', '--since', '2026-01-01'])
  expect(all).toMatchObject({ code: 0 })
  expect(all.stdout).toContain(`${next} left as it is (non_retryable_error): `)
  expect(await cli.json(['restart', next, '--force'])).toMatchObject({
    code: 0,
    document: { restart_of: next, retry_count: 2 },
  })
})
