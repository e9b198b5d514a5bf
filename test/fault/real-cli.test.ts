/**
 * The same kills against the real CLI in the middle of a Bash call: the next agent resumes, and the request that it
 * makes holds the conversation, with the open call marked as one whose outcome is unknown. At the end everything has
 * cost what the model was asked for, and nothing that is kept holds the agents' key, which one of them printed.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createTranscripts } from '../../src/queue/transcripts.ts'
import type { SessionDocument } from '../../src/producer/http-client.ts'
import { loadScript } from '../../src/rehearsal/load-script.ts'
import { startRehearsal, type Rehearsal } from '../../src/rehearsal/rehearsal.ts'
import { claudePath } from '../support/claude.ts'
import { openDrover } from '../support/drover.ts'
import { createScratch, processesNaming, type Scratch } from '../support/leaks.ts'
import { until } from '../support/until.ts'
import { sessionOf, spentBy, spentIn, spentInLedger, type CostDocument, type Spent } from './rig/bill.ts'
import { openField, type Field } from './rig/field.ts'
import { checkInvariants } from './rig/invariants.ts'
import { sinksOf } from './rig/sinks.ts'

vi.setConfig({ testTimeout: 180_000 })

/** What the shell of the Bash call has among its arguments. */
const MARK = 'drover-real-cli-marker'
/** The agents' own key: it must leave their pods in no form. */
const CANARY = 'canary-Zx81qPLmW02vBnRs77KeTq49hJ'
const SCRIPT = `
description: A colleague is asked, then a long shell call, then the end.
agents:
  code_developer:
    - text: I ask a colleague.
      tools:
        - name: Agent
          input: { description: count, prompt: Count the files., subagent_type: general-purpose, model: haiku }
      usage: { input_tokens: 50, output_tokens: 30, cache_creation_tokens: 4001 }
    - text: I run the long command.
      tools: &long
        - name: Bash
          input:
            command: 'echo $$ > {{prompt}}; (setsid sh -c "exec -a ${MARK} sleep 300" &); for i in $(seq 300); do sleep 1; done'
            timeout: 600000
      usage: { input_tokens: 100, output_tokens: 10, cache_read_tokens: 4001 }
    - text: The task is done.
      usage: { input_tokens: 200, output_tokens: 20 }
  architect:
    - text: I look at my key, and start something.
      tools:
        - { name: Bash, input: { command: 'printenv ANTHROPIC_API_KEY; printenv ANTHROPIC_API_KEY | base64' } }
        - { name: Bash, input: { command: 'sleep 0.5', run_in_background: true } }
      usage: { input_tokens: 1001, output_tokens: 101 }
    - text: It is started.
      usage: { input_tokens: 1003, output_tokens: 103 }
    - text: It has ended, so I run the long command.
      tools: *long
      usage: { input_tokens: 1007, output_tokens: 107 }
    - text: It was interrupted, so I run it again.
      tools: *long
      usage: { input_tokens: 1013, output_tokens: 113 }
    - text: The design is done.
      usage: { input_tokens: 1009, output_tokens: 109, cache_read_tokens: 5003 }
subagents:
  Count the files.:
    - tools: [{ name: Glob, input: { pattern: '*' } }]
      usage: { input_tokens: 3001, output_tokens: 31 }
    - text: There are some.
      usage: { input_tokens: 3100, output_tokens: 33, cache_read_tokens: 3001 }
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
  const env = (type: string): object => ({
    PASS: ['DROVER_TEST_MARK'],
    SET: { ANTHROPIC_CUSTOM_HEADERS: rehearsal.environment(type, '')['ANTHROPIC_CUSTOM_HEADERS'] },
  })
  field = await openField({
    pods: 2,
    types: {
      code_developer: {
        allowed_tools: ['Bash', 'Agent', 'Glob'],
        model: 'sonnet',
        env: env('code_developer'),
      },
      architect: { allowed_tools: ['Bash'], model: 'opus', background_tasks: true, env: env('architect') },
    },
    // The real one starts in half a second, and flushes its transcript in a second and a half. One test waits for a lease.
    times: { ttlMs: 6000, killGraceMs: 5000 },
    env: {
      ...model,
      ANTHROPIC_API_KEY: CANARY,
      DROVER_CLAUDE_PATH: claudePath(),
      DROVER_LOG_LEVEL: 'debug',
    },
  })
}, 60_000)
afterAll(async () => {
  await field.close()
  await rehearsal.stop()
  await scratch.check()
})

/** Spawns a session, and resolves as soon as the shell of its Bash call runs. */
async function inBashCall(
  name: string,
  agentType = 'code_developer',
): Promise<{ sessionId: string; pid: number; podId: string }> {
  const file = join(field.workspace, name)
  const sessionId = await field.spawn({}, { prompt: name, agentType })
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
  const text = await until(
    async () => {
      const found = await written()
      return found.includes(MARK) && found
    },
    { timeoutMs: 30_000, message: 'the CLI to write its transcript' },
  )
  const transcripts = createTranscripts(field.redis, field.keys)
  // Looked at every 5 s, and on a busy machine less often: copying takes a twentieth of the time at most.
  await until(async () => ((await transcripts.head(sessionId))?.mark.bytes ?? 0) >= Buffer.byteLength(text), {
    timeoutMs: 40_000,
    message: 'the conversation to be copied',
  })
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
  // The first agent has no result for its last turn, so that is estimated: "the bill" below says that it is right.
  expect(row).toMatchObject({ cost_estimated: 1 })
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
  // Nobody knows what the dead pod still has, until it is back.
  expect(field.ledger.session(sessionId)).toMatchObject({ incomplete: 1 })
  await field.startPod({ id: podId, dataDir: field.pods.find(({ id }) => id === podId)?.dataDir ?? '' })
  await until(() => field.ledger.session(sessionId)?.incomplete === 0)
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

test('a hand-over behind a result, a kill and a restart by hand: the conversation travels without the key', async () => {
  await field.startPod()
  const name = 'handed-over-later.txt'
  const { sessionId, podId } = await inBashCall(name, 'architect')
  expect(field.ledger.payloads(sessionId, 'claude.result.success')).toHaveLength(1)
  await rm(join(field.workspace, name))
  const here = rehearsal.requests().length
  expect(await field.pods.findLast(({ id }) => id === podId)?.drain()).toBe(0)
  // Elsewhere it goes on with the next long call.
  await until(() => existsSync(join(field.workspace, name)), { timeoutMs: 30_000 })
  const [asked] = rehearsal.requests().slice(here)
  expect(JSON.stringify(asked?.body)).toContain('[redacted:ANTHROPIC_API_KEY]')
  // It was there to be found, and it stayed where it was.
  expect(JSON.stringify(rehearsal.requests().slice(0, here))).toContain(CANARY)
  expect(JSON.stringify(asked?.body)).not.toContain(CANARY)

  await post(`/sessions/${sessionId}/kill`)
  expect(await field.ended(sessionId)).toMatchObject({ status: 'cancelled', cost_estimated: 1 })
  // It begins with a copy of the conversation: what its CLI calls its total has the first session's cost in it.
  const { session_id: again } = await post(`/sessions/${sessionId}/restart`)
  field.accepted.push(again)
  expect(await field.ended(again)).toMatchObject({ status: 'completed', cost_estimated: 0 })
  expect(field.ledger.agents(again)[0]?.command).toContain('--fork-session')
})

async function post(path: string): Promise<{ readonly session_id: string }> {
  const answer = await fetch(`${api()}${path}`, { method: 'POST' })
  expect(answer.ok, path).toBe(true)
  return (await answer.json()) as { session_id: string }
}

async function get(path: string): Promise<SessionDocument> {
  return (await (await fetch(`${api()}${path}`)).json()) as SessionDocument
}

const api = (): string => `${String(field.board().ready['url'])}/api/v1`

test('the bill: every reader says what the model was asked for, to the micro-dollar', async () => {
  const bySession = spentBy(rehearsal, sessionOf)
  const byModel = spentBy(rehearsal, ({ model }) => model)
  const byType = spentBy(rehearsal, ({ agentType }) => agentType)
  const { all } = spentBy(rehearsal, () => 'all')
  expect(Object.keys(byModel)).toHaveLength(3)
  expect(Object.keys(bySession)).toHaveLength(5)

  const ledger = spentInLedger(field)
  expect(ledger['sessions']).toEqual(bySession)
  expect(ledger['invocations']).toEqual(bySession)
  expect(ledger['models']).toEqual(byModel)
  expect(ledger['all']).toEqual({ all })
  // The restart belongs to what it goes on from.
  expect(Object.keys(ledger['trees'] ?? {})).toHaveLength(4)

  for (const [sessionId, { cost_micros }] of Object.entries(bySession)) {
    const { answer: said, session } = await get(`/sessions/${sessionId}`)
    expect(said?.cost).toBeCloseTo(cost_micros / 1e6, 9)
    expect(said?.cost_estimated).toBe(session.cost_estimated)
  }
  const costs = async (by: string): Promise<Record<string, Spent>> =>
    spentIn((await (await fetch(`${api()}/cost?by=${by}`)).json()) as CostDocument)
  expect(await costs('session')).toEqual({ ...bySession, total: all })
  expect(await costs('model')).toEqual({ ...byModel, total: all })
  expect(await costs('agent_type')).toEqual({ ...byType, total: all })
  expect(await costs('tree')).toEqual({ ...ledger['trees'], total: all })
  expect(await costs('task')).toEqual({ none: all, total: all })
  const { total, ...days } = await costs('day')
  expect(total).toEqual(all)
  expect(Object.values(days).reduce((sum, { cost_micros }) => sum + cost_micros, 0)).toBe(all?.cost_micros)

  const command = await openDrover(field.scratch).run(['cost', '--by', 'model', '--json'], {
    env: { DROVER_URL: String(field.board().ready['url']) },
  })
  expect(spentIn(command.json() as unknown as CostDocument)).toEqual({ ...byModel, total: all })
})

test('nothing that is kept or shown has the key that an agent printed', async () => {
  const [sessionId = ''] = field.ledger
    .sessions()
    .filter(({ agent_type: type }) => type === 'architect')
    .map((session) => session.session_id)
  const forms = [CANARY, Buffer.from(`${CANARY}\n`).toString('base64').slice(0, -4)]
  for (const [sink, text] of Object.entries(await sinksOf(field, sessionId))) {
    for (const form of forms) expect(text.includes(form), sink).toBe(false)
  }
})

test('and all invariants hold: nothing is missing of any session', async () => {
  await expect(checkInvariants(field)).resolves.not.toThrow()
  expect(field.ledger.sessions().map(({ incomplete }) => incomplete)).toEqual([0, 0, 0, 0, 0])
})
