/** Sessions that go on: on another pod with a data directory of its own, or wait for the pod that has what they need. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Pod } from '../../src/worker/pod.ts'
import { createTranscripts } from '../../src/queue/transcripts.ts'
import { openTranscript } from '../../src/session/transcript.ts'
import { readWitness, violations, type FakeScript } from '../support/fake-claude.ts'
import { openHouse, type PodHouse } from '../support/pod.ts'
import { until } from '../support/until.ts'
import { redisOfFile } from '../support/redis-of-file.ts'

const server = await redisOfFile()
let house: PodHouse
beforeEach(async () => {
  house = await openHouse({ redisUrl: server.url })
})
afterEach(() => house.close())

const starts = (): ReturnType<typeof readWitness> =>
  readWitness(house.witness).filter((record) => record.kind === 'start')
const field = (sessionId: string, name: string): Promise<string | null> =>
  house.redis.hget(house.keys.session(sessionId), name)
const typesOf = (events: readonly { type: string }[]): string[] => events.map((event) => event.type)
const dataDirOf = (name: string): string => join(house.dataDir, name)

/** A pod on a machine of its own, as far as its files go. */
function startMachine(name: string, env: Readonly<Record<string, string>> = {}): Promise<Pod> {
  return house.startPod({
    DROVER_DATA_DIR: dataDirOf(name),
    DROVER_TRANSCRIPT_INTERVAL_MS: '100',
    ...env,
  })
}

/** A pod whose files are others: the session's workspace is in none of its roots. */
async function startWithoutWorkspace(name: string, env: Readonly<Record<string, string>> = {}): Promise<Pod> {
  await mkdir(dataDirOf(name), { recursive: true })
  return await startMachine(name, { DROVER_WORKSPACE_ROOTS: dataDirOf(name), ...env })
}

/** The prompts that the conversation holds, as the machine has it. */
async function promptsOn(name: string, sessionId: string): Promise<string[]> {
  const projects = join(dataDirOf(name), 'sessions', sessionId, 'claude/projects')
  const files = await readdir(projects, { recursive: true })
  const file = files.find((name) => name.endsWith(`${sessionId}.jsonl`)) ?? 'none'
  const text = await readFile(join(projects, file), 'utf8')
  const last = JSON.parse(text.trim().split('\n').at(-1) ?? '{}') as { prompts: string[] }
  return last.prompts
}

async function running(sessionId: string): Promise<void> {
  await until(async () => (await field(sessionId, 'state')) === 'running', { timeoutMs: 20_000 })
}
async function copied(sessionId: string): Promise<void> {
  await until(() => house.redis.exists(house.keys.transcript(sessionId)))
}

const SLOW: FakeScript = { lines: 2, silence_ms: 60_000 }

