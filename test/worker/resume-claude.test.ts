/** The real CLI in rehearsal: its conversation goes on from one pod to another, each with files of its own. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { createTranscripts } from '../../src/queue/transcripts.ts'
import type { Pod } from '../../src/worker/pod.ts'
import { claudePath } from '../support/claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

/** A tool call that is open when the pod goes, and what the model says once it is asked again. */
const SCRIPT = `description: x
agents:
  architect:
    - text: I start with the small rivers.
      tools: [{ name: Bash, input: { command: 'echo $$ > tool.pid; exec sleep 60' } }]
    - text: The poem is done.`

const server = await redisOfFile()
let rehearsal: Rehearsal
let house: PodHouse
beforeEach(async () => {
  rehearsal = await startRehearsal(parseScript(SCRIPT, 'x.yaml'))
  house = await openHouse({
    redisUrl: server.url,
    spec: { allowed_tools: ['Bash'] },
    claude: { file: claudePath(), rehearsal },
  })
})
afterEach(async () => {
  await house.close()
  await rehearsal.stop()
})

/** A pod with a data directory and so a configuration directory of its own. */
function startMachine(name: string): Promise<Pod> {
  return house.startPod({
    DROVER_DATA_DIR: join(house.dataDir, name),
    DROVER_TRANSCRIPT_INTERVAL_MS: '200',
    DROVER_STARTUP_TIMEOUT_MS: '60000',
    DROVER_KILL_GRACE_MS: '10000',
    DROVER_STALL_TIMEOUT_MS: '60000',
  })
}

async function spawn(): Promise<string> {
  const options = {
    agentType: 'architect',
    prompt: 'Write a poem about rivers.',
    workspaceDir: house.workspace,
  }
  return (await house.producer.spawn(options)).sessionId
}

/** The agent is in the middle of its tool call. */
async function toolRuns(): Promise<void> {
  await until(() => readFile(join(house.workspace, 'tool.pid'), 'utf8'), { timeoutMs: 60_000 })
}

/** What the model was told in the latest call: role and text of each message. */
function conversation(): string[] {
  const body = rehearsal.requests().at(-1)?.body as { messages: { role: string; content: unknown }[] }
  return body.messages
    .filter(({ role }) => role !== 'system')
    .map(({ role, content }) => `${role}: ${typeof content === 'string' ? content : JSON.stringify(content)}`)
}

test('a hand-over: the model is told of the earlier turns, the open tool call, and what happened', async () => {
  const one = await startMachine('one')
  const sessionId = await spawn()
  await toolRuns()
  await one.stop(0)
  expect(await createTranscripts(house.redis, house.keys).head(sessionId)).toMatchObject({ podId: 'pod-1' })
  const before = rehearsal.requests().length

  await startMachine('two')
  await house.events(sessionId)
  expect(await house.producer.result(sessionId)).toMatchObject({
    success: true,
    output: 'The poem is done.',
    restarts: 0,
  })
  expect(rehearsal.requests().length).toBeGreaterThan(before)
  const said = conversation()
  expect(said[0]).toContain('Write a poem about rivers.')
  const all = said.join('\n')
  expect(all).toContain('I start with the small rivers.')
  expect(said.findIndex((message) => message.startsWith('tool: '))).toBeGreaterThan(0)
  expect(said.at(-1)).toContain('it was moved to another machine')
  expect(said.at(-1)).toContain('its outcome is unknown')
})

test('a conversation that is nowhere: the CLI says so, and the session begins again without a try', async () => {
  const one = await startMachine('one')
  const sessionId = await spawn()
  await toolRuns()
  await one.stop(0)
  await createTranscripts(house.redis, house.keys).remove(sessionId)

  await startMachine('two')
  // The first turn again, so the tool call too.
  await until(() => conversation().at(-1)?.includes('The earlier conversation is gone') === true, {
    timeoutMs: 60_000,
  })
  expect(conversation().join('\n')).not.toContain('small rivers')
  expect(await house.redis.hmget(house.keys.session(sessionId), 'restarts', 'free_steps')).toEqual(['0', '2'])
})
