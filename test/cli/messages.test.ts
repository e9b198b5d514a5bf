import { expect, test } from 'vitest'
import { playSession } from '../board/play-session.ts'
import { cliOfFile } from './cli-of-file.ts'

const { board, cli } = await cliOfFile()

const within = (sessionId: string) => ({ env: { DROVER_SESSION_ID: sessionId } })

test('an exchange between a person and an agent, read, answered and listed', async () => {
  const session = await board.spawn()
  const sent = await cli.json(['messages', 'send', 'architect', 'Which', 'port?\u001B[31m'])
  expect(sent).toMatchObject({
    code: 0,
    document: { success: true, to_agent_type: 'architect', durability: 'ledger' },
  })
  const id: string = sent.document.message_id

  const read = await cli.run(['messages', 'inbox'], within(session))
  expect(read.stdout).toContain(`${id}  from a person`)
  expect(read.stdout).toContain('1 message not acknowledged')
  expect(read.stdout).not.toContain('\u001B')
  const answered = await cli.run(['messages', 'reply', id, '-'], {
    ...within(session),
    input: '4680\nor any',
  })
  expect(answered).toMatchObject({ code: 0, stdout: expect.stringContaining('to operator') })

  const { document } = await cli.json(['messages', 'inbox'])
  expect(document.messages).toMatchObject([
    { text: '4680\nor any', from_session: session, in_reply_to: id, thread_id: id },
  ])
  const [{ message_id: reply }] = document.messages
  const shown = await cli.run(['messages', 'show', reply])
  expect(shown.stdout).toMatch(new RegExp(`status +delivered\\nmessage +${reply}\\n`))
  expect(shown.stdout).toMatch(/\n\n4680\nor any\n$/)
  expect(await cli.run(['messages', 'acknowledge', reply])).toMatchObject({ code: 0, stdout: 'Taken.\n' })
  expect((await cli.run(['messages', 'acknowledge', reply])).stdout).toContain('taken before')
  expect((await cli.run(['messages', 'inbox'])).stdout).toBe('No messages.\n')

  const listed = await cli.run(['messages', 'list', '--thread-id', id])
  expect(listed.stdout).toMatch(/operator +acknowledged/)
  expect(listed.stdout).toMatch(/architect +acknowledged/)
  const own = await cli.json(['messages', 'list', '--status', 'waiting'], within(session))
  expect(own.document).toMatchObject({ messages: [], next_cursor: null })
})

test('a broadcast, and what is refused', async () => {
  const [one, other] = [await board.spawn(), await board.spawn({ agent_type: 'code_developer' })]
  const played = await playSession(board, one)
  await expect
    .poll(async () => (await board.get('/api/v1/sessions?status=running')).body.sessions.length)
    .toBe(1)
  const said = await cli.run(['messages', 'broadcast', 'Frozen until 14:00'], within(other))
  expect(said).toMatchObject({ code: 0, stdout: 'Sent to 1 session.\n' })
  await played.end()
  const [ended, unknown, none, parent] = await Promise.all([
    cli.json(['messages', 'send', one, 'late']),
    cli.run(['messages', 'send', 'architekt', 'x']),
    cli.run(['messages', 'send', 'architect']),
    cli.run(['messages', 'send', 'parent', 'x'], within(other)),
  ])
  expect(ended).toMatchObject({ code: 4, document: { error: 'session_ended' } })
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean "architect"?') })
  expect(none).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining("Missing required argument 'text'"),
  })
  expect(parent).toMatchObject({ code: 2, stderr: expect.stringContaining('"operator"') })
})
