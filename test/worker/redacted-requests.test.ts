/**
 * What people write is recorded without secrets and given to agents with them: through every door, in every place
 * where it is stored, published or logged. What Redis loses comes back as it is recorded, and that is said.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parsePattern } from '../../src/core/redact-patterns.ts'
import { createRedactor } from '../../src/core/redact.ts'
import { createProducer, type Producer } from '../../src/index.ts'
import { openBoard, type TestBoard } from '../board/open-board.ts'
import { connectMcp } from '../mcp/connect-mcp.ts'
import { fakePrompt, type FakeScript } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

/** Found by a pattern of Drover's, by a configured one, and as a value that the board alone knows. */
const SECRETS = [`npm_${'a1B2c3'.repeat(6)}`, 'TICKET-4711', 'of-the-board-alone'] as const
const MARKS = '[redacted:npm_token] [redacted:ticket] [redacted:BOARD_KEY]'
const RAW = SECRETS.join(' ')
const TEMPLATES = { plain: '{{task}} {{key}}' }
const TICKET = 'ticket=TICKET-[0-9]{4}'

let server: TestRedis
let house: PodHouse
let board: TestBoard
let producer: Producer
beforeAll(async () => {
  server = await startRedis()
  house = await openHouse({
    redisUrl: server.url,
    spec: { permission_mode: 'manual', permission_prompts: 'ask', max_instances: 4, templates: TEMPLATES },
  })
  const secrets = [{ name: 'BOARD_KEY', value: SECRETS[2] }]
  board = await openBoard(server.url, {
    namespace: house.keys.namespace,
    types: ['architect', 'code_developer'],
    templates: TEMPLATES,
    redactor: createRedactor({ secrets, patterns: [parsePattern(TICKET)] }),
  })
  producer = createProducer({
    redisUrl: server.url,
    namespace: house.keys.namespace,
    redaction: { secrets: { BOARD_KEY: SECRETS[2] }, patterns: [TICKET] },
  })
})
afterAll(async () => {
  await producer.close()
  await board.stop()
  await house.close()
  await server.stop()
})

/** An agent writes what it was told into a file. */
const telling = (file: string, more: FakeScript = {}): string =>
  fakePrompt({ ...more, write_files: { [file]: RAW } })
const told = (file: string): string => readFileSync(join(house.workspace, file), 'utf8')

