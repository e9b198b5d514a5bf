/**
 * The same kills against the real CLI in the middle of a Bash call: the next agent resumes, and the request that it
 * makes holds the conversation, with the open call marked as one whose outcome is unknown.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { costOfCall, pricesOf } from '../../src/core/prices.ts'
import { createTranscripts } from '../../src/queue/transcripts.ts'
import { loadScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { claudePath } from '../support/claude.ts'
import { createScratch, processesNaming, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'

/** What the shell of the Bash call has among its arguments. */
const MARK = 'drover-real-cli-marker'
const MODEL = 'sonnet'
const SCRIPT = `
description: A long shell call, then the end.
agents:
  '*':
    - text: I run the long command.
      tools:
        - name: Bash
          input:
            command: 'echo $$ > {{prompt}}; (setsid sh -c "exec -a ${MARK} sleep 300" &); for i in $(seq 300); do sleep 1; done'
            timeout: 600000
      usage: { input_tokens: 100, output_tokens: 10 }
    - text: The task is done.
      usage: { input_tokens: 200, output_tokens: 20 }
`

let scratch: Scratch
let rehearsal: Rehearsal
let field: Field

beforeAll(async () => {
  scratch = await createScratch()
  const script = join(scratch.dir, 'long.yaml')
  await writeFile(script, SCRIPT)
  rehearsal = await startRehearsal(await loadScript(script))
  const { ANTHROPIC_CUSTOM_HEADERS: _, ...model } = rehearsal.environment('code_developer', '')
  field = await openField({
    pods: 2,
    types: { code_developer: { allowed_tools: ['Bash'], model: MODEL } },
    // The real one starts in half a second, and flushes its transcript in a second and a half.
    times: { killGraceMs: 5000 },
    env: { ...model, DROVER_CLAUDE_PATH: claudePath() },
  })
}, 60_000)
afterAll(async () => {
  await field.close()
  await rehearsal.stop()
  await scratch.check()
})

/** Spawns a session, and resolves as soon as the shell of its Bash call runs. */
async function inBashCall(name: string): Promise<{ sessionId: string; pid: number; podId: string }> {
  const file = join(field.workspace, name)
  const sessionId = await field.spawn({}, { prompt: name, agentType: 'code_developer' })
  await until(() => existsSync(file), { timeoutMs: 30_000, message: 'the Bash call' })
  await field.recorded(sessionId, 'drover.agent.started')
  const [agent] = field.ledger.agents(sessionId)
  const started = field.ledger.events(sessionId).find(({ type }) => type === 'drover.agent.started')
  const { pid } = JSON.parse(started?.payload ?? '{}') as { pid: number }
  const podId = agent?.pod_id ?? ''
  await conversationTravelled(sessionId, podId)
  return { sessionId, pid, podId }
}

/** The CLI writes its transcript a moment later than its output; what it has not written, no kill can keep. */
async function conversationTravelled(sessionId: string, podId: string): Promise<void> {
  const { dataDir } = field.pods.find(({ id }) => id === podId) ?? { dataDir: '' }
  const config = join(dataDir, 'sessions', sessionId, 'claude', 'projects')
  const written = async (): Promise<string> => {
    const [slug = ''] = await readdir(config).catch(() => [])
    return await readFile(join(config, slug, `${sessionId}.jsonl`), 'utf8').catch(() => '')
  }
  const text = await until(async () => {
    const found = await written()
    return found.includes('"tool_use"') && found
  })
  const transcripts = createTranscripts(field.redis, field.keys)
  await until(async () => ((await transcripts.head(sessionId))?.mark.bytes ?? 0) >= Buffer.byteLength(text))
}

/** What the script's two calls cost: 300 tokens of input and 30 of output. */
function costMicros(): number {
  const prices = pricesOf(MODEL)
  if (prices === undefined) throw new Error(`${MODEL} has a price`)
  const usage = { input_tokens: 300, output_tokens: 30, cache_read_tokens: 0, cache_creation_tokens: 0 }
  return costOfCall(usage, prices) / 1_000_000
}

/** The agents of a session that has ended well, and what the last request to the model held. */
async function resumed(sessionId: string, name: string): Promise<{ agents: number; conversation: string }> {
  const row = await field.ended(sessionId, 60_000)
  expect(row).toMatchObject({ status: 'completed' })
  const agents = field.ledger.agents(sessionId)
  expect(agents.map(({ command }) => /--(resume|session-id)/.exec(command)?.[0])).toEqual([
    '--session-id',
    '--resume',
  ])
  // Both calls were made: the first one's agent has no result, so it is estimated, and to the micro-dollar right.
  expect(row).toMatchObject({ estimated_cost_micros: costMicros(), cost_estimated: 1 })
  const requests = rehearsal.requests().filter(({ body }) => JSON.stringify(body).includes(name))
  return { agents: agents.length, conversation: JSON.stringify(requests.at(-1)?.body) }
}

async function nothingLeft(): Promise<void> {
  await until(async () => (await processesNaming(MARK)).length === 0, { message: 'the daemon to be gone' })
}

test('the CLI killed with SIGKILL: restarted with the conversation, and its shells are gone', async () => {
  const { sessionId, pid } = await inBashCall('cli-killed.txt')
  process.kill(pid, 'SIGKILL')
  await nothingLeft()
  const { conversation } = await resumed(sessionId, 'cli-killed.txt')
  expect(conversation).toContain('I run the long command.')
  expect(conversation).toContain('outcome is unknown')
})

test('the worker killed with SIGKILL: another pod goes on with the conversation', async () => {
  const { sessionId, podId } = await inBashCall('worker-killed.txt')
  const shell = Number(await readFile(join(field.workspace, 'worker-killed.txt'), 'utf8'))
  expect(shell).toBeGreaterThan(0)
  await field.pods.find(({ id }) => id === podId)?.kill()
  await nothingLeft()
  const { conversation } = await resumed(sessionId, 'worker-killed.txt')
  expect(conversation).toContain('outcome is unknown')
  expect(field.ledger.agents(sessionId).map(({ pod_id: pod }) => pod === podId)).toEqual([true, false])
  await field.startPod({ id: podId, dataDir: field.pods.find(({ id }) => id === podId)?.dataDir ?? '' })
})

test('a pod that is told to stop hands over: another pod resumes, and no try is used', async () => {
  const { sessionId, podId } = await inBashCall('handed-over.txt')
  const pod = field.pods.findLast(({ id }) => id === podId)
  expect(await pod?.drain()).toBe(0)
  await nothingLeft()
  const { conversation } = await resumed(sessionId, 'handed-over.txt')
  expect(conversation).toContain('I run the long command.')
  expect(field.ledger.session(sessionId)).toMatchObject({ restarts: 0 })
})

test('and all invariants hold', async () => {
  await expect(checkInvariants(field)).resolves.not.toThrow()
})