describe('a session that goes on elsewhere', () => {
  test('after a hand-over has its conversation with it, under its own id, and costs no try', async () => {
    const first = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    await running(sessionId)
    await first.stop(0)
    expect(await field(sessionId, 'previous_end')).toBe('hand_over')

    const second = await startMachine('two')
    await until(() => starts().length === 2, { timeoutMs: 20_000 })
    expect(starts()[1]?.argv).toContain(`--resume=${sessionId}`)
    await until(async () => (await promptsOn('two', sessionId)).length === 2)
    const [asked, goOn] = await promptsOn('two', sessionId)
    expect(asked).toContain('Do as the script says.')
    expect(goOn).toContain('it was moved to another machine')
    expect(await field(sessionId, 'restarts')).toBeNull()
    expect(violations(house.witness)).toEqual([])
    await second.stop(0)
  })

  test('after its pod was lost has what was copied while it ran', async () => {
    const first = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    await running(sessionId)
    await copied(sessionId)
    // All that is left of a machine that is gone: what is in Redis.
    const transcript = openTranscript(join(dataDirOf('one'), 'sessions', sessionId, 'claude'), sessionId)
    const transcripts = createTranscripts(house.redis, house.keys)
    await until(async () => {
      const head = await transcripts.head(sessionId)
      return head !== null && (await transcript.holds(head.mark))
    })
    await first.stop(0)
    await rm(dataDirOf('one'), { recursive: true })

    await startMachine('two')
    await until(() => starts().length === 2, { timeoutMs: 20_000 })
    const prompts = await until(async () => {
      const found = await promptsOn('two', sessionId)
      return found.length === 2 && found
    })
    expect(prompts[0]).toContain('Do as the script says.')
  })

  test('and comes back: the files that are older than what others went on with are replaced', async () => {
    const one = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    await running(sessionId)
    await one.stop(0)
    const two = await startMachine('two')
    await until(() => starts().length === 2, { timeoutMs: 20_000 })
    await running(sessionId)
    await two.stop(0)
    expect(await promptsOn('one', sessionId)).toHaveLength(1)

    await startMachine('one')
    await until(() => starts().length === 3, { timeoutMs: 20_000 })
    await until(async () => (await promptsOn('one', sessionId)).length === 3)
  })

  test('without a conversation begins again at once, says so, and costs no try', async () => {
    const first = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    const seen = house.events(sessionId)
    await running(sessionId)
    await first.stop(0)
    await house.redis.del(house.keys.transcript(sessionId))
    await startMachine('two')
    await until(() => starts().length === 3, { timeoutMs: 20_000 })
    expect(starts().map((start) => start.argv?.find((each) => /^--(resume|session-id)=/.test(each)))).toEqual(
      [`--session-id=${sessionId}`, `--resume=${sessionId}`, `--session-id=${sessionId}`],
    )
    await until(async () => (await promptsOn('two', sessionId)).length === 1)
    expect((await promptsOn('two', sessionId))[0]).toContain('The earlier conversation is gone')
    expect(Number(await field(sessionId, 'restarts'))).toBe(0)
    void seen.catch(() => {})
  })

  test('its copy goes when it is completed and recorded; of one that failed it stays for a day', async () => {
    await startMachine('one')
    const good = await house.spawn({ silence_ms: 400 })
    await copied(good)
    await house.events(good)
    const bad = await house.spawn({ silence_ms: 400, result: 'error' })
    await copied(bad)
    await house.events(bad)
    const ttl = await until(async () => {
      const seconds = await house.redis.ttl(house.keys.transcript(bad))
      return seconds <= 24 * 3600 && seconds
    })
    expect(ttl).toBeGreaterThan(23 * 3600)

    const lastId = (await field(bad, 'last_id')) ?? ''
    await house.redis.set(house.keys.recorded, lastId)
    await house.redis.publish(house.keys.recorded, lastId)
    await until(async () => (await house.redis.exists(house.keys.transcript(good))) === 0)
    await until(async () => !(await readdir(join(dataDirOf('one'), 'sessions'))).includes(bad))
    expect(await house.redis.exists(house.keys.transcript(bad))).toBe(1)
  })
})

describe('a restart of a session that has ended', () => {
  test('goes on with a copy of its conversation, on a pod that never had it', async () => {
    const one = await startMachine('one')
    const old = await house.spawn({ result: 'error', cost_usd: 0.5 })
    await house.events(old)
    expect(await house.producer.result(old)).toMatchObject({ status: 'failed' })
    await one.stop(0)
    const { sessionId } = await house.producer.restart(old, { force: true })
    expect(sessionId).not.toBe(old)

    await startMachine('two', { DROVER_KEEP_SPOOLS: 'true' })
    await house.events(sessionId)
    const args = starts()[1]?.argv ?? []
    expect(args.filter((each) => /^--(resume|session-id|fork-session)/.test(each))).toEqual([
      `--resume=${old}`,
      '--fork-session',
      `--session-id=${sessionId}`,
    ])
    const prompts = await promptsOn('two', sessionId)
    expect(prompts).toHaveLength(2)
    expect(prompts[1]).toMatch(/^An earlier session of this task ended/)
  })

  test('begins again where the conversation is gone, and says so', async () => {
    await startMachine('one', { DROVER_KEEP_SPOOLS: 'true' })
    const old = await house.spawn({ result: 'error' })
    await house.events(old)
    await house.redis.del(house.keys.transcript(old))
    const { sessionId } = await house.producer.restart(old, { force: true })
    await house.events(sessionId)
    expect(starts()[1]?.argv).toContain(`--session-id=${sessionId}`)
    expect(starts()[1]?.argv).not.toContain('--fork-session')
    expect((await promptsOn('one', sessionId))[0]).toContain('The earlier conversation is gone')
  })
})

