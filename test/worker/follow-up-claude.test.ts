/** The real CLI in rehearsal: messages into the turn and as the next one, an interrupt, questions and their answers. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { parseScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { claudePath } from '../support/claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const SCRIPT = `description: x
agents:
  architect:
    - text: I begin.
      tools: [{ name: Bash, input: { command: 'touch steer.pid; until [ -e go ]; do sleep 0.1; done; echo went' } }]
    - text: Told in time.
    - text: Told later.
  code_developer:
    - text: I begin.
      tools: [{ name: Bash, input: { command: 'touch long.pid; sleep 60' } }]
    - text: Something else instead.
  code_reviewer:
    - text: I ask.
      tools: [{ name: Bash, input: { command: 'touch one.txt' } }, { name: Bash, input: { command: 'touch two.txt' } }]
    - text: Answered.`

let server: TestRedis
let rehearsal: Rehearsal
let house: PodHouse
beforeAll(async () => {
  server = await startRedis()
  rehearsal = await startRehearsal(parseScript(SCRIPT, 'x.yaml'))
  house = await openHouse({
    redisUrl: server.url,
    spec: { permission_mode: 'manual', permission_prompts: 'ask' },
    claude: { file: claudePath(), rehearsal },
  })
  await house.startPod({
    DROVER_STARTUP_TIMEOUT_MS: '60000',
    DROVER_STALL_TIMEOUT_MS: '60000',
    DROVER_KILL_GRACE_MS: '10000',
    DROVER_END_GRACE_MS: '10000',
  })
}, 60_000)
afterAll(async () => {
  await house.close()
  await rehearsal.stop()
  await server.stop()
})

const LONG = { timeoutMs: 60_000 }

async function spawn(agentType: string): Promise<string> {
  const options = { agentType, prompt: 'Begin.', workspaceDir: house.workspace }
  return (await house.producer.spawn(options)).sessionId
}

const ofType = (events: readonly Envelope[], type: string) => events.filter((event) => event.type === type)
/** Of the events so far, those that ask something. */
async function questions(sessionId: string): Promise<{ request_id: string; input: { command: string } }[]> {
  const entries = await house.redis.xrange(house.keys.events, '-', '+')
  return ofType(
    entries.map(([, fields]) => JSON.parse(fields[1] ?? 'null') as Envelope),
    'drover.session.waiting_input',
  )
    .filter((event) => event.session_id === sessionId)
    .map(({ payload }) => payload as { request_id: string; input: { command: string } })
}
/** Allows what the agent asks, as soon as it does. */
async function allowNext(sessionId: string): Promise<void> {
  const isAsking = async () =>
    (await house.redis.hget(house.keys.session(sessionId), 'state')) === 'waiting_input'
  await until(isAsking, LONG)
  await house.producer.answer(sessionId, { behavior: 'allow' })
}

describe.concurrent('one pod', () => {
  test('a message during a tool call is steered into the turn, one for later is a turn of its own', async () => {
    const sessionId = await spawn('architect')
    await allowNext(sessionId)
    await until(() => existsSync(join(house.workspace, 'steer.pid')), LONG)
    const now = await house.producer.send(sessionId, 'Mind the gap.')
    const later = await house.producer.send(sessionId, 'And the door.', { priority: 'later' })
    // Both are in the CLI's queue before its tool call ends.
    const isQueued = async () =>
      (await house.redis.xrange(house.keys.events, '-', '+')).some(
        ([, fields]) => fields[1]?.includes('"state":"queued"') && fields[1].includes(later.messageId),
      )
    await until(isQueued, LONG)
    await writeFile(join(house.workspace, 'go'), '')
    expect(await house.producer.result(sessionId)).toMatchObject({
      success: true,
      output: 'Told later.',
      restarts: 0,
    })
    const events = await house.events(sessionId)
    expect(
      ofType(events, 'drover.message.delivered').map(
        ({ payload }) => (payload as { message_id: string }).message_id,
      ),
    ).toEqual([now.messageId, later.messageId])
    // The first within the turn that ran, the second after its result.
    const order = events
      .map(({ type }) => type)
      .filter((type) => type === 'drover.message.delivered' || type === 'claude.result.success')
    expect(order.toSorted()).toEqual([
      'claude.result.success',
      'claude.result.success',
      'drover.message.delivered',
      'drover.message.delivered',
    ])
    const results = ofType(events, 'claude.result.success').map(
      ({ payload }) => (payload as { result: string }).result,
    )
    expect(results).toEqual(['Told in time.', 'Told later.'])
    expect(await house.redis.hget(house.keys.session(sessionId), 'inbox')).toBe('0')
  }, 90_000)

  test('an interrupt stops the tool call; the message that follows is the next turn, of the same agent', async () => {
    const sessionId = await spawn('code_developer')
    await allowNext(sessionId)
    await until(() => existsSync(join(house.workspace, 'long.pid')), LONG)
    expect(await house.producer.interrupt(sessionId)).toMatchObject({ acknowledged: true })
    await until(
      async () => Number(await house.redis.hget(house.keys.session(sessionId), 'interrupted_until')) > 0,
      LONG,
    )
    await house.producer.send(sessionId, 'Do something else.')
    expect(await house.producer.result(sessionId)).toMatchObject({
      success: true,
      output: 'Something else instead.',
      restarts: 0,
    })
    expect(ofType(await house.events(sessionId), 'drover.agent.spawned')).toHaveLength(1)
  }, 90_000)

  test('questions one after the other: another input runs instead, a denial is told', async () => {
    const sessionId = await spawn('code_reviewer')
    await until(async () => (await questions(sessionId)).length === 1, LONG)
    await house.producer.answer(sessionId, {
      behavior: 'allow',
      updatedInput: { command: 'echo other > other.txt' },
    })
    await until(async () => (await questions(sessionId)).length === 2, LONG)
    expect((await questions(sessionId)).map(({ input }) => input.command)).toEqual([
      'touch one.txt',
      'touch two.txt',
    ])
    await house.producer.answer(sessionId, { behavior: 'deny', message: 'Not the second one.' })
    expect(await house.producer.result(sessionId)).toMatchObject({ success: true, output: 'Answered.' })
    expect(await readFile(join(house.workspace, 'other.txt'), 'utf8')).toBe('other\n')
    expect(existsSync(join(house.workspace, 'one.txt'))).toBe(false)
    expect(existsSync(join(house.workspace, 'two.txt'))).toBe(false)
    expect(JSON.stringify(rehearsal.requests().map(({ body }) => body))).toContain('Not the second one.')
  }, 90_000)
})