async function ask(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<any> {
  const answer = await board.post(`/api/v1/${path}`, body, headers)
  if (answer.status >= 300) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body
}
const work = (prompt: string, more: object = {}): object => ({
  agent_type: 'architect',
  prompt,
  workspace_dir: house.workspace,
  ...more,
})
const task = (id: string, more: object = {}): object => ({
  tasks: [work(telling(id), { task_id: id, ...more })],
})
const get = async (path: string): Promise<any> => (await board.get(`/api/v1/${path}`)).body
const ended = (id: string): Promise<unknown> =>
  until(async () => (await get(`sessions/${id}`)).session?.completed_at, { message: `the end of ${id}` })
async function events(id: string): Promise<any[]> {
  return (await get(`sessions/${id}/events?limit=1000`)).events
}
const payloads = async (id: string, type: string): Promise<any[]> =>
  (await events(id)).filter((event) => event.type === type).map(({ payload }) => payload)
const sessionOf = (taskId: string): Promise<string> =>
  until(async () => (await get(`tasks/${taskId}`)).task?.session_id, { message: `a session of ${taskId}` })

/** All that was stored, published, answered or logged, from every place where somebody could look. */
async function everything(sessionIds: readonly string[]): Promise<string> {
  const files = readdirSync(board.dataDir, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => readFileSync(join(file.parentPath, file.name), 'latin1'))
  expect(files.join('')).toContain('SQLite format 3')
  const texts = await Promise.all(
    [
      'tasks',
      'events',
      'sessions',
      'search?q=script',
      ...sessionIds.flatMap((id) => [
        `sessions/${id}`,
        `sessions/${id}/events?limit=1000`,
        `sessions/${id}/export`,
        `sessions/${id}/export?format=markdown`,
      ]),
    ].map(async (path) => await (await fetch(`${board.url}/api/v1/${path}`)).text()),
  )
  const live = await fetch(`${board.url}/api/v1/sessions/${sessionIds[0]}/events`, {
    headers: { accept: 'text/event-stream' },
  })
  const stream = await house.redis.xrange(house.keys.events, '-', '+')
  return [...files, ...texts, await live.text(), JSON.stringify([stream, board.log])].join('\n')
}
function expectNothingOfIt(text: string): void {
  for (const secret of SECRETS) expect(text.includes(secret), secret).toBe(false)
}

test('what Redis loses comes back as it is recorded, is still the same request, and that is said', async () => {
  const spawn = (prompt: string): Promise<any> =>
    ask('sessions', work(prompt), { 'idempotency-key': 'before the loss' })
  const { session_id: id } = await spawn(telling('lost'))
  const message = { text: telling('lost-message'), message_id: '00000000-0000-4000-8000-000000000001' }
  await ask(`sessions/${id}/messages`, message)
  await ask('tasks', task('LOST-1'))
  const ofTask = await sessionOf('LOST-1')
  await until(async () => (await events(ofTask)).length > 1 && (await events(id)).length > 1)
  // Without its session, as a task has it that waits for another one.
  await ask('tasks', { tasks: [work(telling('LOST-2'), { task_id: 'LOST-2', depends_on: ['LOST-1'] })] })
  await until(async () => (await get('tasks/LOST-2')).task)

  await house.redis.flushall()
  // Written back: before that nothing new is taken.
  await until(async () => (await house.redis.get(house.keys.seeded)) !== null)
  expect(await spawn(telling('lost'))).toMatchObject({ session_id: id, repeated: true })
  await expect(spawn(telling('lost').replace('4711', '4712'))).rejects.toThrow(/idempotency_conflict/)
  expect(await ask(`sessions/${id}/messages`, message)).toMatchObject({ repeated: true })
  expect(await ask('tasks', task('LOST-1'))).toMatchObject({ added: 0 })
  expect(await ask('sessions', work(telling('LOST-1'), { task_id: 'LOST-1' }))).toMatchObject({
    session_id: ofTask,
    repeated: true,
  })

  await house.startPod({ DROVER_REDACTION_PATTERNS: TICKET })
  await Promise.all([ended(id), ended(await sessionOf('LOST-2'))])
  for (const file of ['lost', 'lost-message', 'LOST-1', 'LOST-2']) expect(told(file)).toBe(MARKS)
  for (const each of [id, ofTask, await sessionOf('LOST-2')]) {
    expect(await payloads(each, 'drover.agent.spawned')).toMatchObject([{ prompt_redacted: true }])
  }
  expect(await payloads(id, 'drover.message.delivered')).toMatchObject([{ redacted: true }])
})

test('agents get what they are told with its secrets, and nothing else has them', async () => {
  const mcp = await connectMcp('HTTP', board)
  const spawned = [
    // It repeats one that its pod has never heard of.
    (await ask('sessions', work(telling('http', { text: `it is ${SECRETS[2]}` })))).session_id,
    (await ask('sessions', work(telling('vars'), { template: 'plain', vars: { key: RAW } }))).session_id,
    (
      await producer.spawn({
        agentType: 'architect',
        prompt: telling('typescript'),
        workspaceDir: house.workspace,
      })
    ).sessionId,
    (
      await mcp.call('spawn_agent_async', {
        agent_type: 'architect',
        task: telling('mcp'),
        workspace_dir: house.workspace,
      })
    ).document.session_id,
  ] as string[]
  await mcp.close()
  await ask('tasks', task('T-1'))
  await ask('tasks', task('T-2', { template: 'plain', vars: { key: SECRETS[1] }, depends_on: ['T-1'] }))
  const ofNewTask = await ask('sessions', work(telling('T-3'), { depends_on: ['T-1'] }))
  await Promise.all(spawned.map(ended))
  for (const file of ['http', 'vars', 'typescript', 'mcp']) expect(told(file)).toBe(RAW)
  await Promise.all([ended(await sessionOf('T-2')), ended(ofNewTask.session_id)])
  for (const file of ['T-1', 'T-2', 'T-3']) expect(told(file)).toBe(RAW)

  const { task: recorded } = await get('tasks/T-2')
  expect(recorded).toMatchObject({ redacted: { members: ['prompt', 'vars.key', 'vars.task'] } })
  expect(recorded.prompt).toContain(MARKS)
  expect(recorded.vars).toMatchObject({ key: '[redacted:ticket]' })
  const [accepted] = await payloads(spawned[1] ?? '', 'drover.session.accepted')
  expect(accepted).toMatchObject({ request: { vars: { key: MARKS } } })
  expect((await get(`sessions/${spawned[0]}`)).session.result).toBe('it is [redacted:BOARD_KEY]')
  expect(await payloads(spawned[0] ?? '', 'drover.agent.spawned')).toEqual([
    expect.not.objectContaining({ prompt_redacted: true }),
  ])
  // Nor has Redis: what is completed is not run again.
  expect(await house.redis.hget(house.keys.session(spawned[0] ?? ''), 'taken_out')).toBeNull()
  expectNothingOfIt(await everything([...spawned, await sessionOf('T-2'), ofNewTask.session_id]))
})

test('messages, answers and reasons of people: the agent hears them as they were said', async () => {
  const { session_id: id } = await ask('sessions', work(fakePrompt({ ask: ['go'], text: 'first' })))
  const waits = (): Promise<unknown> =>
    until(async () => (await get(`sessions/${id}`)).session?.status === 'waiting_input')
  await waits()
  await producer.send(id, telling('said'), { priority: 'later' })
  const allowed = { behavior: 'allow', updated_input: { command: SECRETS[0], [SECRETS[1]]: [] } }
  await ask(`sessions/${id}/permissions`, allowed)
  await ended(id)
  expect(told('said')).toBe(RAW)
  const [answered] = await payloads(id, 'drover.message.answered')
  expect(answered.updated_input).toEqual({
    command: '[redacted:npm_token]',
    '[redacted:ticket]': [],
  })
  // It was settled: here too only what is recorded is left.
  expect(JSON.stringify(await house.redis.hgetall(house.keys.talk(id)))).not.toContain(SECRETS[1])
  const repeat = { ...allowed, request_id: answered.request_id }
  expect(await ask(`sessions/${id}/permissions`, repeat)).toMatchObject({ repeated: true })
  await expect(
    ask(`sessions/${id}/permissions`, { ...repeat, updated_input: { command: 'x' } }),
  ).rejects.toThrow(/already_answered/)

  const denied = await ask('sessions', work(fakePrompt({ ask: ['go'], silence_ms: 60_000 })))
  await until(async () => (await get(`sessions/${denied.session_id}`)).session?.status === 'waiting_input')
  await producer.answer(denied.session_id, { behavior: 'deny', message: SECRETS.slice(0, 2).join() })
  await until(async () => (await payloads(denied.session_id, 'drover.message.answered')).length > 0)
  await ask(`sessions/${denied.session_id}/kill`, { reason: RAW })
  // A restart begins with the prompt as it was given, as long as Redis has it.
  const { session_id: failing } = await ask(
    'sessions',
    work(telling('again', { result: 'error', text: 'no' }), { auto_restart: false }),
  )
  await ended(failing)
  rmSync(join(house.workspace, 'again'))
  const { session_id: again } = await ask(`sessions/${failing}/restart`, { force: true })
  await ended(again)
  expect(told('again')).toBe(RAW)
  expectNothingOfIt(await everything([id, denied.session_id, failing, again]))
})