describe('a session whose workspace is not on the pod', () => {
  test('waits for the pod that has it, visibly, and goes on there', async () => {
    const one = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    await running(sessionId)
    const workspaceId = await field(sessionId, 'workspace_id')
    await one.stop(0)

    await startWithoutWorkspace('two')
    await until(async () => (await field(sessionId, 'state')) === 'waiting_workspace')
    const waiting = JSON.parse((await field(sessionId, 'workspace_wait')) ?? '{}') as { looked: string[] }
    expect(waiting.looked).toEqual(['pod-2'])
    const entries = await house.redis.xrange(house.keys.events, '-', '+')
    const claimed = entries
      .map(([, fields]) => JSON.parse(fields[1] ?? '{}') as { type: string; payload: object })
      .filter(({ type }) => type === 'drover.session.claimed')
    expect(claimed).toHaveLength(2)
    expect(claimed[1]?.payload).toMatchObject({
      pod_id: 'pod-2',
      waiting_workspace: { workspace_id: workspaceId, last_pod_id: 'pod-1' },
    })
    // Others of its type run meanwhile.
    const other = await house.spawn({}, { workspaceDir: dataDirOf('two') })
    await house.events(other)
    expect(starts()).toHaveLength(2)

    await startMachine('one')
    await until(() => starts().length === 3, { timeoutMs: 20_000 })
    expect(starts()[2]?.argv).toContain(`--resume=${sessionId}`)
    expect(violations(house.witness)).toEqual([])
  })

  test('fails as lost when nobody brings it in time', async () => {
    const one = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    const seen = house.events(sessionId)
    await running(sessionId)
    await one.stop(0)
    await startWithoutWorkspace('two', { DROVER_WORKSPACE_WAIT_MS: '1000' })
    const events = await seen
    expect(await house.producer.result(sessionId)).toMatchObject({
      status: 'failed',
      failureReason: 'workspace_lost',
    })
    // However often it was looked at: said once.
    expect(typesOf(events).filter((type) => type === 'drover.session.claimed')).toHaveLength(2)
  })

  test('is not fooled by another directory of the same name', async () => {
    const one = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    await running(sessionId)
    await one.stop(0)
    await rm(join(house.workspace, '.drover-workspace-id'))
    await startMachine('two', { DROVER_WORKSPACE_WAIT_MS: '300' })
    expect(typesOf(await house.events(sessionId))).not.toContain('drover.agent.stalled')
    expect(await house.producer.result(sessionId)).toMatchObject({ failureReason: 'workspace_lost' })
    expect(starts()).toHaveLength(1)
  })

  test('that has never run goes to the pod that has it', async () => {
    await startWithoutWorkspace('one')
    await startMachine('two')
    const ids = [await house.spawn({}), await house.spawn({}), await house.spawn({})]
    for (const id of ids) {
      await house.events(id)
      expect(await house.producer.result(id)).toMatchObject({ success: true })
    }
  })

  test('nor on any other fails as soon as all have looked: a wrong path is told at once', async () => {
    await startMachine('one')
    await startMachine('two')
    const sessionId = await house.spawn({}, { workspaceDir: `${house.workspace}/typo` })
    await house.events(sessionId)
    expect(await house.producer.result(sessionId)).toMatchObject({ failureReason: 'invalid_config' })
    expect(starts()).toEqual([])
  })
})

describe('a session too large to travel', () => {
  test('waits for its pod, and goes on there', async () => {
    const one = await startMachine('one')
    const sessionId = await house.spawn(SLOW)
    await running(sessionId)
    await one.stop(0)
    // As the pod leaves it when the conversation is over the limit (transcript-shipper.test.ts).
    const transcripts = createTranscripts(house.redis, house.keys)
    const configDir = join(dataDirOf('one'), 'sessions', sessionId, 'claude')
    const packed = await openTranscript(configDir, sessionId, { packed: 1, raw: 1e6 }).pack()
    if (packed === null) throw new Error('nothing to pack')
    const epoch = (await field(sessionId, 'epoch')) ?? ''
    const agent = { sessionId, agentType: 'architect', agentId: 'a', epoch }
    expect(await transcripts.put(agent, { podId: 'pod-1', ...packed })).toMatchObject({ ok: true })

    const two = await startMachine('two')
    await until(async () => (await field(sessionId, 'state')) === 'waiting_workspace')
    expect(starts()).toHaveLength(1)
    await two.stop(0)
    await startMachine('one')
    await until(() => starts().length === 2, { timeoutMs: 20_000 })
    expect(starts()[1]?.argv).toContain(`--resume=${sessionId}`)
  })
})
