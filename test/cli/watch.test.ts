import { describe, expect, test } from 'vitest'
import { failed, playSession, says } from '../board/play-session.ts'
import { until } from '../support/until.ts'
import { cliOfFile } from './cli-of-file.ts'

const { board, cli } = await cliOfFile()

const seqsOf = (stdout: string): number[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { seq: number }).seq)

describe('watch', () => {
  test('shows what happens, as it happens, to the end', async () => {
    const id = await board.spawn()
    const running = cli.start(['watch', id])
    await until(() => running.stdout().includes('accepted (via http): Design it'))
    const agent = await playSession(board, id)
    await until(() => running.stdout().includes('starting architect-20260101-001, model opus'))
    await agent.print(says('I begin.'))
    await until(() => running.stdout().includes('\nI begin.\n'))
    await agent.end()
    const { code, stdout, stderr } = await running.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('completed: 1.2 s')
  })

  test('--json prints one event per line, 1…n, and ends after the last', async () => {
    const id = await board.spawn()
    const running = cli.start(['watch', id, '--json'])
    const agent = await playSession(board, id)
    // Byte by byte: numbers and keys of the CLI stay as they are.
    const odd = { type: 'assistant', b: 1, a: [1e21, 0.1], text: '\u2028' }
    await agent.print(odd, ...Array.from({ length: 50 }, (_, index) => says(`line ${index}`)))
    await agent.end()
    const { code, stdout } = await running.ended
    expect(code).toBe(0)
    const seqs = seqsOf(stdout)
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
    expect(seqs.length).toBeGreaterThan(55)
    expect(stdout).toContain(`"payload":${JSON.stringify(odd)}}\n`)
  })

  test('a session that has ended is shown whole', async () => {
    const id = await board.spawn()
    await (await playSession(board, id)).end(failed('crashed', 'It crashed.'))
    const { code, stdout } = await cli.run(['watch', id])
    expect(code).toBe(0)
    expect(stdout).toContain('failed (crashed): It crashed.')
  })

  test('takes an agent id, or an agent type: its running session, else its newest', async () => {
    const type = 'code_developer'
    const ended = await board.spawn({ agent_type: type })
    const first = await playSession(board, ended)
    await first.end()
    const ran = await cli.run(['watch', first.agent.agentId, '--json'])
    expect(JSON.parse(ran.stdout.split('\n')[0] ?? '')).toMatchObject({ session_id: ended })

    const live = await board.spawn({ agent_type: type })
    const agent = await playSession(board, live)
    // Newer, but nothing happens in it.
    await board.spawn({ agent_type: type })
    await until(async () => (await board.get(`/api/v1/sessions/${live}`)).body.session.status === 'running')
    const running = cli.start(['watch', type, '--json'])
    await until(() => running.stdout().includes('\n'))
    await agent.end()
    expect(new Set((await running.ended).stdout.trim().split('\n').map(sessionOf))).toEqual(new Set([live]))
  })

  test('--tail shows only what comes', async () => {
    const id = await board.spawn()
    const agent = await playSession(board, id)
    await agent.print(says('before'))
    await until(async () => (await board.get(`/api/v1/sessions/${id}/events`)).body.next >= 5)
    const running = cli.start(['watch', id, '--tail'])
    // It is connected once it shows something; until then it is said again.
    await until(async () => {
      await agent.print(says('after'))
      return running.stdout().includes('after')
    })
    await agent.end()
    const { stdout } = await running.ended
    expect(stdout).not.toContain('before')
    expect(stdout).not.toContain('accepted')
  })

  test('Ctrl-C ends it with 130', async () => {
    const id = await board.spawn()
    const running = cli.start(['watch', id])
    await until(() => running.stdout().includes('accepted'))
    running.child.kill('SIGINT')
    expect((await running.ended).code).toBe(130)
  })

  test('a reader that goes away ends it quietly', async () => {
    const id = await board.spawn()
    const agent = await playSession(board, id)
    const running = cli.start(['watch', id])
    await until(() => running.stdout().includes('started'))
    running.child.stdout?.destroy()
    await agent.print(says('to nobody'))
    expect(await running.ended).toMatchObject({ code: 0, stderr: '' })
    await agent.end()
  })

  test.each([
    ['b2c3d4e5-f6a7-4901-8bcd-ef1234567890', 'session'],
    ['architect-20251026-001', 'agent'],
    ['architekt', 'Did you mean "architect"?'],
    ['No Such Thing', 'neither a session id nor an agent id nor an agent type'],
  ])('%s: a sentence, exit 2', async (id, sentence) => {
    const { code, stdout, stderr } = await cli.run(['watch', id])
    expect(stderr).toContain(sentence)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })
})

function sessionOf(line: string): string {
  return (JSON.parse(line) as { session_id: string }).session_id
}
